"""From which aggregate of a node a network gets its subnet, and which one is claimed for it."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, StoreFailure
from pyipam.store.records import PoolKey, PoolRecord
from tests.support.core import Core, scope, tree_of
from tests.unit.aggregates import (
    SCOPE,
    aggregate_of,
    aggregates,
    core_with,
    fill,
    resting,
    subnets,
)


def test_the_first_network_claims_an_aggregate_and_gets_its_lowest_block() -> None:
    core = core_with()

    assert core.pool() == "local/10.1.0.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]


def test_a_pool_says_from_which_aggregate_it_was_drawn() -> None:
    core = core_with()

    assert aggregate_of(core, core.pool()) == "10.1.0.0/20"


def test_a_pool_of_a_scope_without_node_prefix_is_drawn_from_none() -> None:
    core = core_with(node_prefix=18)
    other = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))

    assert aggregate_of(core, core.pool()) == "10.1.0.0/18"
    assert aggregate_of(other, other.pool()) == ""
    assert aggregates(other) == []


def test_an_aggregate_and_its_first_pool_are_one_commit() -> None:
    core = core_with()
    core.store.fail = True

    with pytest.raises(StoreFailure):
        core.pool()

    core.store.fail = False
    assert (core.pools(), aggregates(core)) == ([], [])
    assert core.pool() == "local/10.1.0.0/22"


def test_further_networks_get_blocks_of_the_same_aggregate() -> None:
    core = core_with()

    assert subnets(fill(core)) == ["10.1.0.0/22", "10.1.4.0/22", "10.1.8.0/22", "10.1.12.0/22"]
    assert aggregates(core) == ["10.1.0.0/20"]


def test_a_node_whose_aggregates_are_full_claims_the_buddy_of_one() -> None:
    core = core_with()
    fill(core)

    assert core.pool() == "local/10.1.16.0/22"
    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]


def test_a_node_goes_on_beside_aggregates_that_make_up_a_larger_block() -> None:
    core = core_with()

    assert [subnets(fill(core))[0] for _ in range(5)] == [
        "10.1.0.0/22",
        "10.1.16.0/22",
        "10.1.32.0/22",
        "10.1.48.0/22",
        "10.1.64.0/22",
    ]


def test_a_node_with_nothing_free_beside_it_claims_the_place_farthest_from_what_is_taken() -> None:
    below = [scope("10.1.16.0", 20, child_prefix=24), scope("10.1.48.0", 20, child_prefix=24)]
    core = core_with(scopes=below, tags=["top"], propagate_tags=False)
    core.pool("10.1.32.0/22")
    fill_up = [core.pool(tags="top") for _ in range(3)]

    assert subnets(fill_up) == ["10.1.36.0/22", "10.1.40.0/22", "10.1.44.0/22"]
    assert core.pool(tags="top") == "local/10.1.128.0/22"


def test_the_fullest_aggregate_that_has_a_block_is_drawn_from_first() -> None:
    core = core_with()
    first = fill(core)
    second = fill(core, 2)
    for pool in first[:3]:
        core.release_pool(pool)

    assert subnets(second) == ["10.1.16.0/22", "10.1.20.0/22"]
    assert core.pool() == "local/10.1.24.0/22"
    assert core.pool() == "local/10.1.28.0/22"
    assert core.pool() == "local/10.1.0.0/22"


def test_a_network_may_ask_for_any_length_below_that_of_an_aggregate() -> None:
    core = core_with()

    assert core.pool(length=21) == "local/10.1.0.0/21"
    assert core.pool(length=28) == "local/10.1.8.0/28"
    assert aggregates(core) == ["10.1.0.0/20"]


@pytest.mark.parametrize("length", [20, 16])
def test_a_block_as_large_as_an_aggregate_is_refused(length: int) -> None:
    core = core_with()

    with pytest.raises(Exhausted) as refused:
        core.pool(length=length)

    assert str(refused.value) == (
        "a network of scope 10.1.0.0/16 gets at most a /21: its nodes claim /20 blocks "
        "(node_prefix); ask for --ipam-opt prefix=21 or longer"
    )
    assert aggregates(core) == []


def test_both_ip_versions_have_aggregates_of_their_own() -> None:
    core = Core(
        tree_of(
            SCOPE,
            scope("fd00::", 48, node_prefix=56, child_prefix=64),
        )
    )

    assert core.pool() == "local/10.1.0.0/22"
    assert core.pool(version=6) == "local/fd00::/64"
    assert aggregates(core) == ["10.1.0.0/20", "fd00::/56"]


def test_aggregates_are_found_again_after_a_restart() -> None:
    core = core_with()
    fill(core, 5)

    core.start()

    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]
    assert core.pool() == "local/10.1.20.0/22"


def test_an_aggregate_without_pools_is_used_after_a_restart() -> None:
    core = core_with()
    core.release_pool(core.pool())
    core.start()

    assert aggregates(core) == ["10.1.0.0/20"]
    assert core.pool() == "local/10.1.0.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]


def test_a_full_scope_passes_on_to_the_next_one() -> None:
    small = SCOPE | {"network": "10.2.0.0", "prefix": 20}
    core = Core(tree_of(small, SCOPE))
    fill(core)

    assert core.pool() == "local/10.1.0.0/22"
    assert aggregates(core) == ["10.1.0.0/20", "10.2.0.0/20"]


def test_a_block_that_is_reserved_as_a_whole_is_never_claimed() -> None:
    core = core_with(reserved=["10.1.0.0/20", "10.1.128.0/17"])

    assert core.pool() == "local/10.1.16.0/22"


def test_a_block_that_is_reserved_in_part_is_claimed_and_the_rest_drawn_from() -> None:
    core = core_with(reserved=["10.1.0.0/21"])

    assert core.pool() == "local/10.1.8.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]


def test_the_scopes_below_are_never_claimed() -> None:
    core = core_with(
        scopes=[scope("10.1.0.0", 17, child_prefix=24, tags=["below"])],
        tags=["top"],
        propagate_tags=False,
    )

    assert core.pool(tags="top") == "local/10.1.128.0/22"
    assert core.pool(tags="below") == "local/10.1.0.0/24"


def test_no_block_is_claimed_that_a_direct_route_of_the_host_touches() -> None:
    core = core_with()
    core.routes.add("10.1.3.0/24")

    core.pool()

    assert aggregates(core) == ["10.1.128.0/20"]


def test_a_route_that_comes_later_keeps_blocks_of_the_aggregate_back() -> None:
    core = core_with()
    fill(core, 1)

    core.routes.add("10.1.4.0/24")

    assert core.pool() == "local/10.1.8.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]


def test_one_call_claims_one_aggregate_at_most_however_often_docker_asks_again() -> None:
    core = core_with(child_prefix=21)
    asked = [core.pool() for _ in range(3)]

    assert asked == ["local/10.1.0.0/21", "local/10.1.8.0/21", "local/10.1.16.0/21"]
    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]


def test_nothing_further_is_claimed_once_docker_has_turned_down_sixteen_blocks() -> None:
    core = core_with()
    for _ in range(16):
        core.pool()

    with pytest.raises(Exhausted) as refused:
        core.pool()

    assert str(refused.value) == (
        "Docker was given 16 blocks from 10.1.0.0/22 to 10.1.60.0/22 just now and uses none of "
        "them: a route of this host over 10.1.48.0/20 (ip route show scope link), or a name "
        "server in it (/etc/resolv.conf), is in the way. Nothing further is claimed; remove the "
        "route, or put that under reserved in the schema"
    )
    assert len(aggregates(core)) == 4


def test_networks_that_use_their_blocks_are_not_counted_as_turned_down() -> None:
    core = core_with()
    fill(core, 16)

    assert core.pool() == "local/10.1.64.0/22"


def test_an_empty_aggregate_that_rests_is_taken_back_before_another_is_claimed() -> None:
    core = core_with()
    first = fill(core)
    second = fill(core)
    for pool in (*first, *second):
        core.release_pool(pool)
    assert resting(core) == ["10.1.16.0/20"]

    fill(core, 5)

    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]
    assert resting(core) == []


def test_what_rests_in_an_own_aggregate_is_given_out_when_nothing_else_is_left() -> None:
    core = core_with(prefix=20, reuse_delay=600)
    pools = fill(core)
    core.release_pool(pools[2])

    assert core.pool() == pools[2]
    assert aggregate_of(core, pools[2]) == "10.1.0.0/20"


def test_what_leaked_in_an_own_aggregate_is_given_out_when_nothing_else_is_left() -> None:
    core = core_with(prefix=20)
    pools = fill(core)
    core.restart_engine("engine-2")
    for pool in pools[1:]:
        core.pool(pool.removeprefix("local/"))

    assert core.pool() == pools[0]
    assert aggregate_of(core, pools[0]) == "10.1.0.0/20"


def test_a_stray_that_leaked_is_not_given_out_again() -> None:
    core = core_with(prefix=20)
    old = Core(tree_of(scope("10.1.0.0", 20, child_prefix=22)), store=core.store)
    pools = fill(old)
    core.restart_engine("engine-2")
    for pool in pools[1:]:
        core.pool(pool.removeprefix("local/"))

    with pytest.raises(Exhausted):
        core.pool()


def test_a_pool_that_is_stored_carries_its_aggregate() -> None:
    core = core_with()
    record = core.store.records[PoolKey(core.pool())]

    assert isinstance(record, PoolRecord)
    assert record.aggregate == "10.1.0.0/20"


def test_networks_that_are_created_at_once_are_not_counted_as_turned_down() -> None:
    core = core_with()

    pools = core.together(*[core.pool] * 24)

    assert len(set(pools)) == 24
    assert len(aggregates(core)) == 6


def test_docker_never_turns_down_a_block_of_ipv6() -> None:
    core = Core(tree_of(scope("fd00::", 48, node_prefix=62, child_prefix=64)))

    for _ in range(24):
        core.pool(version=6)

    assert len(aggregates(core)) == 6


def test_what_docker_turned_down_is_given_back_but_for_one_aggregate() -> None:
    core = core_with()
    pools = [core.pool() for _ in range(16)]
    with pytest.raises(Exhausted):
        core.pool()

    for pool in reversed(pools):
        core.release_pool(pool)

    assert aggregates(core) == ["10.1.0.0/20"]
    assert len(resting(core)) == 3


def test_another_scope_serves_a_network_for_which_nothing_further_is_claimed() -> None:
    core = Core(tree_of(SCOPE, scope("10.2.0.0", 24, child_prefix=28)))

    assert [core.pool() for _ in range(17)][-1] == "local/10.2.0.0/28"
    assert len(aggregates(core)) == 4


def test_a_route_over_all_aggregates_makes_a_call_claim_one_beyond_it() -> None:
    core = core_with()
    fill(core, 2)
    core.routes.add("10.1.0.0/19")

    assert core.pool() == "local/10.1.128.0/22"
    assert aggregates(core) == ["10.1.0.0/20", "10.1.128.0/20"]

    core.routes.remove("10.1.0.0/19")
    assert core.pool() == "local/10.1.8.0/22"


def test_a_route_over_the_whole_scope_is_named_and_nothing_is_claimed() -> None:
    core = core_with()
    core.routes.add("10.1.0.0/16")

    with pytest.raises(Exhausted, match=r"lies on the route 10\.1\.0\.0/16 dev wg0 of this host"):
        core.pool()

    assert aggregates(core) == []


def test_an_aggregate_under_a_route_that_went_is_drawn_from_again() -> None:
    core = core_with(prefix=20)
    core.pool()
    core.routes.add("10.1.0.0/16")
    with pytest.raises(Exhausted):
        core.pool()

    core.routes.remove("10.1.0.0/16")

    assert core.pool() == "local/10.1.4.0/22"
