"""The commands that README.md prints, run as they stand there, with a registry.

The engine uses the registry as a mirror of the public one, so that `owner/pyipam` is found in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bundle.building import ROOT
from tests.support.engine.command import Result
from tests.support.engine.objects import DRIVER, clear, create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.registry import ADDRESS, push_edition, registry
from tests.support.engine.schemas import schema_text, scope, write_schema

_YES = b"y\n"
_GRANT = " --grant-all-permissions"

Publish = Callable[[str], None]


def _printed(title: str) -> list[str]:
    """The indented blocks in the section of this title."""
    text = (ROOT / "README.md").read_text()
    [section] = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    return re.findall(r"(?:^    .*\n)+", section, re.M)


def _run(engine: PrivateEngine, commands: str, stdin: bytes = b"") -> Result:
    return engine.run("sh", "-e", "-c", commands, stdin=stdin)


@pytest.fixture(scope="module")
def publish(engine: PrivateEngine, bundle: Path) -> Iterator[Publish]:
    """Publishes an edition of the plugin as `owner/pyipam`; there is one already."""
    settings = engine.root / "etc/docker/daemon.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"registry-mirrors": [f"http://{ADDRESS}"]}))
    engine.restart()
    with registry(engine):

        def publish(edition: str) -> None:
            push_edition(engine, f"{ADDRESS}/{DRIVER}", edition, bundle)

        publish("first")
        yield publish


@pytest.fixture
def plugin(engine: PrivateEngine, publish: Publish) -> Iterator[Plugin]:
    """The plugin in the registry, and its schema on the host. It is not installed yet."""
    plugin = Plugin(engine, DRIVER)
    write_schema(plugin, schema_text(scope("10.91.0.0/24", 28, tags=["default"])))
    yield plugin
    clear(engine)
    for installed in engine.must("plugin", "ls", "--quiet").split():
        engine.must("plugin", "rm", "--force", installed)


def _install(engine: PrivateEngine) -> None:
    _, with_schema = _printed("Install")
    _run(engine, with_schema, stdin=_YES).check()


@pytest.fixture
def publish_for_arm64(engine: PrivateEngine, publish: Publish, bundle: Path) -> Publish:
    """Publishes an edition under the tag for arm64. It is one for this machine: the tag counts."""

    def publish_it(edition: str) -> None:
        push_edition(engine, f"{ADDRESS}/owner/pyipam:latest-arm64", edition, bundle)

    return publish_it


def _edition(plugin: Plugin) -> str:
    rootfs = plugin.engine.root / "var/lib/docker/plugins" / plugin.id / "rootfs"
    return (rootfs / "usr/share/pyipam/edition").read_text()


def test_the_plugin_is_installed_after_one_question(engine: PrivateEngine, plugin: Plugin) -> None:
    _install(engine)

    assert plugin.status()["schema"]["source"] == "mount"
    assert create_network(engine, "net").subnets == ["10.91.0.0/28"]
    assert run_container(engine, "one", "net").reaches("10.91.0.1")


def test_a_script_installs_the_plugin_without_a_question(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    _, with_schema = _printed("Install")
    _run(engine, with_schema.replace(" install", f" install{_GRANT}")).check()

    assert plugin.status()["schema"]["source"] == "mount"


def test_the_first_networks_have_the_subnets_that_are_printed(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    command, _ = _printed("Install")
    _run(engine, command, stdin=_YES).check()
    shown = []
    for line in "".join(_printed("The first network")[:2]).splitlines():
        if line.strip().startswith("$ "):
            answer = _run(engine, line.strip().removeprefix("$ ")).check().stdout
        else:
            shown.append((json.loads(line), json.loads(answer)))

    assert plugin.status()["schema"]["source"] == "default"
    assert len(shown) == 2
    for printed, answer in shown:
        assert [entry["Subnet"] for entry in answer] == [entry["Subnet"] for entry in printed]


def test_a_short_name_for_compose_stands_for_the_options_that_are_printed(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    command, _ = _printed("Install")
    _run(engine, command, stdin=_YES).check()
    [commands] = [block for block in _printed("The first network") if "DRIVER_ALIASES" in block]
    set_name, aliases = commands.rsplit("    sudo ", 1)

    _run(engine, set_name).check()
    plugin.point_alias("ingress")

    # The command itself is run by tests/engine/test_command.py.
    assert aliases == "pyipam aliases\n"
    assert create_network(engine, "net", driver="ingress").subnets == ["100.64.32.0/26"]


@pytest.mark.parametrize("asks", [False, True], ids=["as printed", "with a question"])
def test_an_upgrade_keeps_what_is_held(
    engine: PrivateEngine, plugin: Plugin, publish: Publish, asks: bool
) -> None:
    _install(engine)
    create_network(engine, "net")
    container = run_container(engine, "one", "net")
    before = plugin.leases()
    next_edition = "asked-for" if asks else "printed"
    publish(next_edition)
    [commands] = _printed("Upgrade")

    _run(engine, commands.replace(_GRANT, "") if asks else commands, _YES if asks else b"").check()

    assert _edition(plugin) == next_edition
    assert plugin.leases() == before
    assert plugin.status()["schema"]["source"] == "mount"
    assert container.reaches("10.91.0.1")
    assert run_container(engine, "two", "net").addresses == ["10.91.0.3/28"]


def test_on_arm64_the_plugin_has_the_same_name_and_is_upgraded_by_the_same_commands(
    engine: PrivateEngine, plugin: Plugin, publish_for_arm64: Publish
) -> None:
    publish_for_arm64("first for arm64")
    [command] = _printed("Which architecture")
    _run(engine, command, stdin=_YES).check()
    create_network(engine, "net")
    container = run_container(engine, "one", "net")
    publish_for_arm64("next for arm64")
    [commands] = _printed("Upgrade")
    _run(engine, commands).check()

    assert _edition(plugin) == "next for arm64"
    assert plugin.status()["schema"]["source"] == "mount"
    assert container.reaches("10.91.0.1")
    assert run_container(engine, "two", "net").addresses == ["10.91.0.3/28"]


def test_nothing_is_left_of_it_once_it_is_uninstalled(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    _install(engine)
    state = plugin.state
    plugin.point_alias("pyipam")
    create_network(engine, "by-name")
    create_network(engine, "by-short-name", driver="pyipam")
    look, remove, _ = _printed("Uninstall")

    listed = _run(engine, look).check().stdout.splitlines()
    refused = _run(engine, remove)
    clear(engine)
    _run(engine, remove).check()

    assert {f"by-name {DRIVER}", "by-short-name pyipam"} < set(listed)
    assert refused.code == 1
    assert engine.must("plugin", "ls", "--quiet") == ""
    assert not state.exists()
    assert not (engine.root / "etc/docker/plugins/pyipam.spec").exists()


def test_what_docker_counts_wrongly_as_in_use_is_uninstalled_by_force(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    _install(engine)
    create_network(engine, "net")
    plugin.disable(force=True)
    engine.must("network", "rm", "net")
    plugin.enable()
    _, remove, force = _printed("Uninstall")

    refused = _run(engine, remove)
    _run(engine, force).check()

    assert "is in use" in refused.text
    assert engine.must("plugin", "ls", "--quiet") == ""
