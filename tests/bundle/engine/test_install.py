"""`make install`, `make uninstall` and `make push` with real engines."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle.building import ROOT
from tests.bundle.engine.installer import Installer
from tests.support.engine.objects import DRIVER, create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.registry import registry


@pytest.fixture(autouse=True)
def _the_bundle_of_now(installer: Installer, bundle: Path) -> Iterator[None]:
    yield
    installer.bring(bundle)


def _leads_to(engine: PrivateEngine, name: str) -> str | None:
    """Where dockerd gets to by that short name."""
    docker = engine.root / "etc/docker"
    if not (docker / f"plugins/{name}.spec").exists():
        return None
    assert (docker / f"plugins/{name}.spec").read_text() == f"unix:///etc/docker/pyipam/{name}.sock"
    return str((docker / f"pyipam/{name}.sock").readlink())


def test_a_first_install_enables_the_plugin_under_both_its_names(
    engine: PrivateEngine, installer: Installer
) -> None:
    done = installer.run("install").check()

    plugin = Plugin(engine, DRIVER)
    assert plugin.inspect()["Enabled"]
    assert _leads_to(engine, "pyipam") == f"/run/docker/plugins/{plugin.id}/pyipam.sock"
    assert create_network(engine, "full").subnets == ["100.64.0.0/30"]
    assert create_network(engine, "short", driver="pyipam").subnets == ["100.64.0.4/30"]
    example = done.stdout.splitlines()[-1].split()
    assert example[:3] == ["docker", "network", "create"]
    engine.run(*example).check()


def test_a_second_install_upgrades_with_id_state_and_settings(
    engine: PrivateEngine, installer: Installer, next_version: Path
) -> None:
    schema = engine.root / "etc/plan.json"
    schema.write_text((ROOT / "schema.json").read_text().replace("100.64.", "100.96."))
    tags = "null_routed, ingress"
    before = installer.install(SCHEMA_PATH="/etc/plan.json", DEFAULT_TAGS=tags, LOG_LEVEL="debug")
    old_id = before.id
    network = create_network(engine, "old", "--ipam-opt", "prefix=28")
    container = run_container(engine, "old", "old")

    installer.bring(next_version)
    after = installer.install()

    assert after.status()["version"] == "99.0.0"
    assert after.id == old_id
    assert after.held() == network.subnets == ["100.96.0.0/28"]
    assert after.status()["schema"]["source"] == "mount"
    environment = after.inspect()["Settings"]["Env"]
    assert {f"DEFAULT_TAGS={tags}", "LOG_LEVEL=debug"} < set(environment)
    assert container.reaches("100.96.0.1")
    assert run_container(engine, "new", "old").addresses == ["100.96.0.3/28"]
    assert create_network(engine, "new", driver="pyipam").subnets == ["100.96.0.16/30"]


def test_settings_given_anew_replace_the_old_ones_alone(
    engine: PrivateEngine, installer: Installer
) -> None:
    installer.install(LOG_LEVEL="debug", DEFAULT_TAGS="ingress")
    create_network(engine, "net")

    plugin = installer.install(LOG_LEVEL="warning")

    environment = plugin.inspect()["Settings"]["Env"]
    assert {"LOG_LEVEL=warning", "DEFAULT_TAGS=ingress"} < set(environment)
    assert plugin.held() == ["100.64.32.0/30"]


def test_a_broken_version_loses_no_state(
    engine: PrivateEngine, installer: Installer, broken_version: Path, bundle: Path
) -> None:
    installer.install(LOG_LEVEL="debug")
    create_network(engine, "net")

    installer.bring(broken_version)
    failed = installer.run("install")
    installer.bring(bundle)
    plugin = installer.install()

    assert failed.code == 1
    assert failed.stderr.startswith("make install: docker plugin enable: ")
    assert failed.stderr.endswith(f"; {DRIVER} is disabled, and has its state\n")
    assert plugin.held() == ["100.64.0.0/30"]
    assert "LOG_LEVEL=debug" in plugin.inspect()["Settings"]["Env"]


@pytest.mark.any_engine
def test_an_upgrade_by_hand_that_dropped_the_schema_is_not_undone(
    engine: PrivateEngine, installer: Installer
) -> None:
    shutil.copy(ROOT / "schema.json", engine.root / "etc/plan.json")
    plugin = installer.install(SCHEMA_PATH="/etc/plan.json")
    plugin.restart_with(SCHEMA_PATH="/dev/null")

    assert installer.install().status()["schema"]["source"] == "remembered"


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/no/such.json", "SCHEMA_PATH=/no/such.json: there is no such file"),
        ("/etc", "SCHEMA_PATH=/etc: there is no such file"),
        ("a.json", "SCHEMA_PATH=a.json is not an absolute path; give one on the engine's host"),
    ],
)
def test_a_schema_that_cannot_be_mounted_is_refused_at_once(
    engine: PrivateEngine, installer: Installer, path: str, sentence: str
) -> None:
    refused = installer.run("install", SCHEMA_PATH=path)

    assert (refused.code, refused.stderr) == (1, f"make install: {sentence}\n")
    assert engine.must("plugin", "ls", "--quiet") == ""


_BAD_LEVEL = (
    "make install: the plugin would refuse new networks: setting LOG_LEVEL='verbose': it must be "
    "one of debug, info, warning, error; "
)


@pytest.mark.any_engine
def test_a_first_install_with_a_setting_that_the_plugin_refuses_fails_and_leaves_nothing(
    engine: PrivateEngine, installer: Installer
) -> None:
    refused = installer.run("install", LOG_LEVEL="verbose")

    assert (refused.code, refused.stderr) == (1, f"{_BAD_LEVEL}{DRIVER} was removed again\n")
    assert engine.must("plugin", "ls", "--quiet") == ""


def test_a_setting_that_the_plugin_refuses_leaves_it_enabled_as_it_was(
    engine: PrivateEngine, installer: Installer
) -> None:
    plugin = installer.install(LOG_LEVEL="debug")
    network = create_network(engine, "net")

    refused = installer.run("install", LOG_LEVEL="verbose")

    assert refused.code == 1
    assert refused.stderr == f"{_BAD_LEVEL}{DRIVER} is enabled as before, and has its state\n"
    assert "LOG_LEVEL=debug" in plugin.inspect()["Settings"]["Env"]
    assert plugin.held() == network.subnets
    assert create_network(engine, "next").subnets == ["100.64.0.4/30"]


@pytest.mark.any_engine
def test_a_schema_that_the_plugin_refuses_fails_the_install_with_its_errors(
    engine: PrivateEngine, installer: Installer
) -> None:
    (engine.root / "etc/plan.json").write_text('{"schema_version": 1, "scopes": [{"prefix": 8}]}')

    refused = installer.run("install", SCHEMA_PATH="/etc/plan.json")

    assert refused.code == 1
    assert "the plugin would refuse new networks: schema at $.scopes[0]" in refused.stderr
    assert engine.must("plugin", "ls", "--quiet") == ""


@pytest.mark.any_engine
def test_an_upgrade_beside_a_schema_that_has_become_invalid_fails_and_keeps_serving(
    engine: PrivateEngine, installer: Installer
) -> None:
    schema = engine.root / "etc/plan.json"
    shutil.copy(ROOT / "schema.json", schema)
    plugin = installer.install(SCHEMA_PATH="/etc/plan.json")
    network = create_network(engine, "net")
    schema.write_text("{")

    refused = installer.run("install")

    assert "refuse new networks: schema at $: this is not valid JSON" in refused.stderr
    assert refused.stderr.endswith(f"; {DRIVER} is enabled, and has its state\n")
    assert plugin.held() == network.subnets
    assert run_container(engine, "one", "net").addresses == ["100.64.0.2/30"]


def test_a_first_install_that_fails_leaves_nothing(
    engine: PrivateEngine, installer: Installer
) -> None:
    refused = installer.run("install", NO_SUCH="setting")

    assert refused.code == 1
    assert 'setting "NO_SUCH" not found' in refused.stderr
    assert engine.must("plugin", "ls", "--quiet") == ""


def test_settings_that_the_engine_refuses_leave_the_plugin_enabled_as_it_was(
    installer: Installer,
) -> None:
    plugin = installer.install(LOG_LEVEL="debug")
    before = plugin.inspect()["Settings"]["Env"]

    refused = installer.run("install", NO_SUCH="setting")

    assert refused.stderr.endswith(f"; {DRIVER} is enabled as before, and has its state\n")
    assert plugin.inspect()["Enabled"]
    assert plugin.inspect()["Settings"]["Env"] == before


def test_two_tags_live_side_by_side_and_the_first_keeps_the_short_name(
    engine: PrivateEngine, installer: Installer
) -> None:
    first = installer.install()

    second = installer.run("install", "owner/pyipam:two").check()

    assert "pyipam.spec is left alone: it leads elsewhere" in second.stdout
    assert _leads_to(engine, "pyipam") == f"/run/docker/plugins/{first.id}/pyipam.sock"
    assert Plugin(engine, "owner/pyipam:two").inspect()["Enabled"]


@pytest.mark.any_engine
def test_aliases_that_are_set_get_short_names_and_others_lose_them(
    engine: PrivateEngine, installer: Installer
) -> None:
    installer.install(DRIVER_ALIASES="pyipam= ; store=internally_routed")
    assert create_network(engine, "net", driver="store").subnets == ["100.64.16.0/30"]

    installer.install(DRIVER_ALIASES="store=internally_routed")

    assert _leads_to(engine, "pyipam") is None
    assert _leads_to(engine, "store")


def test_a_short_name_that_docker_takes_for_the_id_of_the_plugin_is_said_to_be_unusable(
    engine: PrivateEngine, installer: Installer
) -> None:
    name = installer.install().id[:4]

    done = installer.run("install", DRIVER_ALIASES=f"pyipam= ; {name}=").check()

    assert f"{name}.spec is not usable: Docker takes it for a plugin's own name" in done.stdout
    assert _leads_to(engine, name) is None
    refused = try_network(engine, "net", driver=name)
    assert f'invalid ipam driver: "{name}"' in refused.stderr
    assert create_network(engine, "short", driver="pyipam").subnets == ["100.64.0.0/30"]


@pytest.mark.any_engine
def test_a_short_name_that_networks_use_is_not_dropped(
    engine: PrivateEngine, installer: Installer
) -> None:
    plugin = installer.install(DRIVER_ALIASES="pyipam= ; store=internally_routed")
    network = create_network(engine, "busy", driver="store")
    before = plugin.inspect()["Settings"]["Env"]

    refused = installer.run("install", DRIVER_ALIASES="pyipam=")

    assert refused.code == 1
    assert "drops short names that networks use (store by busy). Keep these names" in refused.stderr
    assert plugin.inspect()["Settings"]["Env"] == before
    assert run_container(engine, "one", "busy").addresses == ["100.64.16.2/30"]
    # Whoever sets it by hand is told by the plugin.
    plugin.restart_with(DRIVER_ALIASES="pyipam=")
    (warning,) = plugin.status()["settings"]["warnings"]
    assert "short name 'store'" in warning
    assert warning.endswith(f"Their subnets: {network.subnets[0]}")
    plugin.restart_with(DRIVER_ALIASES="pyipam= ; store=internally_routed")
    assert plugin.status()["settings"]["warnings"] == []


@pytest.mark.parametrize("driver", [DRIVER, "pyipam"])
def test_uninstall_refuses_while_a_network_uses_it_under_any_name(
    engine: PrivateEngine, installer: Installer, driver: str
) -> None:
    plugin = installer.install()
    network = create_network(engine, "busy", driver=driver)

    refused = installer.run("uninstall")

    assert refused.code == 1
    assert "networks take their addresses from owner/pyipam:latest: busy" in refused.stderr
    assert "FORCE=1: the plugin and its whole state are then gone" in refused.stderr
    assert "export it first" in refused.stderr
    assert plugin.inspect()["Enabled"]
    network.remove()
    installer.run("uninstall").check()
    assert engine.must("plugin", "ls", "--quiet") == ""
    assert _leads_to(engine, "pyipam") is None


def test_uninstall_can_be_forced(engine: PrivateEngine, installer: Installer) -> None:
    installer.install()
    create_network(engine, "busy")

    installer.run("uninstall", FORCE="1").check()
    assert engine.must("plugin", "ls", "--quiet") == ""

    # Without any plugin the engine would try for a minute to release what the network held.
    installer.install()
    engine.must("network", "rm", "busy")


def test_a_short_name_still_works_after_uninstall_and_install(
    engine: PrivateEngine, installer: Installer
) -> None:
    for _ in range(2):
        installer.install()
        network = create_network(engine, "net", driver="pyipam")
        assert network.subnets == ["100.64.0.0/30"]
        network.remove()
        installer.run("uninstall").check()


@pytest.mark.any_engine
def test_uninstall_of_what_is_not_there_says_so(installer: Installer) -> None:
    refused = installer.run("uninstall")

    assert refused.code == 1
    assert "the engine has no plugin owner/pyipam:latest" in refused.stderr


@pytest.mark.any_engine
def test_an_engine_elsewhere_is_not_upgraded_while_networks_would_lose_their_state(
    engine: PrivateEngine, installer: Installer
) -> None:
    plugin = installer.install()
    create_network(engine, "busy")

    refused = installer.run_elsewhere("install")

    assert refused.code == 1
    assert "removing it would lose the addresses of busy" in refused.stderr
    assert plugin.held() == ["100.64.0.0/30"]


@pytest.mark.any_engine
def test_an_engine_elsewhere_gets_the_new_version_while_nothing_uses_the_old_one(
    engine: PrivateEngine, installer: Installer
) -> None:
    installer.install(LOG_LEVEL="debug")

    installer.run_elsewhere("install").check()

    plugin = Plugin(engine, DRIVER)
    assert plugin.inspect()["Enabled"]
    assert "LOG_LEVEL=debug" in plugin.inspect()["Settings"]["Env"]


def test_push_needs_no_installed_plugin_and_leaves_none(
    engine: PrivateEngine, installer: Installer
) -> None:
    with registry(engine) as address:
        name = f"{address}/owner/pyipam:1"
        installer.run("push", name).check()
        assert engine.must("plugin", "ls", "--quiet") == ""
        engine.must("plugin", "install", "--grant-all-permissions", name)

    assert Plugin(engine, name).inspect()["Enabled"]
