"""The command `pyipam` against a real engine, through Docker's SDK, and its plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.engine.host_command import Command
from tests.support.engine.objects import create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope

pytestmark = pytest.mark.any_engine


@pytest.fixture(autouse=True)
def shop(engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema) -> None:
    """A network of Docker's, and a container in it."""
    use_schema(scope("10.94.0.0/24", 28, tags=["default"]), scope("fd00:94::/48", 64))
    create_network(engine, "shop", "--ipv6", driver="pyipam")
    run_container(engine, "web", "shop")


def test_everything_is_well(command: Command) -> None:
    assert "well        yes\n" in command("status")


def test_scopes_show_what_is_held(command: Command) -> None:
    assert [scope["free"] for scope in json.loads(command("scopes", "--json"))] == ["15", "65535"]
    assert "10.94.0.16/28" in command("scopes")


def test_pools_and_leases_have_the_names_of_networks_and_containers(command: Command) -> None:
    pools = json.loads(command("pools", "--json"))
    leases = json.loads(command("leases", "--json"))

    assert {pool["subnet"]: pool["networks"] for pool in pools} == {
        "10.94.0.0/28": ["shop"],
        "fd00:94::/64": ["shop"],
    }
    assert {lease["address"]: lease["containers"] for lease in leases} == {
        "10.94.0.1": [],
        "10.94.0.2": ["web"],
        "fd00:94::1": [],
        "fd00:94::2": ["web"],
    }
    assert command("leases", "-q", "--filter", "container=web") == "10.94.0.2\nfd00:94::2\n"


def test_a_plan_takes_nothing(command: Command, plugin: Plugin) -> None:
    before = plugin.held()

    assert command("plan", "default", "-q") == "10.94.0.16/28\n"
    assert plugin.held() == before


def test_an_address_is_explained_by_its_container(command: Command) -> None:
    lines = command("explain", "10.94.0.2").splitlines()

    assert lines[0].startswith("10.94.0.2 has been in use since ")
    assert lines[-1] == "Docker gave it to container web"


def test_the_short_names_of_the_plugin_are_known(command: Command) -> None:
    assert "pyipam " in command("aliases", "--dry-run")


def test_it_works_inside_the_plugin_without_dockers_sdk(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    inside = ["nsenter", "--target", str(plugin.process()), "--mount", "--root"]
    for view in ("status", "scopes", "pools", "leases", "nodes", "claims"):
        done = engine.run(*inside, "/usr/bin/python3", "-I", "-m", "pyipam", view)
        assert done.code == 0, done.text


def test_docker_runs_it_as_a_plugin_of_its_own(engine: PrivateEngine) -> None:
    program = Path(sys.executable).with_name("docker-pyipam")
    environment = {**os.environ, "DOCKER_HOST": f"unix://{engine.api_socket}"}

    done = subprocess.run(
        [program, "--host", f"unix://{engine.api_socket}", "pyipam", "aliases", "--dry-run", "-q"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
