"""Nodes that share a plan, each of which draws from the blocks that it has claimed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from pyipam.core.aggregates import cidr_of
from pyipam.core.strays import strays
from pyipam.errors import Exhausted, InUse, NotHeld, Unavailable
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import block_of
from pyipam.space.merging import merge_blocks
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import (
    OR_FORGET_H1,
    SCOPE,
    aggregate_of,
    aggregates,
    fill,
    plan_with,
    resting,
)

PLAIN = tree_of(scope("10.1.0.0", 16, child_prefix=22))


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def nodes(plan: SharedPlan, *names: str, tree: ScopeTree | None = None) -> list[Core]:
    """Nodes that load the plan at the same moment, with the same clock."""
    found = [node(plan, name, tree or plan_with()) for name in names]
    for each in found:
        each.time = found[0].time
        each.start()
    return found


def elsewhere(core: Core) -> list[str]:
    with core.ipam.reading() as state:
        return sorted(cidr_of(each) for each in state.aggregates.elsewhere())


def forgotten(plan: SharedPlan, name: str, h1: Core) -> None:
    """Let a node be forgotten, now; node h1 learns of it."""
    plan.forget(name, h1.time.wall)
    h1.ipam.catch_up()


def test_each_node_claims_aggregates_of_its_own(plan: SharedPlan) -> None:
    h1, h2, h3 = nodes(plan, "h1", "h2", "h3")

    assert [core.pool() for core in (h1, h2, h3)] == [
        "local/10.1.0.0/22",
        "local/10.1.128.0/22",
        "local/10.1.64.0/22",
    ]
    assert elsewhere(h1) == []
    h1.ipam.catch_up()
    assert elsewhere(h1) == ["10.1.128.0/20", "10.1.64.0/20"]


def test_a_node_that_starts_knows_the_aggregates_of_the_others(plan: SharedPlan) -> None:
    (h1,) = nodes(plan, "h1")
    h1.pool()

    (h2,) = nodes(plan, "h2")

    assert elsewhere(h2) == ["10.1.0.0/20"]
    assert h2.pool() == "local/10.1.128.0/22"


def test_a_node_does_not_know_the_pools_in_the_aggregates_of_others(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    pool = h1.pool()
    h1.gateway(pool)
    h2.ipam.catch_up()

    with h2.ipam.reading() as state:
        assert list(state.elsewhere.pools()) == []
    (h3,) = nodes(plan, "h3")
    with h3.ipam.reading() as state:
        assert list(state.elsewhere.pools()) == []


def test_pools_in_aggregates_make_nobody_decide_again(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.pool()
    h2.pool()
    h1.ipam.catch_up()
    before = len(plan.pool_changes)

    for core in (h1, h2, h1, h2):
        core.pool()

    assert len(plan.pool_changes) == before


def test_a_node_grows_into_the_buddy_of_its_aggregate_while_that_is_free(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    fill(h1)
    h2.pool("10.1.16.0/24")

    assert h1.pool() == "local/10.1.128.0/22"


def test_two_nodes_that_want_one_block_get_two(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.pool("10.1.53.0/24")

    with pytest.raises(InUse) as refused:
        h2.pool("10.1.48.0/24")

    assert str(refused.value) == (
        "subnet 10.1.48.0/24 is in 10.1.48.0/20, which node h1 claimed on 2023-11-14; ask for a "
        f"subnet in another block, or for none{OR_FORGET_H1}"
    )


def test_the_refusal_of_another_nodes_subnet_names_the_aggregates_of_this_one(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.pool()
    h2.pool()

    with pytest.raises(InUse) as refused:
        h2.pool("10.1.12.0/22")

    assert str(refused.value) == (
        "subnet 10.1.12.0/22 is in 10.1.0.0/20, which node h1 claimed on 2023-11-14; ask for one "
        f"in what this node has claimed (10.1.128.0/20), or for none{OR_FORGET_H1}"
    )


def test_an_aggregate_of_another_node_that_rests_is_not_claimed(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.release_pool(h1.pool())
    h1.make(lambda: h1.ipam.release_aggregate("10.1.0.0/20"))

    with pytest.raises(InUse, match="which node h1 claimed"):
        h2.pool("10.1.0.0/24")
    assert h2.pool() == "local/10.1.128.0/22"


def test_an_aggregate_can_be_claimed_by_another_node_after_its_rest(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.release_pool(h1.pool())
    h1.make(lambda: h1.ipam.release_aggregate("10.1.0.0/20"))
    h1.time.pass_seconds(301)
    h1.ipam.catch_up()

    assert h2.pool("10.1.0.0/24") == "local/10.1.0.0/24"
    assert aggregate_of(h2, "local/10.1.0.0/24") == "10.1.0.0/20"


def test_what_a_swarm_repeats_is_served_in_the_aggregate_of_another_node(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.pool()

    mirror = h2.pool("10.1.8.0/24", is_repeated=True)

    assert (mirror, aggregate_of(h2, mirror)) == ("local/10.1.8.0/24", "")


def test_no_block_is_claimed_in_which_another_node_has_a_pool_from_before(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=PLAIN)
    h1.pool("10.1.16.0/24")
    h2.ipam.use_schema(plan_with())

    assert h2.pool() == "local/10.1.128.0/22"
    with pytest.raises(InUse) as refused:
        h2.pool("10.1.20.0/24")
    assert str(refused.value) == (
        "subnet 10.1.20.0/24 is in the block 10.1.16.0/20 of scope 10.1.0.0/16, which this node "
        "cannot claim (node_prefix) while node h1 holds 10.1.16.0/24 there; ask for one in what "
        "this node has claimed (10.1.128.0/20), or for none"
    )


def test_pools_outside_every_aggregate_are_strays(plan: SharedPlan) -> None:
    (h1,) = nodes(plan, "h1", tree=PLAIN)
    before = h1.pool()
    h1.ipam.use_schema(plan_with())
    h1.pool()

    with h1.ipam.reading() as state:
        assert [pool.id for pool in strays(state)] == [before]


def test_a_claim_that_is_undone_is_not_known_to_anybody(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    store_of(h1).outcome = "fails"

    with pytest.raises(Exception, match="away"):
        h1.pool()

    h2.ipam.catch_up()
    assert (aggregates(h1), elsewhere(h2)) == ([], [])


@pytest.mark.parametrize("outcome", ["lost", "stored"])
def test_a_claim_of_which_nobody_knows_whether_it_was_stored_is_taken_back(
    plan: SharedPlan, outcome: str
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    store_of(h1).outcome = outcome
    with pytest.raises(Exception, match="nobody can tell"):
        h1.pool()

    h1.ipam.catch_up()
    h2.ipam.catch_up()

    assert (aggregates(h1), elsewhere(h2)) == ([], [])
    assert h2.pool() == "local/10.1.0.0/22"


def test_a_full_scope_says_who_has_how_much(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=19))
    fill(h1)
    h2.pool()

    with pytest.raises(Exhausted) as refused:
        h1.pool()

    assert str(refused.value) == (
        "no block is free for an IPv4 network: scope 10.1.0.0/19 has no free /22 block for node h1 "
        "(its one aggregate has no room, other nodes have 1 (h2: 1), and none of the scope's 2 /20 "
        "blocks can be claimed). What helps: remove networks that nobody needs, or free what has "
        "leaked with `pyipam reconcile`, or release what other nodes do not need, or forget those "
        "that are gone (`pyipam nodes`), or enlarge the scope in the schema"
    )


def test_a_scope_full_of_older_aggregates_names_those_of_this_node_and_how_to_release_them() -> (
    None
):
    core = Core(plan_with(prefix=19))
    fill(core, 7)
    core.ipam.use_schema(plan_with(prefix=19, node_prefix=19, child_prefix=21))

    with pytest.raises(Exhausted) as refused:
        core.pool()

    assert str(refused.value) == (
        "no block is free for an IPv4 network: scope 10.1.0.0/19 has no free /21 block for node h1 "
        "(its 2 aggregates have no room, older ones are in the way of /19 blocks (10.1.0.0/20, "
        "10.1.16.0/20), and the scope's one /19 block cannot be claimed). What helps: ask for a "
        "smaller block (--ipam-opt prefix=22), or remove networks that nobody needs, or free what "
        "has leaked with `pyipam reconcile`, or remove the networks of an older aggregate and "
        "release it (pyipam claims release 10.1.0.0/20), or enlarge the scope in the schema"
    )


def test_a_forgotten_node_gives_out_nothing(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    pool = h2.pool()
    forgotten(plan, "h2", h1)
    h2.ipam.catch_up()

    why = (
        "node h2 was forgotten by an operator, and gives out nothing; give its plugin another "
        "NODE_NAME, or undo that with `pyipam nodes forget --undo h2`"
    )
    with pytest.raises(Unavailable) as refused:
        h2.pool()
    assert str(refused.value) == why
    with pytest.raises(Unavailable, match="was forgotten by an operator"):
        h2.pool("10.1.129.0/24")
    with pytest.raises(Unavailable, match="was forgotten by an operator"):
        h2.address(pool)


def test_a_node_that_returns_knows_that_it_was_forgotten(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h2.pool()
    forgotten(plan, "h2", h1)

    h2.start()

    with pytest.raises(Unavailable, match="forgotten"):
        h2.pool()


def test_a_node_is_forgotten_with_its_pools(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=PLAIN)
    h2.address(h2.pool())
    h1.ipam.catch_up()

    forgotten(plan, "h2", h1)

    with h1.ipam.reading() as state:
        assert list(state.elsewhere.pools()) == []
    assert h1.pool() == "local/10.1.0.0/22"


@pytest.mark.parametrize("ahead", [360.0, -360.0, 86400.0, -86400.0])
def test_aggregates_of_a_forgotten_node_rest_as_long_whatever_the_clocks_of_nodes_say(
    plan: SharedPlan, ahead: float
) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=19))
    h2.pool()
    plan.forget("h2", h1.time.wall - ahead)
    h1.ipam.catch_up()
    fill(h1, 4)

    h1.time.pass_seconds(299)
    with pytest.raises(Exhausted):
        h1.pool()
    h1.time.pass_seconds(2)
    assert h1.pool() == "local/10.1.0.0/22"


def test_a_clock_that_is_set_ends_no_rest_of_what_a_forgotten_node_had(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=19))
    h2.pool()
    forgotten(plan, "h2", h1)
    fill(h1, 4)

    h1.time.wall += 400

    with pytest.raises(Exhausted):
        h1.pool()


def test_a_process_that_starts_lets_what_a_forgotten_node_had_rest_anew(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=19))
    h2.pool()
    forgotten(plan, "h2", h1)
    fill(h1, 4)
    h1.time.pass_seconds(299)

    h1.start()

    h1.time.pass_seconds(2)
    with pytest.raises(Exhausted):
        h1.pool()
    h1.time.pass_seconds(300)
    assert h1.pool() == "local/10.1.0.0/22"


def test_the_aggregates_of_a_forgotten_node_are_claimed_when_nothing_else_is_free(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=19))
    h2.pool()
    forgotten(plan, "h2", h1)
    assert h1.pool() == "local/10.1.16.0/22"
    fill(h1, 3)

    with pytest.raises(Exhausted):
        h1.pool()
    h1.time.pass_seconds(301)

    assert h1.pool() == "local/10.1.0.0/22"
    assert aggregates(h1) == ["10.1.0.0/20", "10.1.16.0/20"]
    assert elsewhere(h1) == []


def test_a_subnet_of_a_forgotten_node_can_be_claimed_after_its_rest(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h2.pool("10.1.53.0/24")
    forgotten(plan, "h2", h1)

    with pytest.raises(InUse, match="which node h2 claimed"):
        h1.pool("10.1.53.0/24")
    h1.time.pass_seconds(301)

    assert h1.pool("10.1.53.0/24") == "local/10.1.53.0/24"


def test_a_node_that_is_remembered_takes_back_what_nobody_has_claimed(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h2.pool()
    forgotten(plan, "h2", h1)
    plan.undo_forgetting("h2")

    h2.start()

    assert h2.pool().startswith("local/10.1.")
    assert aggregates(h2) == ["10.1.0.0/20"]


def test_a_node_can_be_drained_from_another_one(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h2.pool()
    h1.ipam.catch_up()

    h1.make(lambda: h1.ipam.drain("h2"))

    with pytest.raises(Unavailable, match="node h2 is being drained"):
        h2.pool()
    assert h1.pool() == "local/10.1.128.0/22"


def test_only_the_node_itself_releases_its_aggregates(plan: SharedPlan) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h2.release_pool(h2.pool())
    h1.ipam.catch_up()

    with pytest.raises(NotHeld) as refused:
        h1.make(lambda: h1.ipam.release_aggregate("10.1.0.0/20"))

    assert str(refused.value) == (
        "10.1.0.0/20 is not of this node: node h2 has claimed 10.1.0.0/20, and it can be released "
        "only there"
    )


def test_many_nodes_that_start_together_claim_different_blocks(plan: SharedPlan) -> None:
    found = nodes(plan, *(f"h{number}" for number in range(16)))

    claimed = [core.pool() for core in found]

    assert len(set(claimed)) == 16
    assert all(len(aggregates(core)) == 1 for core in found)
    with pytest.raises(Exhausted):
        nodes(plan, "h16", tree=tree_of(SCOPE))[0].pool()


def test_what_a_node_that_is_remembered_does_not_take_back_is_free_after_its_rest(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h2.release_pool(h2.pool())
    forgotten(plan, "h2", h1)
    plan.undo_forgetting("h2")
    h2.start()

    h2.time.pass_seconds(301)
    h2.ipam.catch_up()

    assert (aggregates(h2), resting(h2)) == ([], [])


def test_nodes_that_grow_side_by_side_have_aggregates_beside_each_other(plan: SharedPlan) -> None:
    found = nodes(
        plan, *(f"h{number}" for number in range(8)), tree=plan_with(network="10.0.0.0", prefix=12)
    )

    for _ in range(7):
        for core in found:
            fill(core)

    for core in found:
        blocks = [block_of(ip_network(cidr)) for cidr in aggregates(core)]
        assert [block.length for block in merge_blocks(blocks)] == [18, 19, 20]


# Nodes whose schemas differ, or have lost the key


@pytest.mark.parametrize("subnet", ["10.1.0.0/24", "10.1.0.0/22", "10.1.0.0/18"])
def test_no_subnet_is_given_out_over_another_nodes_aggregate_where_the_key_is_gone(
    plan: SharedPlan, subnet: str
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    h1.address(h1.pool("10.1.0.0/24"))
    for core in (h1, h2):
        core.tree = PLAIN
        core.ipam.use_schema(PLAIN)

    with pytest.raises(InUse) as refused:
        h2.pool(subnet)

    relation = "contains" if subnet.endswith("/18") else "is in"
    assert str(refused.value) == (
        f"subnet {subnet} {relation} 10.1.0.0/20, which node h1 claimed on 2023-11-14; ask for a "
        f"subnet in another block, or for none{OR_FORGET_H1}"
    )


def test_no_subnet_is_given_out_over_another_nodes_aggregate_where_the_key_is_not_there_yet(
    plan: SharedPlan,
) -> None:
    (h1,) = nodes(plan, "h1")
    h1.address(h1.pool("10.1.0.0/24"))
    (h2,) = nodes(plan, "h2", tree=PLAIN)

    with pytest.raises(InUse):
        h2.pool("10.1.0.0/24")


def test_a_subnet_over_what_a_forgotten_node_had_is_given_out_after_its_rest(
    plan: SharedPlan,
) -> None:
    (h1,) = nodes(plan, "h1")
    h1.pool("10.1.0.0/24")
    (h2,) = nodes(plan, "h2", tree=PLAIN)
    forgotten(plan, "h1", h2)
    with pytest.raises(InUse):
        h2.pool("10.1.0.0/24")

    h2.time.pass_seconds(400)

    assert h2.pool("10.1.0.0/24") == "local/10.1.0.0/24"


def test_no_rest_ends_for_a_block_over_another_nodes_aggregate(plan: SharedPlan) -> None:
    keys = {"prefix": 22, "child_prefix": 26, "reuse_delay": 3600}
    plain, with_key = tree_of(scope("10.1.0.0", **keys)), plan_with(**keys, node_prefix=24)
    (h1,) = nodes(plan, "h1", tree=with_key)
    (h2,) = nodes(plan, "h2", tree=plain)
    stray = h2.pool("10.1.1.0/26")
    h2.address(stray)
    h1.ipam.catch_up()
    h1.address(h1.pool("10.1.0.0/26"))
    h2.release_pool(stray)

    assert h2.pool(length=23) == "local/10.1.2.0/23"
    with pytest.raises(Exhausted):
        h2.pool(length=23)


@pytest.mark.parametrize(
    "later",
    [
        scope("10.1.0.0", 19, child_prefix=22),
        scope("10.1.0.0", 19, node_prefix=19, child_prefix=20),
    ],
)
def test_what_a_forgotten_node_had_is_free_again_where_it_cannot_be_claimed_any_more(
    plan: SharedPlan, later: dict[str, object]
) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=19))
    h2.pool()
    h1.ipam.catch_up()
    h1.tree = tree_of(later)
    h1.ipam.use_schema(h1.tree)
    forgotten(plan, "h2", h1)
    assert elsewhere(h1) == ["10.1.0.0/20"]

    h1.time.pass_seconds(400)
    h1.ipam.catch_up()

    assert elsewhere(h1) == []
    assert h1.pool().startswith("local/10.1.0.0/")


@pytest.mark.parametrize("subnet", ["10.1.0.0/22", "10.1.0.0/18"])
def test_no_subnet_of_a_swarm_is_given_out_over_another_nodes_aggregate(
    plan: SharedPlan, subnet: str
) -> None:
    (h1,) = nodes(plan, "h1")
    h1.pool()
    (leader,) = nodes(plan, "leader", tree=PLAIN)

    with pytest.raises(InUse, match=r"10\.1\.0\.0/20, which node h1 claimed"):
        leader.pool(subnet, space="global")
    assert leader.pool("10.1.128.0/22", space="global") == "global/10.1.128.0/22"


def test_no_subnet_of_a_swarm_outside_every_scope_is_given_out_over_another_nodes_aggregate(
    plan: SharedPlan,
) -> None:
    (h1,) = nodes(plan, "h1")
    h1.pool()
    (leader,) = nodes(plan, "leader", tree=tree_of(scope("10.2.0.0", 16, child_prefix=24)))
    leader.policy = replace(leader.policy, allow_unmanaged=True)
    leader.start()

    with pytest.raises(InUse, match=r"10\.1\.0\.0/20, which node h1 claimed"):
        leader.pool("10.1.0.0/22", space="global")


def test_a_new_leader_is_given_what_its_swarm_has_over_an_aggregate(plan: SharedPlan) -> None:
    (h1,) = nodes(plan, "h1")
    h1.pool()
    (leader,) = nodes(plan, "leader", tree=PLAIN)

    again = leader.pool("10.1.0.0/22", space="global", is_repeated=True)

    assert again == "global/10.1.0.0/22"


def test_a_refusal_counts_the_aggregates_of_others_that_rest_and_says_until_when(
    plan: SharedPlan,
) -> None:
    """Nobody can release them: they were released already."""
    tree = plan_with(prefix=19, reuse_delay=3600)
    h1, h2 = nodes(plan, "h1", "h2", tree=tree)
    for pool in fill(h1, 5):
        h1.address(pool)
        h1.release_pool(pool)
    h2.ipam.catch_up()
    kept = aggregates(h1)

    with pytest.raises(Exhausted) as refused:
        h2.pool()

    assert len(kept) == 1
    message = str(refused.value)
    assert "other nodes have 2 (h1: 2, 1 of them at rest)" in message
    assert "wait until one of those at rest has rested (the first: 2023-11-14T23:" in message
    assert "release what other nodes do not need" in message


def test_a_forgotten_host_with_another_name_gets_the_subnets_of_its_networks_after_their_rest(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2")
    pool = h2.pool("10.1.128.0/22")
    forgotten(plan, "h2", h1)
    (renamed,) = nodes(plan, "h2b")
    renamed.routes.add("10.1.128.0/22")
    with pytest.raises(InUse, match="which node h2 claimed"):
        renamed.pool("10.1.128.0/22")

    renamed.time.pass_seconds(301)

    assert renamed.pool("10.1.128.0/22") == pool
    assert aggregates(renamed) == ["10.1.128.0/20"]


def test_nothing_automatic_comes_from_what_a_forgotten_node_had_on_a_route(
    plan: SharedPlan,
) -> None:
    h1, h2 = nodes(plan, "h1", "h2", tree=plan_with(prefix=20))
    h2.pool()
    forgotten(plan, "h2", h1)
    h1.routes.add("10.1.0.0/22")

    h1.time.pass_seconds(301)

    with pytest.raises(Exhausted):
        h1.pool()
