"""Scopes whose space a node of theirs has claimed before: they were added to the schema inside an
aggregate, or had `node_prefix` before."""

from __future__ import annotations

import contextlib
from functools import partial
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.errors import Exhausted, PyipamError, StoreFailure
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import block_of, find_overlaps
from pyipam.store.pool_id import subnet_of
from pyipam.views.routes import RouteFilter, list_routes
from tests.support.core import DRIVER, Core, scope, tree_of
from tests.support.viewing import Viewer
from tests.unit.aggregates import SCOPE, aggregate_of, aggregates, core_with, fill, resting

OUTER = SCOPE | {"tags": ["outer"]}


def with_inner(**keys: Any) -> ScopeTree:
    """A scope of 64 subnets in the aggregate 10.1.0.0/20, and the one around it."""
    inner = scope("10.1.4.0", 22, child_prefix=28, tags=["inner"], propagate_tags=True, **keys)
    return tree_of(OUTER | {"propagate_tags": False, "scopes": [inner]})


def core_inside(**keys: Any) -> Core:
    """A core that has had 10.1.0.0/20 before that scope was added, with a network in it."""
    core = Core(tree_of(OUTER))
    core.pool()
    core.tree = with_inner(**keys)
    core.ipam.use_schema(core.tree)
    return core


def announced(core: Core) -> list[str]:
    found = list_routes(core.ipam, RouteFilter(), core.node, lambda: None)
    return [f"{route.kind} {route.prefix}" for route in found.routes]


INNER = [
    pytest.param({}, id="without node_prefix"),
    pytest.param({"node_prefix": 24}, id="with node_prefix"),
]


@pytest.mark.parametrize("keys", INNER)
def test_a_scope_in_an_aggregate_of_the_node_gives_its_networks_blocks_there(
    keys: dict[str, Any],
) -> None:
    core = core_inside(**keys)

    pools = [core.pool(tags="inner") for _ in range(2)]

    assert pools == ["local/10.1.4.0/28", "local/10.1.4.16/28"]
    assert {aggregate_of(core, pool) for pool in pools} == {"10.1.0.0/20"}
    assert (aggregates(core), announced(core)) == (["10.1.0.0/20"], ["aggregate 10.1.0.0/20"])


@pytest.mark.parametrize("keys", INNER)
def test_the_scope_around_it_gives_the_rest_of_the_aggregate(keys: dict[str, Any]) -> None:
    core = core_inside(**keys)
    core.pool(tags="inner")

    assert [core.pool(tags="outer") for _ in range(2)] == [
        "local/10.1.8.0/22",
        "local/10.1.12.0/22",
    ]


@pytest.mark.parametrize("keys", INNER)
def test_no_block_is_given_twice_after_a_restart(keys: dict[str, Any]) -> None:
    core = core_inside(**keys)
    core.pool(tags="inner")

    core.start()

    assert core.pool(tags="inner") == "local/10.1.4.16/28"


@pytest.mark.parametrize("keys", INNER)
def test_what_is_released_there_is_given_again(keys: dict[str, Any]) -> None:
    core = core_inside(**keys)
    first, _, third = [core.pool(tags="inner") for _ in range(3)]
    core.release_pool(first)
    core.release_pool(third)

    assert core.pool(tags="inner", length=27) == "local/10.1.4.32/27"
    assert core.pool(tags="inner") == first


def test_an_ipv6_scope_in_an_aggregate_gives_its_networks_blocks_there() -> None:
    outer = scope("fd00:10::", 32, node_prefix=48, child_prefix=64)
    core = Core(tree_of(outer))
    core.pool(version=6)
    inner = scope("fd00:10:0:100::", 56, child_prefix=64, tags=["inner"])
    core.ipam.use_schema(tree_of(outer | {"scopes": [inner]}))

    pool = core.pool(version=6, tags="inner")

    assert (pool, aggregate_of(core, pool)) == ("local/fd00:10:0:100::/64", "fd00:10::/48")


def test_reserved_blocks_and_routes_of_the_host_are_avoided_there() -> None:
    core = core_inside(reserved=["10.1.4.0/28"])
    core.routes.add("10.1.4.16/28")

    assert core.pool(tags="inner") == "local/10.1.4.32/28"


@pytest.mark.parametrize("keys", INNER)
def test_an_aggregate_that_rests_is_taken_back_for_a_scope_in_it(keys: dict[str, Any]) -> None:
    core = core_inside(**keys)
    core.release_pool("local/10.1.0.0/22")
    core.make(lambda: core.ipam.release_aggregate("10.1.0.0/20"))

    pool = core.pool(tags="inner")

    assert (pool, aggregate_of(core, pool)) == ("local/10.1.4.0/28", "10.1.0.0/20")
    assert (aggregates(core), resting(core)) == (["10.1.0.0/20"], [])


