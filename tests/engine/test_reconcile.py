"""`pyipam reconcile` against a real engine: leaks are freed, and what was lost is taken in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.engine.host_command import Command
from tests.support.engine.objects import DRIVER, create_network, run_container, try_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope

NOTHING = "no differences\n"


@pytest.fixture(autouse=True)
def shop(engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema) -> None:
    """A network of Docker's, with IPv6, and a container in it."""
    use_schema(scope("10.94.0.0/24", 28, tags=["default"]), scope("fd00:94::/48", 126))
    create_network(engine, "shop", "--ipv6")
    run_container(engine, "web", "shop")


@pytest.fixture
def report(tmp_path: Path) -> str:
    return str(tmp_path / "report.json")


def found(command: Command, report: str) -> list[tuple[str, str, str]]:
    """What a new report says; all of it must be sure."""
    command("reconcile", "--report", report, code=3)
    differences = json.loads(Path(report).read_text())["differences"]
    assert all(each["sure"] for each in differences), differences
    return [(each["kind"], each["pool"], each["address"]) for each in differences]


def lose_releases(engine: PrivateEngine, plugin: Plugin, *commands: Sequence[str]) -> None:
    """Run docker's commands at once while nobody hears what they release. Docker tries each release
    for fifteen seconds."""
    plugin.disable(force=True)
    with ThreadPoolExecutor(len(commands)) as together:
        for done in together.map(lambda command: engine.docker(*command), commands):
            done.check()
    plugin.enable()


def test_where_all_is_well_there_is_nothing_to_do_ten_times_over(
    engine: PrivateEngine, command: Command
) -> None:
    create_network(
        engine,
        "lan",
        *("--subnet", "10.94.0.128/26", "--ip-range", "10.94.0.160/27"),
        *("--gateway", "10.94.0.129", "--aux-address", "printer=10.94.0.130"),
        driver="pyipam",
    )
    run_container(engine, "fixed", "lan", "--ip", "10.94.0.140")
    engine.must("network", "connect", "shop", "fixed")
    engine.must("network", "create", "docker-own")
    engine.must("stop", "--time", "0", run_container(engine, "stopped", "lan").name)

    for _ in range(10):
        assert command("reconcile") == NOTHING
        engine.must("restart", "--time", "0", "web")


def test_what_docker_released_unheard_is_freed(
    engine: PrivateEngine, plugin: Plugin, command: Command, report: str
) -> None:
    create_network(engine, "gone")
    run_container(engine, "stays", "gone")
    engine.must("network", "disconnect", "gone", "stays")
    lose_releases(engine, plugin, ["rm", "--force", "web"], ["network", "rm", "gone"])

    assert found(command, report) == [
        ("leaked address", "local/10.94.0.0/28", "10.94.0.2"),
        ("leaked pool", "local/10.94.0.16/28", ""),
        ("leaked address", "local/fd00:94::/126", "fd00:94::2"),
    ]
    command("reconcile", "--apply", report)
    assert command("reconcile") == NOTHING
    assert run_container(engine, "next", "shop").addresses == ["10.94.0.2/28", "fd00:94::2/126"]


@pytest.mark.engines("28.5")
def test_a_container_that_was_stopped_unheard_is_told_how_to_get_its_own_address_back(
    engine: PrivateEngine, plugin: Plugin, command: Command, report: str
) -> None:
    create_network(engine, "lan", "--subnet", "10.94.0.128/29")
    create_network(engine, "small", "--subnet", "10.94.0.64/30")
    run_container(engine, "fixed", "lan", "--ip", "10.94.0.130")
    run_container(engine, "alone", "small")
    lose_releases(engine, plugin, ["stop", "--time", "0", "fixed", "alone"])

    for container in ("fixed", "alone"):
        assert (
            "has leaked: free it with `pyipam reconcile`"
            in engine.docker("start", container).stderr
        )
    found(command, report)
    command("reconcile", "--apply", report)
    engine.must("start", "fixed", "alone")


def test_the_address_that_docker_forgets_when_ipv6_fails_is_freed(
    engine: PrivateEngine, command: Command, report: str
) -> None:
    # The subnet of IPv6 has three addresses: the gateway's, the container's, and one more.
    run_container(engine, "second", "shop")
    assert try_container(engine, "third", "shop").code != 0
    engine.must("rm", "--force", "third")

    assert found(command, report) == [("leaked address", "local/10.94.0.0/28", "10.94.0.4")]
    command("reconcile", "--apply", report)
    assert command("reconcile") == NOTHING


def test_what_docker_could_not_name_because_the_plugin_was_away_is_claimed_for_it(
    engine: PrivateEngine, plugin: Plugin, command: Command, report: str
) -> None:
    engine.must("rm", "--force", "web")
    plugin.disable(force=True)
    engine.restart()
    plugin.enable()
    run_container(engine, "next", "shop")
    pools = ["local/10.94.0.0/28", "local/fd00:94::/126"]

    assert found(command, report) == [("unclaimed pool", pool, "") for pool in pools]
    command("reconcile", "--apply", report)
    assert command("reconcile") == NOTHING
    assert {pool["id"]: pool["claimed"] for pool in plugin.pools()} == dict.fromkeys(pools, True)
    assert all(lease["claimed"] for lease in plugin.leases())

    engine.restart()
    engine.must("start", "next")
    assert command("reconcile") == NOTHING


def test_addresses_of_containers_that_a_power_cut_ended_are_not_taken_in(
    engine: PrivateEngine, plugin: Plugin, capsys: pytest.CaptureFixture[str]
) -> None:
    # Some engines show the addresses of these containers until they are started again.
    create_network(engine, "lan", "--subnet", "10.94.0.128/26")
    run_container(engine, "fixed", "lan", "--ip", "10.94.0.140")
    engine.cut_power()
    engine.start()
    engine.wait_for("the plugin is back", lambda: plugin.process() != 0)
    # The engine has other sockets now.
    command = Command(engine, capsys)

    assert command("reconcile") == NOTHING
    assert "missing" not in command("status")
    assert "web" not in command("leases")
    engine.must("start", "web", "fixed")
    assert command("reconcile") == NOTHING


def test_a_plugin_that_was_installed_again_takes_in_the_networks_that_live_on(
    engine: PrivateEngine, plugin: Plugin, bundle: Path, command: Command, report: str
) -> None:
    lan = ["--subnet", "10.94.0.128/26", "--gateway", "10.94.0.129"]
    create_network(engine, "lan", *lan, "--aux-address", "printer=10.94.0.130")
    run_container(engine, "fixed", "lan", "--ip", "10.94.0.140")
    plugin.remove()
    Plugin.create(engine, DRIVER, bundle).enable()
    plugin.point_alias("pyipam")
    assert try_container(engine, "early", "shop").code != 0

    assert found(command, report) == [
        ("missing pool", "local/10.94.0.0/28", ""),
        ("missing pool", "local/10.94.0.128/26", ""),
        ("missing pool", "local/fd00:94::/126", ""),
    ]
    command("reconcile", "--apply", report)
    assert command("reconcile") == NOTHING
    given = run_container(engine, "next", "shop").addresses
    assert given == ["10.94.0.3/28", "fd00:94::3/126"]

    engine.restart()
    engine.must("start", "web", "fixed")
    assert command("reconcile") == NOTHING
    assert {lease["address"]: lease["claimed"] for lease in plugin.leases()} == dict.fromkeys(
        (
            *("10.94.0.1", "10.94.0.2", "10.94.0.129", "10.94.0.130", "10.94.0.140"),
            *("fd00:94::1", "fd00:94::2"),
        ),
        True,
    )
