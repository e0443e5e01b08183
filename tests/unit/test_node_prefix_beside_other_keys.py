"""Scopes whose nodes claim blocks, beside other scopes and keys, and all that a network may ask."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyipam.core.selection import Policy
from pyipam.core.taking_in import UsedPool
from pyipam.errors import Exhausted, InUse, NotManaged
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.store.records import LeaseRecord, PoolRecord
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import (
    SCOPE,
    SUBNETS_OF_AGGREGATE,
    aggregate_of,
    aggregates,
    core_with,
    fill,
    resting,
)

PLAIN = scope("10.2.0.0", 16, child_prefix=24)
BELOW = scope("10.1.64.0", 18, node_prefix=22, child_prefix=24, tags=["below"])


def nested(**keys: Any) -> Core:
    """A scope whose nodes claim /20 blocks, around one whose nodes claim /22 blocks."""
    return core_with(scopes=[BELOW], tags=["top"], propagate_tags=False, **keys)


# Several scopes


def test_tags_decide_between_scopes_with_and_without_the_key() -> None:
    core = Core(tree_of(SCOPE | {"tags": ["routed"]}, PLAIN | {"tags": ["plain"]}))

    assert core.pool(tags="plain,routed") == "local/10.2.0.0/24"
    assert aggregates(core) == []
    assert core.pool(tags="routed,plain") == "local/10.1.0.0/22"
    assert core.pool(tags="!routed") == "local/10.2.1.0/24"


def test_the_default_tags_select_a_scope_with_the_key() -> None:
    policy = Policy(parse_tag_filter("routed"))
    core = Core(tree_of(PLAIN, SCOPE | {"tags": ["routed"]}), policy)

    assert core.pool() == "local/10.1.0.0/22"


def test_a_full_scope_with_the_key_passes_on_to_one_without_it() -> None:
    core = Core(tree_of(SCOPE | {"prefix": 20}, PLAIN))
    fill(core)

    pool = core.pool()

    assert pool == "local/10.2.0.0/24"
    assert aggregate_of(core, pool) == ""


def test_a_length_that_only_another_scope_gives_is_drawn_there() -> None:
    core = Core(tree_of(SCOPE, PLAIN))

    assert core.pool(length=20) == "local/10.2.0.0/20"
    assert aggregates(core) == []


def test_a_scope_below_has_aggregates_of_its_own() -> None:
    core = nested()

    below, top = core.pool(tags="below"), core.pool(tags="top")

    assert (below, aggregate_of(core, below)) == ("local/10.1.64.0/24", "10.1.64.0/22")
    assert (top, aggregate_of(core, top)) == ("local/10.1.128.0/22", "10.1.128.0/20")


def test_no_aggregate_of_a_scope_reaches_into_one_below_it() -> None:
    core = nested()

    for _ in range(48):
        core.gateway(core.pool(tags="top"))

    claimed = aggregates(core)
    assert len(claimed) == 12
    assert not [cidr for cidr in claimed if cidr.split(".")[2] in ("64", "80", "96", "112")]


def test_a_subnet_in_a_scope_below_is_claimed_from_that() -> None:
    core = nested()

    core.pool("10.1.70.0/24")

    assert aggregates(core) == ["10.1.68.0/22"]


def test_the_empty_aggregates_of_one_scope_end_for_none_of_another() -> None:
    core = nested()
    core.release_pool(core.pool(tags="below"))
    core.release_pool(core.pool(tags="top"))

    assert aggregates(core) == ["10.1.128.0/20", "10.1.64.0/22"]
    assert resting(core) == []


# Other keys and settings


def test_a_node_takes_as_many_aggregates_as_networks_ended_during_the_delay_need() -> None:
    core = core_with(reuse_delay=3600)
    for _ in range(5 * SUBNETS_OF_AGGREGATE):
        core.release_pool(*fill(core, 1))

    assert len(aggregates(core)) + len(resting(core)) == 5


def test_a_block_that_rests_is_given_out_when_nothing_can_be_claimed() -> None:
    core = core_with(prefix=19, reuse_delay=600)
    first, *_ = fill(core)
    core.release_pool(first)

    assert core.pool() == "local/10.1.16.0/22"
    fill(core, 3)
    assert core.pool() == first


def test_a_block_is_drawn_from_its_aggregate_again_after_its_rest() -> None:
    core = core_with(reuse_delay=60)
    first, *_ = fill(core)
    core.release_pool(first)
    core.time.pass_seconds(61)

    assert core.pool() == first


def test_subnets_outside_every_scope_are_claimed_by_nobody() -> None:
    core = Core(core_with().tree, Policy(allow_unmanaged=True))

    pool = core.pool("192.168.7.0/24")

    assert aggregate_of(core, pool) == ""
    assert aggregates(core) == []


def test_a_plan_of_ipv6_alone() -> None:
    core = Core(tree_of(scope("fd00::", 48, node_prefix=60, child_prefix=64)))

    pools = [core.pool(version=6) for _ in range(2)]

    assert pools == ["local/fd00::/64", "local/fd00:0:0:1::/64"]
    assert core.address(pools[0]) == "fd00::1/64"
    assert aggregates(core) == ["fd00::/60"]


# What a network asks for


def test_networks_of_all_short_names_are_drawn_from_the_same_aggregates() -> None:
    core = core_with()
    core.announce("db")

    assert core.pool() == "local/10.1.0.0/22"
    assert core.pool(driver="db") == "local/10.1.4.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]


def test_gateways_and_auxiliary_addresses_are_given_as_asked_for() -> None:
    core = core_with()
    pool = core.pool()

    assert core.gateway(pool, "10.1.3.254") == "10.1.3.254/22"
    assert core.address(pool, "10.1.0.1") == "10.1.0.1/22"
    assert core.address(pool) == "10.1.0.2/22"


def test_a_subnet_with_an_ip_range_is_claimed_like_any_other() -> None:
    core = core_with()

    pool = core.pool("10.1.53.0/24", ip_range="10.1.53.128/25")

    assert pool == "local/10.1.53.0/24/10.1.53.128/25"
    assert aggregate_of(core, pool) == "10.1.48.0/20"
    assert core.address(pool) == "10.1.53.128/24"


def test_networks_that_share_a_subnet_are_in_one_aggregate() -> None:
    core = core_with()
    first = core.pool("10.1.53.0/24", ip_range="10.1.53.128/25", shared=True)
    second = core.pool("10.1.53.0/24", ip_range="10.1.53.0/25", shared=True)

    core.release_pool(first)
    assert aggregate_of(core, second) == "10.1.48.0/20"
    assert aggregates(core) == ["10.1.48.0/20"]

    core.release_pool(second)
    assert core.pool("10.1.53.0/24") == "local/10.1.53.0/24"


def test_an_aggregate_with_one_of_two_networks_that_share_a_subnet_is_not_empty() -> None:
    core = core_with()
    core.release_pool(core.pool())
    shared = [core.pool("10.1.53.0/24", shared=True) for _ in range(2)]

    core.release_pool(shared[0])
    assert aggregates(core) == ["10.1.0.0/20", "10.1.48.0/20"]

    core.release_pool(shared[1])
    assert (aggregates(core), resting(core)) == (["10.1.0.0/20"], ["10.1.48.0/20"])


@pytest.mark.parametrize("shared", [False, True])
def test_one_subnet_on_two_hosts_needs_a_scope_without_the_key(shared: bool) -> None:
    plan = SharedPlan()
    h1, h2 = (node(plan, name, tree_of(SCOPE, PLAIN)) for name in ("h1", "h2"))
    h1.pool("10.1.53.0/24", shared=shared)
    h1.pool("10.2.53.0/24", shared=shared)

    with pytest.raises(InUse, match=r"is in 10\.1\.48\.0/20, which node h1 claimed"):
        h2.pool("10.1.53.0/24", shared=shared)
    assert h2.pool("10.2.53.0/24", shared=shared) == "local/10.2.53.0/24"


def test_a_network_of_a_swarm_gets_no_block_that_a_node_would_claim() -> None:
    core = core_with()

    with pytest.raises(Exhausted) as refused:
        core.pool(space="global")

    assert str(refused.value).startswith(
        "no block is free for an IPv4 network: scope 10.1.0.0/16 is for single-host networks only "
        "(node_prefix)"
    )
    assert aggregates(core) == []


def test_a_network_of_a_swarm_gets_its_block_from_another_scope() -> None:
    core = Core(tree_of(SCOPE, PLAIN))

    assert core.pool(space="global") == "global/10.2.0.0/24"
    assert aggregates(core) == []


def test_tags_that_do_not_select_the_scope_of_a_subnet_claim_nothing() -> None:
    core = Core(tree_of(SCOPE | {"tags": ["routed"]}, PLAIN | {"tags": ["plain"]}))

    with pytest.raises(NotManaged, match="do not select"):
        core.pool("10.1.53.0/24", tags="plain")

    assert aggregates(core) == []


def test_a_subnet_that_is_reserved_can_be_asked_for() -> None:
    core = core_with(reserved=["10.1.0.0/20"])

    assert core.pool("10.1.4.0/24") == "local/10.1.4.0/24"
    assert aggregates(core) == ["10.1.0.0/20"]
    assert core.pool() == "local/10.1.16.0/22"


def test_pools_of_a_subnet_that_rest_outside_of_an_aggregate_end_when_it_is_claimed() -> None:
    old = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22, reuse_delay=600)))
    ranges = ["10.1.16.0/25", "10.1.16.128/25"]
    rested = [old.pool("10.1.16.0/24", ip_range=part, shared=True) for part in ranges]
    for pool in rested:
        old.address(pool)
        old.release_pool(pool)
    core = Core(core_with(reuse_delay=600).tree, store=old.store)

    pool = core.pool("10.1.16.0/24", ip_range=ranges[0])

    records = core.store.records.values()
    assert [(x.id, x.aggregate) for x in records if isinstance(x, PoolRecord)] == [
        (pool, "10.1.16.0/20")
    ]
    assert not [x for x in records if isinstance(x, LeaseRecord)]


def test_a_pool_that_is_taken_in_ends_those_that_rest_on_its_subnet_outside_of_an_aggregate() -> (
    None
):
    old = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22, reuse_delay=600)))
    first = old.pool("10.1.16.0/24", ip_range="10.1.16.0/25")
    old.address(first)
    old.release_pool(first)
    core = Core(core_with(reuse_delay=600).tree, store=old.store)
    used = UsedPool(core.pool_request("10.1.16.0/24"), ip_network("10.1.16.0/24"), 1, ())

    core.make(lambda: core.ipam.take_in_pool(used))

    records = core.store.records.values()
    assert [(x.id, x.aggregate) for x in records if isinstance(x, PoolRecord)] == [
        ("local/10.1.16.0/24", "10.1.16.0/20")
    ]
