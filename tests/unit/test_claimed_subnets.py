"""Explicit subnets in scopes whose nodes claim blocks."""

from __future__ import annotations

import pytest

from pyipam.errors import InUse, NotManaged
from tests.support.core import Core, scope, tree_of
from tests.unit.aggregates import (
    SCOPE,
    aggregate_of,
    aggregates,
    core_with,
    fill,
    plan_with,
    resting,
)


def test_a_subnet_in_free_space_is_claimed_with_the_block_around_it() -> None:
    core = core_with()

    pool = core.pool("10.1.53.0/24")

    assert pool == "local/10.1.53.0/24"
    assert aggregates(core) == ["10.1.48.0/20"]
    assert aggregate_of(core, pool) == "10.1.48.0/20"


def test_automatic_blocks_come_from_an_aggregate_that_was_claimed_with_a_subnet() -> None:
    core = core_with()
    core.pool("10.1.53.0/24")

    assert core.pool() == "local/10.1.48.0/22"
    assert core.pool() == "local/10.1.56.0/22"


def test_a_subnet_in_an_own_aggregate_claims_nothing() -> None:
    core = core_with()
    fill(core, 1)

    pool = core.pool("10.1.8.0/24")

    assert aggregates(core) == ["10.1.0.0/20"]
    assert aggregate_of(core, pool) == "10.1.0.0/20"


def test_a_subnet_in_an_own_aggregate_that_rests_takes_that_back() -> None:
    core = core_with()
    for pool in fill(core, 5):
        core.release_pool(pool)
    assert resting(core) == ["10.1.16.0/20"]

    core.pool("10.1.20.0/22")

    assert (aggregates(core), resting(core)) == (["10.1.0.0/20", "10.1.16.0/20"], [])


def test_a_subnet_that_is_an_own_aggregate_as_a_whole_is_refused() -> None:
    core = core_with()
    core.release_pool(core.pool())

    with pytest.raises(NotManaged) as refused:
        core.pool("10.1.0.0/20")

    assert str(refused.value) == (
        "subnet 10.1.0.0/20 is too large: a network of scope 10.1.0.0/16 gets at most a /21, as "
        "its nodes claim /20 blocks (node_prefix); ask for a subnet of /21 or longer"
    )


def test_a_subnet_that_is_an_older_aggregate_as_a_whole_is_refused() -> None:
    core = core_with(node_prefix=21)
    core.release_pool(core.pool())
    core.ipam.use_schema(plan_with())

    with pytest.raises(NotManaged) as refused:
        core.pool("10.1.0.0/21")

    assert str(refused.value) == (
        "subnet 10.1.0.0/21 is an aggregate of this node as a whole, which would not be announced "
        "beside it (node_prefix); ask for a part of it, or for a subnet elsewhere"
    )


def test_a_network_that_has_an_own_aggregate_as_a_whole_is_found_again() -> None:
    core = core_with()
    core.release_pool(core.pool())
    pool = core.pool("10.1.0.0/20", is_repeated=True)

    core.restart_engine("engine-2")

    assert core.pool("10.1.0.0/20") == pool


@pytest.mark.parametrize("subnet", ["10.1.16.0/20", "10.1.128.0/17"])
def test_a_subnet_as_large_as_an_aggregate_is_refused(subnet: str) -> None:
    core = core_with()

    with pytest.raises(NotManaged) as refused:
        core.pool(subnet)

    assert str(refused.value) == (
        f"subnet {subnet} is too large: a network of scope 10.1.0.0/16 gets at most a /21, as its "
        "nodes claim /20 blocks (node_prefix); ask for a subnet of /21 or longer"
    )
    assert aggregates(core) == []


def test_a_subnet_beside_a_scope_below_cannot_be_claimed() -> None:
    core = core_with(scopes=[scope("10.1.16.0", 22, child_prefix=24)])

    with pytest.raises(NotManaged) as refused:
        core.pool("10.1.20.0/24")

    assert str(refused.value) == (
        "subnet 10.1.20.0/24 is in the block 10.1.16.0/20 of scope 10.1.0.0/16, which no node can "
        "claim (node_prefix), as scopes below it have a part of it; ask for a subnet in another "
        "block, or for none"
    )


def grown_out_of() -> Core:
    """A node that has claimed 10.1.0.0/20, and claims larger blocks by now."""
    core = core_with()
    core.release_pool(core.pool())
    core.ipam.use_schema(plan_with(node_prefix=18))
    return core


