"""The plugin, dockerd or the whole engine dies: nothing is lost, and nothing is given twice."""

import time
from collections.abc import Iterator

import pytest

from tests.support.engine.objects import (
    Container,
    clear,
    create_network,
    run_container,
    try_network,
)
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

_ALWAYS = ("--restart", "always")


def _held(plugin: Plugin) -> set[tuple[str, str]]:
    """Every address that is held, with the kind of its lease."""
    return {(str(lease["address"]), str(lease["kind"])) for lease in plugin.leases()}


def _unclaimed(plugin: Plugin) -> list[str]:
    return [str(lease["address"]) for lease in plugin.leases() if not lease["claimed"]]


def _wait_until_running(engine: PrivateEngine, *names: str) -> None:
    template = "{{.State.Running}}"

    def all_run() -> bool:
        states = engine.must("inspect", "--format", template, *names).split()
        return states == ["true"] * len(names)

    engine.wait_for(f"{', '.join(names)} running", all_run)


@pytest.fixture
def live_restore(engine: PrivateEngine) -> Iterator[None]:
    """Run dockerd with --live-restore during the test."""
    engine.stop()
    engine.start(live_restore=True)
    yield
    clear(engine)
    engine.restart()


def test_a_killed_plugin_comes_back_with_everything_it_held(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipv6", "--ipam-opt", "prefix=28")
    one = run_container(engine, "one", "net")
    before = _held(plugin)

    plugin.kill_and_wait()

    assert _held(plugin) == before
    assert _unclaimed(plugin) == []
    assert run_container(engine, "two", "net").addresses == ["100.64.0.3/28", "fc00:f00f::3/64"]
    assert one.reaches("100.64.0.3")
    assert create_network(engine, "next").subnets == ["100.64.0.16/30"]


def test_a_network_requested_while_the_plugin_restarts_is_created(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    plugin.kill()

    assert create_network(engine, "net").subnets == ["100.64.0.0/30"]


@pytest.mark.smoke
def test_a_restarted_engine_has_its_networks_and_containers(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipv6", "--ipam-opt", "prefix=28")
    run_container(engine, "one", "net", *_ALWAYS)
    before = _held(plugin)

    engine.restart()
    _wait_until_running(engine, "one")

    assert _held(plugin) == before
    assert _unclaimed(plugin) == []
    assert [pool["claimed"] for pool in plugin.pools()] == [True, True]
    assert Container(engine, "one").reaches("100.64.0.1")
    assert create_network(engine, "next").subnets == ["100.64.0.16/30"]


def test_engine_restarts_add_no_reference_to_an_automatic_pool(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipv6")

    for _ in range(2):
        engine.restart()

    assert [pool["references"] for pool in plugin.pools()] == [1, 1]


def test_a_killed_dockerd_has_its_networks_again_and_leaks_no_address(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipam-opt", "prefix=28")
    run_container(engine, "one", "net", *_ALWAYS)
    run_container(engine, "gone", "net")

    engine.kill()
    engine.start()
    _wait_until_running(engine, "one")

    addresses = [address for address, kind in _held(plugin) if kind == "container"]
    assert [f"{address}/28" for address in addresses] == Container(engine, "one").addresses
    assert _unclaimed(plugin) == []
    assert Container(engine, "one").reaches("100.64.0.1")


def test_a_power_cut_loses_no_network_and_disconnects_no_container(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    networks = [
        create_network(engine, f"net{n}", "--ipv6", "--ipam-opt", "prefix=28") for n in range(3)
    ]
    for network in networks:
        run_container(engine, f"on-{network.name}", network.name, *_ALWAYS)
    subnets = [network.subnets for network in networks]
    gateways = [network.gateways for network in networks]

    engine.cut_power()
    engine.start()
    _wait_until_running(engine, "on-net0", "on-net1", "on-net2")

    assert [network.subnets for network in networks] == subnets
    for number in range(3):
        container = Container(engine, f"on-net{number}")
        assert [gateway for gateway in gateways[number] if not container.reaches(gateway)] == []
    assert create_network(engine, "next").subnets == ["100.64.0.48/30"]


def test_a_power_cut_right_after_a_network_was_created_gives_no_block_twice(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    subnets = []
    for number in range(3):
        subnets += create_network(engine, f"net{number}").subnets
        engine.cut_power()
        engine.start()

    assert subnets == ["100.64.0.0/30", "100.64.0.4/30", "100.64.0.8/30"]
    assert plugin.held() == subnets


@pytest.mark.usefixtures("live_restore")
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_containers_that_outlive_dockerd_keep_their_addresses(
    engine: PrivateEngine, plugin: Plugin, end: str
) -> None:
    create_network(engine, "net", "--ipv6", "--ipam-opt", "prefix=28")
    one = run_container(engine, "one", "net")
    before, process = _held(plugin), plugin.process()

    getattr(engine, end)()
    engine.start(live_restore=True)

    assert plugin.process() == process
    assert one.addresses == ["100.64.0.2/28", "fc00:f00f::2/64"]
    assert _held(plugin) == before
    assert _unclaimed(plugin) == []
    assert [pool["references"] for pool in plugin.pools()] == [1, 1]
    assert run_container(engine, "two", "net").addresses == ["100.64.0.3/28", "fc00:f00f::3/64"]
    assert one.reaches("100.64.0.3")


def test_networks_and_containers_outlive_a_forced_disable(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    # Removing networks that are older than dockerd upsets how it counts those that use a plugin.
    engine.restart()
    create_network(engine, "net", "--ipam-opt", "prefix=28")
    one = run_container(engine, "one", "net")
    before = _held(plugin)

    refused = engine.docker("plugin", "disable", plugin.name)
    plugin.disable(force=True)
    assert one.reaches("100.64.0.1")
    plugin.enable()

    assert "is in use" in refused.stderr
    assert _held(plugin) == before
    assert run_container(engine, "two", "net").addresses == ["100.64.0.3/28"]
    assert create_network(engine, "next").subnets == ["100.64.0.16/30"]


def test_networks_live_on_if_the_engine_starts_while_the_plugin_is_disabled(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--subnet", "100.64.8.0/24")
    plugin.disable(force=True)
    engine.restart()
    plugin.enable()

    over = try_network(engine, "over", "--subnet", "100.64.8.0/23")
    same = try_network(engine, "same", "--subnet", "100.64.8.0/24")
    container = run_container(engine, "one", "net")

    assert "overlaps pool local/100.64.8.0/24" in over.stderr
    assert same.code == 1
    assert container.addresses == ["100.64.8.2/24"]
    assert container.reaches("100.64.8.1")
    assert plugin.held() == ["100.64.8.0/24"]


def test_an_address_released_while_the_plugin_was_disabled_is_given_out_when_no_other_is_free(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipam-opt", "prefix=29")
    names = ["stays", "goes"]
    for name in names:
        run_container(engine, name, "net")
    plugin.disable(force=True)
    engine.must("rm", "--force", "goes")
    plugin.enable()
    engine.restart()
    engine.must("start", "stays")

    leaked = _unclaimed(plugin)
    addresses = [run_container(engine, f"c{n}", "net").addresses[0] for n in range(4)]

    assert leaked == ["100.64.0.3"]
    assert addresses == ["100.64.0.4/29", "100.64.0.5/29", "100.64.0.6/29", "100.64.0.3/29"]


def test_the_plugin_is_disabled_and_enabled_without_delay(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    """A plugin that ignores SIGTERM takes 10 s to disable; one that listens late takes 3 s more to
    enable."""
    # One that does would do so every time; a busy machine is late only sometimes.
    for _ in range(10):
        begun = time.monotonic()
        plugin.disable()
        disabled = time.monotonic()
        plugin.enable()
        enabled = time.monotonic()
        if disabled - begun < 5 and enabled - disabled < 3:
            return

    pytest.fail(f"disabled in {disabled - begun:.1f} s, enabled in {enabled - disabled:.1f} s")
