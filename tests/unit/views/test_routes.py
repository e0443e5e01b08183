"""What a node has to announce of what it has claimed."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.store.records import PoolRecord, Put
from pyipam.views.routes import RouteFilter, RoutesView, list_routes
from tests.support.core import Core, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import SCOPE, core_with, fill, plan_with

PLAIN = {"network": "10.1.0.0", "prefix": 16, "child_prefix": 22}
IPV6 = {"network": "fd00:10::", "prefix": 32, "node_prefix": 48, "child_prefix": 64}


def routes_of(core: Core, **wanted: Any) -> RoutesView:
    filtered = RouteFilter(**wanted)
    return list_routes(core.ipam, filtered, core.node, lambda: None)


def announced(core: Core, **wanted: Any) -> list[tuple[str, str, int | None]]:
    return [(each.prefix, each.kind, each.pools) for each in routes_of(core, **wanted).routes]


def test_a_node_announces_an_aggregate_and_none_of_the_networks_in_it() -> None:
    core = core_with()
    fill(core, 3)

    assert announced(core) == [("10.1.0.0/20", "aggregate", 3)]


def test_neighbouring_aggregates_are_announced_as_one_prefix() -> None:
    core = core_with()
    fill(core, 5)

    assert announced(core) == [("10.1.0.0/19", "aggregate", 5)]


@pytest.mark.parametrize(
    ("before", "after", "subnets", "route"),
    [
        (
            SCOPE,
            SCOPE | {"network": "10.0.0.0", "prefix": 15},
            ("10.1.0.0/22", "10.1.16.0/22"),
            "10.1.0.0/19",
        ),
        (
            IPV6,
            IPV6 | {"network": "fd00::", "prefix": 27},
            ("fd00:10::/64", "fd00:10:1::/64"),
            "fd00:10::/47",
        ),
    ],
)
def test_neighbours_are_one_prefix_though_one_was_claimed_before_the_scope_was_enlarged(
    before: dict[str, Any], after: dict[str, Any], subnets: tuple[str, str], route: str
) -> None:
    core = Core(tree_of(before))
    core.pool(subnets[0])
    core.tree = tree_of(after)
    core.ipam.use_schema(core.tree)
    core.pool(subnets[1])

    assert announced(core) == [(route, "aggregate", 2)]
    core.start()
    assert announced(core) == [(route, "aggregate", 2)]


def test_neighbours_in_different_scopes_are_not_one_prefix() -> None:
    core = core_with()
    fill(core, 5)
    halves = [SCOPE | {"network": network, "prefix": 20} for network in ("10.1.0.0", "10.1.16.0")]

    core.ipam.use_schema(tree_of(*halves))

    assert announced(core) == [
        ("10.1.0.0/20", "aggregate", 4),
        ("10.1.16.0/20", "aggregate", 1),
    ]


def test_neighbours_whose_scope_has_left_the_schema_stay_one_prefix() -> None:
    core = core_with()
    fill(core, 5)

    core.ipam.use_schema(tree_of({"network": "10.2.0.0", "prefix": 16, "child_prefix": 22}))

    assert announced(core) == [("10.1.0.0/19", "aggregate", 5)]


def test_networks_that_come_and_go_in_an_aggregate_leave_the_version_as_it_is() -> None:
    core = core_with()
    first, *_ = fill(core, 2)
    before = routes_of(core).version
    core.release_pool(first)
    fill(core, 3)

    assert routes_of(core).version == before


def test_an_aggregate_that_rests_is_announced_no_more() -> None:
    core = core_with()
    pools = fill(core, 5)
    for pool in pools:
        core.release_pool(pool)

    assert announced(core) == [("10.1.0.0/20", "aggregate", 0)]


def test_networks_older_than_the_key_are_announced_exactly_until_they_end() -> None:
    core = Core(tree_of(PLAIN))
    core.pool()
    core.ipam.use_schema(plan_with())
    core.pool()

    kinds = {kind for _, kind, _ in announced(core)}

    assert ("10.1.0.0/22", "stray", 1) in announced(core)
    assert kinds == {"stray", "aggregate"}


def test_without_the_key_aggregates_are_announced_until_they_end_and_strays_only_exactly() -> None:
    plain = tree_of({"network": "10.1.0.0", "prefix": 16, "child_prefix": 22})
    core = Core(plain)
    stray = core.pool()
    core.ipam.use_schema(plan_with())
    core.pool()
    core.ipam.use_schema(plain)

    assert announced(core) == [("10.1.128.0/20", "aggregate", 1)]
    assert (stray.removeprefix("local/"), "exact", 1) in announced(core, exact=True)


def test_the_networks_of_an_aggregate_are_announced_too_where_that_is_asked_for() -> None:
    core = core_with()
    core.pool()

    assert announced(core, exact=True) == [
        ("10.1.0.0/20", "aggregate", 1),
        ("10.1.0.0/22", "exact", 1),
    ]


def test_routes_are_chosen_by_the_tags_of_their_scopes() -> None:
    core = core_with(tags=["default", "routed"])
    core.pool()

    assert announced(core, tags=parse_tag_filter("routed")) != []
    assert announced(core, tags=parse_tag_filter("!routed+default")) == []


@pytest.mark.parametrize(
    ("keys", "expected"), [({"node_prefix": 24}, [("10.1.4.0/28", "stray", 1)]), ({}, [])]
)
def test_a_network_in_an_aggregate_that_is_not_chosen_is_announced_exactly_if_its_scope_is_routed(
    keys: dict[str, int], expected: list[tuple[str, str, int]]
) -> None:
    core = core_with()
    core.pool()
    inner = {"network": "10.1.4.0", "prefix": 22, "child_prefix": 28, "tags": ["routed"]}
    core.ipam.use_schema(plan_with(scopes=[inner | keys]))
    core.pool(tags="routed")

    assert announced(core, tags=parse_tag_filter("routed")) == expected
    assert announced(core) == [("10.1.0.0/20", "aggregate", 2)]


def test_a_node_that_is_drained_announces_what_it_has_as_draining() -> None:
    core = core_with()
    core.pool()
    core.make(lambda: core.ipam.drain("h1"))

    assert [route.state for route in routes_of(core).routes] == ["draining"]


def test_a_node_that_is_drained_announces_no_aggregate_that_is_empty_until_that_is_ended() -> None:
    core = core_with()
    pool = core.pool()
    core.make(lambda: core.ipam.drain("h1"))
    core.release_pool(pool)

    assert announced(core) == []
    core.make(lambda: core.ipam.undrain("h1"))
    assert announced(core) == [("10.1.0.0/20", "aggregate", 0)]


def test_an_answer_is_of_one_moment_however_the_networks_change_while_it_is_made() -> None:
    """A watcher would delete the route of a network that an answer of two moments lacks."""
    core = Core(tree_of(PLAIN))
    core.pool("10.1.16.0/22")
    core.ipam.use_schema(plan_with())
    before = routes_of(core).routes
    around: list[str] = []

    def claim_the_block_around_it() -> None:
        if not around:
            around.append(core.pool("10.1.20.0/22"))

    answer = list_routes(core.ipam, RouteFilter(), core.node, claim_the_block_around_it)

    assert around
    assert answer.routes in (before, routes_of(core).routes)
    assert answer.routes


def test_the_part_of_a_swarms_network_that_a_worker_has_is_announced_in_no_way() -> None:
    """Its addresses are on other nodes, too, and the worker's plugin knows no pool of the swarm."""
    claimed, plain = core_with(), Core(tree_of(PLAIN))
    for worker in (claimed, plain):
        worker.pool("10.1.4.0/22", is_repeated=True, has_options=True)
        worker.start()

    assert announced(claimed) == announced(claimed, exact=True) == []
    assert announced(plain, exact=True) == []