@pytest.mark.parametrize(
    ("subnet", "instead"),
    [
        ("10.1.16.0/24", "one in what this node has claimed (10.1.0.0/20)"),
        ("10.1.0.0/19", "a subnet in another block"),
    ],
)
def test_a_subnet_in_whose_block_an_older_aggregate_is_names_it_and_how_to_release_it(
    subnet: str, instead: str
) -> None:
    core = grown_out_of()

    with pytest.raises(InUse) as refused:
        core.pool(subnet)

    assert str(refused.value) == (
        f"subnet {subnet} is in the block 10.1.0.0/18 of scope 10.1.0.0/16, which this node cannot "
        "claim (node_prefix) while it has the older aggregate 10.1.0.0/20 there, claimed on "
        f"2023-11-14; ask for {instead}, or for none, or remove the networks of that aggregate and "
        "release it (pyipam claims release 10.1.0.0/20)"
    )


def test_a_subnet_in_whose_block_an_older_aggregate_rests_is_told_until_when() -> None:
    core = grown_out_of()
    core.make(lambda: core.ipam.release_aggregate("10.1.0.0/20"))

    with pytest.raises(InUse) as refused:
        core.pool("10.1.16.0/24")

    assert str(refused.value) == (
        "subnet 10.1.16.0/24 is in the block 10.1.0.0/18 of scope 10.1.0.0/16, which this node "
        "cannot claim (node_prefix) while the older aggregate 10.1.0.0/20 rests there, until "
        "2023-11-14T22:18:20Z; ask for a subnet in another block, or for none, or try again then"
    )
    core.time.pass_seconds(301)
    assert core.pool("10.1.16.0/24") == "local/10.1.16.0/24"


def test_a_subnet_of_a_swarm_is_refused_to_a_new_network() -> None:
    core = core_with()

    with pytest.raises(NotManaged) as refused:
        core.pool("10.1.16.0/24", space="global")

    assert str(refused.value) == (
        "subnet 10.1.16.0/24 is in scope 10.1.0.0/16, of which each node claims blocks for itself "
        "(node_prefix), and a network of a swarm spans nodes; ask for a subnet of another scope"
    )


def test_a_subnet_that_a_swarm_repeats_is_served_and_claims_nothing() -> None:
    core = core_with()

    mirror = core.pool("10.1.16.0/20", is_repeated=True)

    assert aggregates(core) == []
    assert aggregate_of(core, mirror) == ""


def test_no_aggregate_is_claimed_around_what_a_swarm_repeats() -> None:
    core = core_with()
    core.pool("10.1.0.0/24", is_repeated=True)

    assert core.pool() == "local/10.1.128.0/22"


def test_a_subnet_beside_an_own_pool_outside_every_aggregate_is_claimed_around_both() -> None:
    store = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))
    store.pool("10.1.16.0/22")
    core = Core(tree_of(SCOPE), store=store.store)

    core.pool("10.1.20.0/22")

    assert aggregates(core) == ["10.1.16.0/20"]
    assert core.pool() == "local/10.1.24.0/22"


def test_a_subnet_that_is_held_is_served_again_without_a_claim() -> None:
    core = core_with()
    pool = core.pool("10.1.53.0/24")
    core.restart_engine("engine-2")

    assert core.pool("10.1.53.0/24") == pool
    assert aggregates(core) == ["10.1.48.0/20"]


def test_pools_of_one_subnet_are_drawn_from_one_aggregate() -> None:
    core = core_with()
    mirror = core.pool("10.1.0.0/24", shared=True, is_repeated=True)

    second = core.pool("10.1.0.0/24", ip_range="10.1.0.128/25", shared=True)

    assert aggregate_of(core, second) == aggregate_of(core, mirror) == ""


def test_a_subnet_outside_every_scope_is_refused_as_ever() -> None:
    core = core_with()

    with pytest.raises(NotManaged, match="outside every scope"):
        core.pool("10.2.0.0/24")


def test_a_subnet_that_overlaps_a_pool_is_refused_and_claims_nothing() -> None:
    core = core_with()
    core.pool("10.1.16.0/24", is_repeated=True)

    with pytest.raises(InUse, match="overlaps pool"):
        core.pool("10.1.16.0/23")

    assert aggregates(core) == []


def test_no_aggregate_is_claimed_inside_a_network_of_a_swarm() -> None:
    core = core_with()
    core.pool("10.1.0.0/18", space="global", is_repeated=True)

    with pytest.raises(InUse) as refused:
        core.pool("10.1.16.0/24")

    assert str(refused.value) == (
        "subnet 10.1.16.0/24 is in the block 10.1.16.0/20 of scope 10.1.0.0/16, which this node "
        "cannot claim (node_prefix) while a swarm holds 10.1.0.0/18 there; ask for a subnet in "
        "another block, or for none"
    )
    assert aggregates(core) == []
