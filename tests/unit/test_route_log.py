"""What the log says of the routes of the host."""

from __future__ import annotations

import pytest

from tests.support.core import Core, scope, tree_of
from tests.unit.aggregates import core_with

BRIDGE = "br-0123456789ab"


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.20.0.0", 24, child_prefix=28)))


def looked_at(core: Core) -> None:
    """Let the routes be learned as they are now."""
    with core.ipam.reading():
        pass


def said(logged: list[str]) -> list[str]:
    return [line.rstrip() for line in logged if "a route of the host" in line]


def test_a_route_that_takes_a_part_of_a_scope_out_of_use_is_said_to_come_and_to_go(
    core: Core, logged: list[str]
) -> None:
    core.routes.add("10.20.0.0/26")
    looked_at(core)
    core.routes.remove("10.20.0.0/26")
    looked_at(core)

    assert said(logged) == [
        "level=INFO a route of the host came route=10.20.0.0/26 interface=wg0 scopes=10.20.0.0/24",
        "level=INFO a route of the host went route=10.20.0.0/26 interface=wg0 scopes=10.20.0.0/24",
    ]


@pytest.mark.parametrize("is_seen_while_it_ends", [True, False])
@pytest.mark.parametrize("nodes_claim", [True, False])
def test_the_bridge_of_a_network_comes_and_goes_with_it_in_silence(
    core: Core, logged: list[str], *, nodes_claim: bool, is_seen_while_it_ends: bool
) -> None:
    if nodes_claim:
        core = core_with()
    pool = core.pool()
    subnet = pool.removeprefix("local/")
    core.routes.add(subnet, BRIDGE)
    looked_at(core)
    if is_seen_while_it_ends:
        core.routes.remove(subnet, BRIDGE)
        core.release_pool(pool)
    else:
        core.release_pool(pool)
        core.routes.remove(subnet, BRIDGE)
    looked_at(core)

    assert core.pool() == pool
    assert said(logged) == []


def test_a_route_that_two_tables_have_comes_and_goes_once(core: Core, logged: list[str]) -> None:
    for change in (core.routes.add, core.routes.add, core.routes.remove, core.routes.remove):
        change("10.20.0.0/26")
        looked_at(core)

    assert [line.split(" route=")[0] for line in said(logged)] == [
        "level=INFO a route of the host came",
        "level=INFO a route of the host went",
    ]


def test_the_bridge_of_a_network_whose_pool_was_lost_is_said_to_have_come(
    core: Core, logged: list[str]
) -> None:
    core.routes.add("10.20.0.0/28", BRIDGE)
    looked_at(core)

    (line,) = said(logged)
    assert line.startswith("level=INFO a route of the host came route=10.20.0.0/28")
