"""Two networks on one explicit subnet: both say so, and neither releases what the other holds."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.engine.objects import (
    Network,
    clear,
    create_network,
    run_container,
    try_container,
    try_network,
)
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

_SUBNET = "100.64.5.0/24"
_GATEWAY = "100.64.5.1"


@pytest.fixture
def uplinks(engine: PrivateEngine) -> Iterator[tuple[str, str]]:
    """Two parents for macvlan networks; the far end of the first has the gateway address."""
    for name in ("first", "second"):
        far = f"{name}-far"
        engine.run("ip", "link", "add", f"{name}-up", "type", "veth", "peer", "name", far).check()
        engine.run("ip", "link", "set", f"{name}-up", "up").check()
        engine.run("ip", "link", "set", far, "up").check()
    engine.run("ip", "address", "add", f"{_GATEWAY}/24", "dev", "first-far").check()
    yield ("first-up", "second-up")
    clear(engine)
    for name in ("first", "second"):
        engine.run("ip", "link", "delete", f"{name}-up").check()


def _nothing(_plugin: Plugin) -> None:
    """Nothing happens between the creation of the first network and that of the second."""


between = pytest.mark.parametrize(
    "happens_between",
    [_nothing, Plugin.kill_and_wait],
    ids=["one after the other", "the plugin is killed in between"],
)


def _macvlan(engine: PrivateEngine, name: str, parent: str, *options: str) -> Network:
    driver = ("--driver", "macvlan", "--opt", f"parent={parent}", "--ipam-opt", "shared=true")
    return create_network(engine, name, *driver, "--subnet", _SUBNET, *options)


def _check_works(engine: PrivateEngine, plugin: Plugin, network: str) -> None:
    container = run_container(engine, f"on-{network}", network)
    assert container.reaches(_GATEWAY)
    assert plugin.held() == [_SUBNET]
    container.remove()


@between
def test_the_first_network_keeps_working_beside_the_second_and_after_its_removal(
    engine: PrivateEngine,
    plugin: Plugin,
    uplinks: tuple[str, str],
    happens_between: Callable[[Plugin], None],
) -> None:
    _macvlan(engine, "first", uplinks[0])
    happens_between(plugin)
    second = _macvlan(engine, "second", uplinks[1])
    _check_works(engine, plugin, "first")

    second.remove()

    _check_works(engine, plugin, "first")


@between
def test_the_second_network_keeps_working_after_the_removal_of_the_first(
    engine: PrivateEngine,
    plugin: Plugin,
    uplinks: tuple[str, str],
    happens_between: Callable[[Plugin], None],
) -> None:
    first = _macvlan(engine, "other", uplinks[1])
    happens_between(plugin)
    _macvlan(engine, "last", uplinks[0], "--gateway", "100.64.5.254")

    first.remove()

    held = run_container(engine, "one", "last")
    assert plugin.held() == [_SUBNET]
    assert "100.64.5.254" in {lease["address"] for lease in plugin.leases()}
    assert held.reaches(_GATEWAY)


@between
def test_containers_of_both_networks_get_different_addresses(
    engine: PrivateEngine,
    plugin: Plugin,
    uplinks: tuple[str, str],
    happens_between: Callable[[Plugin], None],
) -> None:
    _macvlan(engine, "first", uplinks[0])
    one = run_container(engine, "one", "first")
    happens_between(plugin)
    _macvlan(engine, "second", uplinks[1])

    others = [run_container(engine, "two", "second"), run_container(engine, "three", "first")]

    addresses = [container.addresses[0] for container in (one, *others)]
    assert len(set(addresses)) == 3
    assert f"{_GATEWAY}/24" not in addresses


@between
def test_networks_on_two_parents_share_the_router_of_their_lan(
    engine: PrivateEngine,
    plugin: Plugin,
    uplinks: tuple[str, str],
    happens_between: Callable[[Plugin], None],
) -> None:
    router = ("--gateway", _GATEWAY)
    first = _macvlan(engine, "first", uplinks[0], *router, "--ip-range", "100.64.5.64/27")
    happens_between(plugin)
    second = _macvlan(engine, "second", uplinks[1], *router, "--ip-range", "100.64.5.96/27")

    one, two = run_container(engine, "one", "first"), run_container(engine, "two", "second")

    assert (one.addresses, two.addresses) == (["100.64.5.64/24"], ["100.64.5.96/24"])
    assert one.reaches(_GATEWAY)
    one.remove()
    first.remove()
    assert _GATEWAY in {lease["address"] for lease in plugin.leases()}
    two.remove()
    second.remove()
    assert plugin.held() == []


def test_networks_on_two_parents_come_back_with_dockerd(
    engine: PrivateEngine, plugin: Plugin, uplinks: tuple[str, str]
) -> None:
    router = ("--gateway", _GATEWAY)
    _macvlan(engine, "first", uplinks[0], *router, "--ip-range", "100.64.5.64/27")
    _macvlan(engine, "second", uplinks[1], *router, "--ip-range", "100.64.5.96/27")

    engine.restart()

    assert run_container(engine, "one", "first").addresses == ["100.64.5.64/24"]
    assert run_container(engine, "two", "second").addresses == ["100.64.5.96/24"]
    assert not [pool["id"] for pool in plugin.pools() if not pool["claimed"]]
    clear(engine)
    assert plugin.held() == []


def test_a_container_that_asks_for_the_router_of_two_networks_is_refused(
    engine: PrivateEngine, plugin: Plugin, uplinks: tuple[str, str]
) -> None:
    for name, parent in zip(("first", "second"), uplinks, strict=True):
        _macvlan(engine, name, parent, "--gateway", _GATEWAY)

    refused = try_container(engine, "one", "first", "--ip", _GATEWAY)

    assert refused.code != 0
    assert f"address {_GATEWAY} of pool local/{_SUBNET} has been in use since" in refused.stderr


@pytest.mark.parametrize("options", [(), ("--ipam-opt", "shared=true")])
def test_a_second_network_is_refused_where_only_one_of_them_shares_its_subnet(
    engine: PrivateEngine, plugin: Plugin, uplinks: tuple[str, str], options: tuple[str, ...]
) -> None:
    driver = ("--driver", "macvlan", "--opt", f"parent={uplinks[0]}", "--subnet", _SUBNET)
    create_network(engine, "first", *driver, "--ipam-opt", "id=shop")

    second = try_network(engine, "second", *driver, *options)

    assert second.code == 1
    assert f"subnet {_SUBNET} is in use: pool local/{_SUBNET} (id shop)" in second.stderr
    assert "--ipam-opt shared=true" in second.stderr
    assert plugin.held() == [_SUBNET]


@between
@pytest.mark.parametrize("gateway", ["", _GATEWAY], ids=["any gateway", "the same gateway"])
def test_a_second_bridge_that_docker_refuses_has_no_effect(
    engine: PrivateEngine,
    plugin: Plugin,
    happens_between: Callable[[Plugin], None],
    gateway: str,
) -> None:
    options = ("--subnet", _SUBNET, *(("--gateway", gateway) if gateway else ()))
    create_network(engine, "first", *options)
    happens_between(plugin)

    second = try_network(engine, "second", *options)

    assert second.code == 1
    _check_works(engine, plugin, "first")
    assert [lease["address"] for lease in plugin.leases()] == [_GATEWAY]
