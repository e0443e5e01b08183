"""Routes of the host: no automatic block overlaps one that the host reaches directly.

They are added in the engine's own network namespace.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.engine.objects import (
    Network,
    create_network,
    run_container,
    try_network,
)
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope
from tests.support.engine.unix_http import request

pytestmark = pytest.mark.any_engine


@pytest.fixture(scope="module")
def vpn(engine: PrivateEngine) -> str:
    """An interface of the host that is up, as a VPN has one."""
    engine.run("ip", "link", "add", "wg0", "type", "bridge").check()
    engine.run("ip", "link", "set", "wg0", "up").check()
    return "wg0"


@contextmanager
def _route(engine: PrivateEngine, destination: str, device: str = "lo") -> Iterator[None]:
    engine.run("ip", "route", "add", destination, "dev", device).check()
    try:
        yield
    finally:
        engine.run("ip", "route", "delete", destination, "dev", device).check()


def _pools_made(plugin: Plugin) -> int:
    metrics = request(plugin.sockets / "driver.sock", "GET", "/metrics").decode()
    made = re.search(r'requests_total{call="RequestPool",outcome="ok"} (\d+)', metrics)
    return int(made[1]) if made else 0


def test_a_network_gets_the_first_block_that_no_route_overlaps(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    with _route(engine, "100.64.0.0/26"):
        network = create_network(engine, "net")

    assert network.subnets == ["100.64.0.64/30"]
    assert network.gateways == ["100.64.0.65"]
    assert plugin.held() == ["100.64.0.64/30"]


def test_no_block_on_a_route_is_tried(engine: PrivateEngine, plugin: Plugin, vpn: str) -> None:
    before = _pools_made(plugin)
    with _route(engine, "100.64.0.0/21", vpn):
        network = create_network(engine, "net")

    assert network.subnets == ["100.64.8.0/30"]
    assert _pools_made(plugin) == before + 1


def test_blocks_on_a_route_are_free_once_it_is_gone(engine: PrivateEngine, plugin: Plugin) -> None:
    with _route(engine, "100.64.0.0/29"):
        create_network(engine, "first")

    assert create_network(engine, "second").subnets == ["100.64.0.0/30"]


def test_the_block_of_a_network_is_free_as_soon_as_the_network_is_removed(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    for _ in range(3):
        network = create_network(engine, "net", "--ipv6")
        assert network.subnets == ["100.64.0.0/30", "fc00:f00f::/64"]
        assert plugin.status()["routes"] == {"failure": None, "covering": []}
        network.remove()


def test_a_network_whose_scope_lies_on_a_route_is_refused_with_route_and_interface(
    engine: PrivateEngine, plugin: Plugin, vpn: str
) -> None:
    before = _pools_made(plugin)
    with _route(engine, "100.64.16.0/20", vpn):
        result = try_network(engine, "net", tags="internally_routed")
        covering = plugin.status()["routes"]["covering"]

    assert result.code == 1
    assert "no block is free for an IPv4 network with tags 'internally_routed'" in result.stderr
    assert "lies on the route 100.64.16.0/20 dev wg0 of this host" in result.stderr
    route = {"route": "100.64.16.0/20", "interface": "wg0", "scope": "100.64.16.0/20"}
    assert covering == [route]
    assert plugin.pools() == []
    assert _pools_made(plugin) == before


def test_an_explicit_subnet_can_overlap_a_route(engine: PrivateEngine, plugin: Plugin) -> None:
    with _route(engine, "100.64.0.0/26"):
        network = create_network(engine, "net", "--subnet", "100.64.0.0/30")

    assert network.subnets == ["100.64.0.0/30"]


@pytest.mark.parametrize(
    "route",
    ["100.64.0.0/20 via 192.0.2.1", "unreachable 100.64.0.0/20", "blackhole 100.64.0.0/20"],
)
def test_a_route_that_is_not_on_link_does_no_harm(
    engine: PrivateEngine, plugin: Plugin, vpn: str, route: str
) -> None:
    engine.run("ip", "address", "add", "192.0.2.2/24", "dev", vpn).check()
    engine.run("ip", "route", "add", *route.split()).check()
    try:
        assert create_network(engine, "net").subnets == ["100.64.0.0/30"]
    finally:
        engine.run("ip", "route", "delete", *route.split()).check()
        engine.run("ip", "address", "flush", "dev", vpn).check()


def test_a_network_never_gets_the_ipv6_prefix_of_the_host(
    engine: PrivateEngine, plugin: Plugin, vpn: str, use_schema: UseSchema
) -> None:
    use_schema(scope("100.64.0.0/20", 28), scope("2001:db8:1::/48", 64))
    engine.run("ip", "address", "add", "2001:db8:1::2/64", "dev", vpn).check()
    network = create_network(engine, "net", "--ipv6")
    engine.run("ip", "address", "delete", "2001:db8:1::2/64", "dev", vpn).check()

    assert network.subnets == ["100.64.0.0/28", "2001:db8:1:1::/64"]
    assert run_container(engine, "one", "net").addresses[1] == "2001:db8:1:1::2/64"


def test_the_range_of_docker0_is_avoided_and_warned_about(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("172.16.0.0/14", 16))
    before = _pools_made(plugin)
    networks = [create_network(engine, name) for name in ("first", "second")]
    status = plugin.status()

    assert [network.subnets for network in networks] == [["172.16.0.0/16"], ["172.18.0.0/16"]]
    assert _pools_made(plugin) == before + 2
    covering = {"route": "172.17.0.0/16", "interface": "docker0", "scope": "172.16.0.0/14"}
    assert status["routes"]["covering"] == [covering]
    assert ["172.17.0.0/16" in warning for warning in status["schema"]["warnings"]] == [True, False]


def test_a_network_under_a_route_that_came_later_works_after_a_restart(
    engine: PrivateEngine, plugin: Plugin, vpn: str
) -> None:
    network = create_network(engine, "net", "--ipv6", "--ipam-opt", "prefix=28")
    with _route(engine, "100.64.0.0/20", vpn):
        engine.restart()
        container = run_container(engine, "one", "net")

        assert container.addresses == ["100.64.0.2/28", "fc00:f00f::2/64"]
        assert Network(engine, "net").subnets == network.subnets
        assert [pool["claimed"] for pool in plugin.pools()] == [True, True]
        assert try_network(engine, "other").code == 1
        container.remove()
        network.remove()
