"""A plan that is exported, and imported into a plugin that was removed and reinstalled."""

from pathlib import Path

import pytest

from tests.support.command_line import must_pyipam
from tests.support.engine.host_command import Command
from tests.support.engine.objects import create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope

pytestmark = pytest.mark.any_engine


def _reinstall(plugin: Plugin, bundle: Path, plan: Path) -> None:
    """Export the plan, remove the plugin with its state, install it, and import the plan."""
    plugin.disable(force=True)
    must_pyipam("export", "--state", plugin.state, plan)
    former = plugin.id
    plugin.remove()
    Plugin.create(plugin.engine, plugin.name, bundle)
    assert plugin.id != former
    must_pyipam("import", "--state", plugin.state, plan)
    plugin.enable()
    plugin.point_alias("pyipam")


def test_networks_keep_working_in_a_reinstalled_plugin_with_their_plan_imported(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema, bundle: Path, tmp_path: Path
) -> None:
    use_schema(scope("10.93.0.0/24", 28), scope("fd00:93::/48", 64))
    create_network(engine, "net", "--ipv6")
    one = run_container(engine, "one", "net")
    two = run_container(engine, "two", "net")
    leases = plugin.leases()

    _reinstall(plugin, bundle, tmp_path / "plan.json")

    assert plugin.leases() == leases
    assert plugin.status()["schema"]["source"] == "remembered"
    assert one.addresses == ["10.93.0.2/28", "fd00:93::2/64"]
    three = run_container(engine, "three", "net")
    assert three.addresses == ["10.93.0.4/28", "fd00:93::4/64"]
    assert three.reaches("10.93.0.2")
    two.remove()
    four = run_container(engine, "four", "net")
    assert four.addresses == ["10.93.0.3/28", "fd00:93::3/64"]
    assert create_network(engine, "next").subnets == ["10.93.0.16/28"]


def test_a_restarted_engine_claims_what_it_has_of_an_imported_plan(
    engine: PrivateEngine, plugin: Plugin, bundle: Path, tmp_path: Path
) -> None:
    network = create_network(engine, "net")
    run_container(engine, "one", "net", "--restart", "always")

    _reinstall(plugin, bundle, tmp_path / "plan.json")
    engine.restart()

    engine.wait_for("the container is back", lambda: len(plugin.leases()) == 2)
    assert plugin.held() == network.subnets
    assert all(lease["claimed"] for lease in plugin.leases())


def test_a_plugin_goes_back_to_its_backup_and_learns_from_docker_what_came_after_it(
    engine: PrivateEngine, plugin: Plugin, command: Command, tmp_path: Path
) -> None:
    file = str(tmp_path / "backup.json")
    create_network(engine, "net")
    run_container(engine, "one", "net")
    before = plugin.leases()

    command("backup", "--disable", file)

    assert plugin.leases() == before
    later = create_network(engine, "later")
    command("restore", "--disable", file, code=1)
    assert later.subnets[0] in plugin.held()
    command("restore", "--disable", "--discard-newer", file)
    assert plugin.leases() == before
    engine.restart()
    engine.wait_for("all networks", lambda: later.subnets[0] in plugin.held())
