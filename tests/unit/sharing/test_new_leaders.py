"""A swarm's leader changes: what the new one's node knows of what the former one gave out."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse
from tests.support.core import Core, Time, scope, tree_of
from tests.support.several_nodes import lead, repeat
from tests.support.shared_plan import NodeStore, SharedPlan

# The swarm's leader changes


def test_a_new_leader_takes_over_what_it_claims(first: Core, second: Core, swarm: str) -> None:
    lead(second, "a later run")
    repeat(second, swarm, "10.0.0.2")
    assert second.references(swarm) == 1
    with pytest.raises(InUse):
        second.address(swarm, "10.0.0.2")


def test_addresses_that_a_new_leader_does_not_claim_are_given_out_last(
    first: Core, second: Core, swarm: str
) -> None:
    lead(second, "a later run")
    repeat(second, swarm, "10.0.0.2")
    assert second.leases(swarm) == {"10.0.0.1": True, "10.0.0.2": True, "10.0.0.3": False}
    rest = [second.address(swarm) for _ in range(251)]
    assert "10.0.0.3/24" not in rest
    assert second.address(swarm) == "10.0.0.3/24"


def test_a_pool_that_a_new_leader_releases_is_free(first: Core, second: Core, swarm: str) -> None:
    lead(second, "a later run")
    repeat(second, swarm)
    second.release_pool(swarm)
    assert second.pools() == []
    assert second.pool() == "local/10.0.0.0/24"


def test_a_node_that_leads_again_knows_what_changed_meanwhile(
    first: Core, second: Core, swarm: str
) -> None:
    lead(second, "a later run")
    repeat(second, swarm, "10.0.0.2", "10.0.0.3")
    second.release(swarm, "10.0.0.2")
    second.address(swarm, "10.0.0.7")
    lead(first, "the first leads again")
    repeat(first, swarm, "10.0.0.7")
    assert set(first.leases(swarm)) == {"10.0.0.1", "10.0.0.3", "10.0.0.7"}
    assert first.address(swarm) == "10.0.0.2/24"


def test_a_pool_that_a_new_leader_did_not_replay_is_given_out_when_all_others_are_taken(
    plan: SharedPlan,
) -> None:
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    first.pool(space="global")
    claimed = first.pool(space="global")
    first.gateway(claimed)
    lead(second, "a later run")
    with pytest.raises(Exhausted):
        second.pool(space="global")
    repeat(second, claimed)
    assert second.pool(space="global") == "global/10.0.0.0/24"


def test_a_former_leader_takes_nothing_from_the_present_one(plan: SharedPlan) -> None:
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    pools = [first.pool(space="global") for _ in range(2)]
    for pool in pools:
        first.gateway(pool)
    for leader in (second, first):
        lead(leader, "a later run")
        for pool in pools:
            repeat(leader, pool)
    with pytest.raises(Exhausted):
        second.pool()


@pytest.mark.parametrize("since", ["before", "after"])
def test_a_host_that_leads_no_swarm_takes_nothing_from_the_leader(
    plan: SharedPlan, since: str
) -> None:
    """`docker network create -d overlay` there: Docker asks, finds no swarm, and hands back."""
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    stray = Core(tree, store=NodeStore(plan, "stray"))
    leader = Core(tree, store=NodeStore(plan, "leader"))
    lead(leader, "a later run")
    pools = [leader.pool(space="global") for _ in range(2)]
    for pool in pools:
        leader.gateway(pool)
    task = leader.address(pools[0])
    if since == "after":
        lead(stray, "a later run")

    assert stray.pool("10.0.0.0/24", space="global") == pools[0]
    gateway = stray.gateway(pools[0]).partition("/")[0]
    with pytest.raises(Exhausted):
        stray.pool()
    stray.release(pools[0], gateway)
    stray.release_pool(pools[0])

    assert leader.references(pools[0]) == 1
    assert leader.leases(pools[0]) == {"10.0.0.1": True, "10.0.0.2": True}
    assert leader.address(pools[0], serial=True) not in (task, "10.0.0.1/24")
    leader.release_pool(pools[0])
    assert leader.pools() == pools[1:]


def test_a_refused_replay_makes_no_other_pool_look_unclaimed(plan: SharedPlan) -> None:
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    pool, _ = (first.pool(space="global") for _ in range(2))
    first.gateway(pool, driver="ingress")
    lead(second, "a later run")
    second.pool("10.0.0.0/24", space="global")
    with pytest.raises(InUse):
        second.gateway(pool, "10.0.0.1", serial=True)
    with pytest.raises(Exhausted):
        second.pool(space="global")


def test_serial_addresses_continue_after_the_last_one_whatever_is_released(first: Core) -> None:
    pool = first.pool(space="global")
    given = [first.address(pool, serial=True) for _ in range(4)]
    for address in (given[1], given[0]):
        first.release(pool, address.partition("/")[0])
    assert [first.address(pool, serial=True) for _ in range(2)] == ["10.0.0.5/24", "10.0.0.6/24"]


# What rests


def test_an_address_that_has_rested_on_an_idle_node_is_free_for_the_others(
    plan: SharedPlan,
) -> None:
    tree = tree_of(scope("10.0.0.0", 24, child_prefix=24, reuse_delay=60))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    pool = first.pool()
    first.address(pool)
    first.release_pool(pool)
    with pytest.raises(Exhausted):
        second.pool()

    first.time.pass_seconds(61)
    first.ipam.catch_up()

    assert second.pool() == pool


@pytest.mark.parametrize("ahead", [-3600.0, 0.0, 3600.0])
def test_a_rest_takes_its_time_under_a_leader_with_another_clock(
    plan: SharedPlan, ahead: float
) -> None:
    tree = tree_of(scope("10.0.0.0", 22, child_prefix=24, reuse_delay=60))
    first = Core(tree, store=NodeStore(plan, "first"))
    swarm = first.pool(space="global")
    first.gateway(swarm, serial=True)
    first.address(swarm)
    first.release(swarm, "10.0.0.2")
    ended = first.pool(space="global")
    first.gateway(ended, serial=True)
    first.release_pool(ended)

    second = Core(tree, store=NodeStore(plan, "second"), time=Time(wall=first.time.wall + ahead))
    lead(second, "a later run")
    repeat(second, swarm)
    second.ipam.use_schema(tree)
    assert second.address(swarm) == "10.0.0.3/24"
    assert second.pool(space="global") == "global/10.0.2.0/24"
    second.time.pass_seconds(61)
    assert second.address(swarm) == "10.0.0.2/24"
    assert second.pool(space="global") == ended
