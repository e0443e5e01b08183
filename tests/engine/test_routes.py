"""Routes of the host: Docker rejects an automatic IPv4 block that overlaps one."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.engine.objects import create_network, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine


@contextmanager
def _route(engine: PrivateEngine, destination: str) -> Iterator[None]:
    engine.run("ip", "route", "add", destination, "dev", "lo").check()
    try:
        yield
    finally:
        engine.run("ip", "route", "delete", destination, "dev", "lo").check()


def test_a_network_gets_the_first_block_that_no_route_overlaps(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    with _route(engine, "100.64.0.0/26"):
        network = create_network(engine, "net")

    assert network.subnets == ["100.64.0.64/30"]
    assert network.gateways == ["100.64.0.65"]
    assert plugin.held() == ["100.64.0.64/30"]


def test_blocks_rejected_because_of_a_route_are_free_once_it_is_gone(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    with _route(engine, "100.64.0.0/29"):
        create_network(engine, "first")

    assert create_network(engine, "second").subnets == ["100.64.0.0/30"]


def test_a_network_whose_scope_a_route_covers_is_refused_in_a_sentence(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    with _route(engine, "100.64.16.0/20"):
        result = try_network(engine, "net", tags="internally_routed")

    assert result.code == 1
    assert "no block is free for an IPv4 network with tags 'internally_routed'" in result.stderr
    assert plugin.pools() == []


def test_an_explicit_subnet_can_overlap_a_route(engine: PrivateEngine, plugin: Plugin) -> None:
    with _route(engine, "100.64.0.0/26"):
        network = create_network(engine, "net", "--subnet", "100.64.0.0/30")

    assert network.subnets == ["100.64.0.0/30"]