def test_the_scope_claims_blocks_of_its_own_once_the_aggregate_has_ended() -> None:
    core = core_inside(node_prefix=24)
    core.release_pool("local/10.1.0.0/22")
    core.make(lambda: core.ipam.release_aggregate("10.1.0.0/20"))
    core.time.pass_seconds(301)

    assert core.pool(tags="inner") == "local/10.1.4.0/28"
    assert aggregates(core) == ["10.1.4.0/24"]


def test_a_network_in_the_scope_keeps_the_aggregate_in_use() -> None:
    core = core_inside()
    core.pool(tags="inner")
    core.pool("10.1.16.0/22")
    core.release_pool("local/10.1.16.0/22")
    core.release_pool("local/10.1.0.0/22")

    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]


def test_a_commit_that_fails_takes_back_what_was_given_there() -> None:
    core = core_inside()
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.pool(tags="inner")
    core.store.fail = False

    assert core.pool(tags="inner") == "local/10.1.4.0/28"


def test_a_network_of_a_swarm_gets_no_block_in_an_aggregate() -> None:
    core = core_inside()

    with pytest.raises(Exhausted) as refused:
        core.pool(tags="inner", space="global")

    assert str(refused.value) == (
        "no block is free for an IPv4 network with tags 'inner': scope 10.1.4.0/22 lies in "
        "10.1.0.0/20, which this node claimed on 2023-11-14 (node_prefix), so that networks of a "
        "swarm get nothing there. What helps: select another scope by its tags, or move the scope "
        "to addresses that no node has claimed (`pyipam claims`), or remove the networks in "
        "10.1.0.0/20 and release it (`pyipam claims release 10.1.0.0/20`)"
    )


def test_a_scope_that_is_full_in_an_aggregate_says_how_full_it_is() -> None:
    core = core_inside(reserved=["10.1.4.0-10.1.7.239"])
    core.pool(tags="inner")

    with pytest.raises(Exhausted, match=r"scope 10\.1\.4\.0/22 is full \(of its 64 /28 blocks, 1 "):
        core.pool(tags="inner")


# Scopes that had the key before

WHOLE = scope("10.1.0.0", 20, child_prefix=22)


def without_key(**keys: Any) -> Core:
    """A core whose one scope is an aggregate as a whole, with a network, and has lost the key."""
    core = Core(tree_of(WHOLE | {"node_prefix": 20} | keys))
    core.pool()
    core.tree = tree_of(WHOLE | keys)
    core.ipam.use_schema(core.tree)
    return core


def test_where_nothing_else_is_free_a_scope_without_the_key_gives_what_its_aggregates_have() -> (
    None
):
    core = without_key()

    pool = core.pool()

    assert (pool, aggregate_of(core, pool)) == ("local/10.1.4.0/22", "10.1.0.0/20")


def test_one_that_rests_is_taken_back_for_that_and_rests_again_afterwards() -> None:
    core = without_key()
    core.release_pool("local/10.1.0.0/22")
    core.ipam.catch_up()
    assert resting(core) == ["10.1.0.0/20"]

    pool = core.pool()
    assert (pool, aggregates(core)) == ("local/10.1.0.0/22", ["10.1.0.0/20"])

    core.release_pool(pool)
    core.ipam.catch_up()
    assert resting(core) == ["10.1.0.0/20"]


def test_a_network_of_a_swarm_is_told_what_has_the_space_of_a_scope_without_the_key() -> None:
    core = without_key()

    with pytest.raises(Exhausted) as refused:
        core.pool(space="global")

    assert (
        "scope 10.1.0.0/20 was claimed as a whole by this node on 2023-11-14 (node_prefix), so "
        "that networks of a swarm get nothing there"
    ) in str(refused.value)


def test_a_full_scope_without_the_key_says_how_many_aggregates_there_are() -> None:
    core = Core(tree_of(SCOPE | {"prefix": 19}))
    fill(core, 5)
    core.ipam.use_schema(tree_of(scope("10.1.0.0", 19, child_prefix=22)))

    with pytest.raises(Exhausted) as refused:
        core.pool(space="global")

    assert str(refused.value) == (
        "no block is free for an IPv4 network: scope 10.1.0.0/19 is full (all 8 of its /22 blocks "
        "are taken, counting those in aggregates (this node: 2)). What helps: remove networks that "
        "nobody needs, or free what has leaked with `pyipam reconcile`, or release aggregates that "
        "nodes do not need (`pyipam claims`), or enlarge the scope in the schema"
    )


