"""What is taken in where nodes claim blocks: the one around it is claimed with it, if it can be."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyipam.core.strays import strays
from pyipam.core.taking_in import UsedAddress, UsedPool
from pyipam.errors import InUse, Unavailable
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import parse_address
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import (
    OR_FORGET_H1,
    SUBNETS_OF_AGGREGATE,
    aggregate_of,
    aggregates,
    core_with,
    fill,
    plan_with,
    resting,
)

PLAIN = tree_of(scope("10.1.0.0", 16, child_prefix=22))


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def take_in(core: Core, subnet: str, **wishes: Any) -> str:
    """Take in a network's pool with its gateway; the pool's id."""
    network = ip_network(subnet)
    gateway = UsedAddress(parse_address(str(network[1])), networks=1)
    used = UsedPool(core.pool_request(subnet, **wishes), network, 1, (gateway,))
    assert core.make(lambda: core.ipam.take_in_pool(used)) == ()
    return f"local/{subnet}"


def outside(core: Core) -> list[str]:
    with core.ipam.reading() as state:
        return [pool.id for pool in strays(state)]


def test_the_block_around_a_subnet_in_free_space_is_claimed_with_it() -> None:
    core = core_with()

    pool = take_in(core, "10.1.52.0/22")

    assert aggregates(core) == ["10.1.48.0/20"]
    assert aggregate_of(core, pool) == "10.1.48.0/20"
    assert core.pool() == "local/10.1.48.0/22"


def test_further_subnets_of_an_aggregate_are_taken_in_there() -> None:
    core = core_with()

    pools = [take_in(core, subnet) for subnet in ("10.1.52.0/22", "10.1.48.0/24")]

    assert aggregates(core) == ["10.1.48.0/20"]
    assert {aggregate_of(core, pool) for pool in pools} == {"10.1.48.0/20"}


def test_an_aggregate_that_rests_is_taken_back() -> None:
    core = core_with()
    for pool in fill(core, 2 * SUBNETS_OF_AGGREGATE):
        core.release_pool(pool)
    assert resting(core) == ["10.1.16.0/20"]

    pool = take_in(core, "10.1.20.0/22")

    assert resting(core) == []
    assert aggregate_of(core, pool) == "10.1.16.0/20"


@pytest.mark.parametrize("tree", [plan_with(), PLAIN])
@pytest.mark.parametrize(
    ("subnet", "relation"),
    [("10.1.4.0/22", "is in"), ("10.1.0.0/20", "is in"), ("10.1.0.0/18", "contains")],
)
def test_a_subnet_over_an_aggregate_of_another_node_is_not_taken_in(
    plan: SharedPlan, tree: ScopeTree, subnet: str, relation: str
) -> None:
    node(plan, "h1", plan_with()).pool()
    h2 = node(plan, "h2", tree)

    with pytest.raises(InUse) as refused:
        take_in(h2, subnet)

    assert str(refused.value) == (
        f"subnet {subnet} {relation} 10.1.0.0/20, which node h1 claimed on 2023-11-14, and which "
        "addresses are in use there is known to that node alone; nothing has been taken in: create "
        f"the network again, with another subnet or with none{OR_FORGET_H1}"
    )
    assert (h2.pools(), aggregates(h2)) == ([], [])


def test_a_subnet_over_what_a_forgotten_node_had_is_taken_in_after_its_rest(
    plan: SharedPlan,
) -> None:
    node(plan, "h1", plan_with()).pool()
    h2 = node(plan, "h2", plan_with())
    plan.forget("h1", h2.time.wall)
    message = (
        "that node was forgotten, and the block rests for another 300 s, until "
        "2023-11-14T22:18:20Z; nothing has been taken in: try again then"
    )
    with pytest.raises(InUse, match=message):
        take_in(h2, "10.1.4.0/22")

    h2.time.pass_seconds(400)

    assert aggregate_of(h2, take_in(h2, "10.1.4.0/22")) == "10.1.0.0/20"


def test_a_subnet_in_what_has_rested_and_is_not_free_says_what_frees_it(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with())
    for pool in fill(h1, 2 * SUBNETS_OF_AGGREGATE):
        h1.release_pool(pool)
    h2 = node(plan, "h2", plan_with())
    h2.time.pass_seconds(1000)

    with pytest.raises(InUse) as refused:
        take_in(h2, "10.1.16.0/22")

    assert str(refused.value) == (
        "subnet 10.1.16.0/22 is in 10.1.16.0/20, which node h1 claimed on 2023-11-14; that node "
        "has given it back, and has not freed it after its rest, so that it seems not to be "
        f"running; nothing has been taken in: start it{OR_FORGET_H1}"
    )


def test_a_subnet_of_a_swarm_is_taken_in_over_an_aggregate_of_another_node(
    plan: SharedPlan,
) -> None:
    node(plan, "h1", plan_with()).pool()
    h2 = node(plan, "h2", PLAIN)
    h2.pool("10.1.4.0/22", space="global", is_repeated=True)

    pool = take_in(h2, "10.1.4.0/22")

    assert (aggregates(h2), aggregate_of(h2, pool)) == ([], "")


@pytest.mark.parametrize("subnet", ["10.1.0.0/20", "10.1.0.0/18"])
def test_a_subnet_that_is_as_large_as_an_aggregate_is_held_outside_of_them(subnet: str) -> None:
    core = core_with()

    pool = take_in(core, subnet)

    assert (aggregates(core), outside(core)) == ([], [pool])


def test_a_subnet_beside_another_nodes_pool_is_held_outside_every_aggregate(
    plan: SharedPlan,
) -> None:
    node(plan, "h1", PLAIN).pool("10.1.48.0/22")
    h2 = node(plan, "h2", plan_with())

    pool = take_in(h2, "10.1.52.0/22")

    assert (aggregates(h2), outside(h2)) == ([], [pool])


def test_a_subnet_of_a_swarm_claims_nothing() -> None:
    core = Core(PLAIN)
    core.pool("10.1.48.0/22", space="global")
    core.ipam.use_schema(plan_with())

    take_in(core, "10.1.48.0/22")

    assert aggregates(core) == []


def test_a_subnet_in_a_scope_without_node_prefix_claims_nothing() -> None:
    core = Core(PLAIN)

    assert aggregate_of(core, take_in(core, "10.1.48.0/22")) == ""


def test_what_was_claimed_is_found_again_after_a_restart() -> None:
    core = core_with()
    pool = take_in(core, "10.1.52.0/22")

    core.restart_engine("engine-2")

    assert aggregates(core) == ["10.1.48.0/20"]
    assert core.pool("10.1.52.0/22") == pool


def test_a_node_that_is_drained_holds_again_what_it_had() -> None:
    core = core_with()
    core.make(lambda: core.ipam.drain("h1"))

    take_in(core, "10.1.52.0/22")

    assert aggregates(core) == ["10.1.48.0/20"]


def test_a_node_that_was_forgotten_takes_nothing_in(plan: SharedPlan) -> None:
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    pool = h1.pool()
    plan.forget("h1", h2.time.wall)
    h1.ipam.catch_up()

    with pytest.raises(Unavailable, match="node h1 was forgotten by an operator"):
        take_in(h1, "10.1.52.0/22")
    used = UsedAddress(parse_address("10.1.0.9"))
    with pytest.raises(Unavailable, match="node h1 was forgotten by an operator"):
        h1.make(lambda: h1.ipam.take_in_address("driver", pool, used))