def test_a_part_of_a_swarm_that_an_earlier_version_stored_is_known_once_it_is_repeated() -> None:
    worker = core_with()
    pool = worker.pool("10.1.4.0/22", is_repeated=True, has_options=True)
    stored = worker.store.load()
    former = [each._replace(follows_swarm=False) for each in stored if isinstance(each, PoolRecord)]
    worker.store.commit([Put(each) for each in former])
    worker.restart_engine("engine-2")
    assert announced(worker) == [("10.1.4.0/22", "stray", 1)]

    assert worker.pool("10.1.4.0/22", is_repeated=True, has_options=True) == pool

    assert announced(worker) == []


def test_of_another_node_its_part_of_a_swarms_network_is_not_announced_either() -> None:
    plan = SharedPlan()
    leader, worker = (node(plan, name, tree_of(PLAIN)) for name in ("h1", "h2"))
    subnet = leader.pool("10.1.4.0/22", space="global").removeprefix("global/")
    worker.pool(subnet, is_repeated=True)
    worker.pool("10.1.8.0/22")
    leader.ipam.catch_up()

    everywhere = announced(leader, exact=True, everywhere=True)

    assert everywhere == [("10.1.8.0/22", "exact", 1)]


def test_how_many_pools_are_in_an_aggregate_of_another_node_is_not_known() -> None:
    plan = SharedPlan()
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    fill(h1, 1)
    fill(h2, 5)
    h1.ipam.catch_up()

    routes = routes_of(h1, everywhere=True).routes

    assert [(route.node, route.pools) for route in routes if route.node == "h1"] == [("h1", 1)]
    assert {route.pools for route in routes if route.node == "h2"} == {None}