def test_what_rests_in_an_aggregate_is_not_given_to_a_network_of_a_swarm() -> None:
    core = without_key(reuse_delay=600)
    core.gateway("local/10.1.0.0/22")
    core.release_pool("local/10.1.0.0/22")

    with pytest.raises(Exhausted):
        core.pool(space="global")


def test_no_block_is_given_that_contains_an_aggregate_with_nothing_but_what_rests() -> None:
    tree = tree_of(SCOPE | {"prefix": 19, "reuse_delay": 600})
    core = Core(tree)
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    core.ipam.use_schema(tree_of(scope("10.1.0.0", 19, child_prefix=22, reuse_delay=600)))

    with pytest.raises(Exhausted):
        core.pool(length=19)


@pytest.mark.parametrize("key", [{"node_prefix": 20}, {}], ids=["with the key", "without"])
def test_an_aggregate_in_which_all_blocks_rest_is_taken_back_for_the_one_that_rested_longest(
    key: dict[str, Any],
) -> None:
    core = Core(tree_of(WHOLE | {"node_prefix": 20, "reuse_delay": 600}))
    for pool in fill(core):
        core.release_pool(pool)
        core.time.pass_seconds(1)
    core.make(lambda: core.ipam.release_aggregate("10.1.0.0/20"))
    core.ipam.use_schema(tree_of(WHOLE | {"reuse_delay": 600} | key))

    pool = core.pool()

    assert (pool, aggregate_of(core, pool)) == ("local/10.1.0.0/22", "10.1.0.0/20")
    assert aggregates(core) == ["10.1.0.0/20"]
    assert core.references(pool) == 1
    assert core.ipam.epoch(DRIVER, "local") == 1


def test_a_scope_without_the_key_gives_what_is_free_outside_of_aggregates_first() -> None:
    core = core_with()
    core.pool()
    core.ipam.use_schema(tree_of(scope("10.1.0.0", 16, child_prefix=22)))

    pool = core.pool()

    assert (pool, aggregate_of(core, pool)) == ("local/10.1.16.0/22", "")


# Whatever happens

STEPS = st.tuples(
    st.sampled_from(["inner", "outer", "subnet", "release", "route", "schema", "give back"]),
    st.integers(0, 7),
)
SUBNETS = ["10.1.4.0/26", "10.1.4.128/25", "10.1.0.0/21", "10.1.6.0/24", "10.1.20.0/24"]
ROUTES = ["10.1.4.64/28", "10.1.4.0/23", "10.1.0.0/19"]


@given(st.lists(STEPS, max_size=20), st.sampled_from([{}, {"node_prefix": 24}]))
def test_no_two_networks_overlap_and_a_restart_finds_the_same_free(
    steps: list[tuple[str, int]], keys: dict[str, Any]
) -> None:
    core = core_inside(reuse_delay=5, **keys)
    trees = [with_inner(**keys), tree_of(OUTER), tree_of(OUTER | {"prefix": 18})]
    on_routes: set[str] = set()
    for step, number in steps:
        core.time.pass_seconds(3)
        with contextlib.suppress(PyipamError):
            _take(core, step, number, trees, on_routes)
    held = [block_of(ip_network(subnet_of(pool))) for pool in core.pools()]
    assert not list(find_overlaps((block, block) for block in held))
    before = _free_of(core)

    for route in on_routes:
        core.routes.add(route)
    core.start()

    assert _free_of(core) == before


def _take(core: Core, step: str, number: int, trees: list[ScopeTree], on_routes: set[str]) -> None:
    match step:
        case "inner" | "outer":
            core.gateway(core.pool(tags=step))
        case "subnet":
            core.pool(SUBNETS[number % len(SUBNETS)])
        case "release":
            for pool in core.pools()[number::8]:
                core.release_pool(pool)
        case "route":
            route = ROUTES[number % len(ROUTES)]
            (core.routes.remove if route in on_routes else core.routes.add)(route)
            on_routes ^= {route}
        case "schema":
            core.tree = trees[number % len(trees)]
            core.ipam.use_schema(core.tree)
        case "give back":
            for own in aggregates(core)[number:]:
                core.make(partial(core.ipam.release_aggregate, own))


def _free_of(core: Core) -> dict[str, list[str]]:
    """What is free of each scope, as a network would get it."""
    core.ipam.routes()
    core.ipam.catch_up()
    viewer = Viewer(core)
    found = viewer.scopes()
    return {each.network: [each.free, *viewer.free_blocks(each.network)] for each in found}
