"""The plugin in a real registry: pushed, installed, upgraded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine.objects import clear, create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.registry import ADDRESS, push_edition, registry
from tests.support.engine.schemas import SCHEMA_PATH, schema_text, scope, write_schema

_NAME = f"{ADDRESS}/owner/pyipam"
_OLD, _NEW = f"{_NAME}:1.0", f"{_NAME}:1.1"
_PLAN = schema_text(scope("10.91.0.0/24", 28, tags=["web"]))


@pytest.fixture(scope="module")
def pushed(engine: PrivateEngine, bundle: Path) -> Iterator[None]:
    """A registry, reachable from the engine, that holds two versions of the plugin."""
    with registry(engine):
        for name in (_OLD, _NEW):
            push_edition(engine, name, name, bundle)
        yield


@pytest.fixture
def installed(engine: PrivateEngine, plugin: Plugin, pushed: None) -> Iterator[Plugin]:
    """The older version, installed with a schema; removed after the test."""
    installed = Plugin(engine, _OLD)
    write_schema(plugin, _PLAN)
    setting = f"SCHEMA_PATH={SCHEMA_PATH}"
    engine.must("plugin", "install", "--grant-all-permissions", _OLD, setting)
    yield installed
    clear(engine)
    installed.remove()


def _upgrade(plugin: Plugin) -> None:
    plugin.disable(force=True)
    options = ("--skip-remote-check", "--grant-all-permissions")
    plugin.engine.must("plugin", "upgrade", *options, plugin.name, _NEW)
    plugin.enable()


def test_a_plugin_from_a_registry_draws_from_the_schema_named_at_installation(
    engine: PrivateEngine, installed: Plugin
) -> None:
    network = create_network(engine, "net", driver=installed.name, tags="web")

    assert installed.status()["schema"]["source"] == "mount"
    assert network.subnets == ["10.91.0.0/28"]
    assert run_container(engine, "one", "net").reaches("10.91.0.1")


def test_the_requested_permissions_are_the_host_network_and_two_mounted_files(
    engine: PrivateEngine, plugin: Plugin, pushed: None
) -> None:
    asked = engine.docker("plugin", "install", _OLD, stdin=b"n\n")

    permissions = [line.strip() for line in asked.stdout.splitlines() if line.startswith(" - ")]
    assert permissions == ["- network: [host]", *["- mount: [/dev/null]"] * 2]
    assert asked.code == 1


def test_an_upgrade_keeps_networks_leases_and_containers(
    engine: PrivateEngine, installed: Plugin
) -> None:
    create_network(engine, "net", driver=installed.name, tags="web")
    one = run_container(engine, "one", "net")
    before = installed.leases()

    _upgrade(installed)

    assert installed.leases() == before
    assert one.reaches("10.91.0.1")
    assert run_container(engine, "two", "net").addresses == ["10.91.0.3/28"]
    assert create_network(engine, "next", driver=installed.name).subnets == ["10.91.0.16/28"]


def test_an_upgrade_that_drops_the_mount_falls_back_to_the_remembered_schema_and_says_so(
    engine: PrivateEngine, installed: Plugin
) -> None:
    _upgrade(installed)

    assert installed.status()["schema"]["source"] == "remembered"
    installed.wait_for_line("remembered")
    assert create_network(engine, "net", driver=installed.name).subnets == ["10.91.0.0/28"]


def test_the_schema_mounted_again_after_an_upgrade_is_in_force(
    engine: PrivateEngine, installed: Plugin
) -> None:
    _upgrade(installed)

    installed.restart_with(SCHEMA_PATH=SCHEMA_PATH)

    assert installed.status()["schema"]["source"] == "mount"
