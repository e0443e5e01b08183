"""The blocks that nodes have claimed, as the views show them."""

from __future__ import annotations

import pytest

from pyipam.errors import InvalidRequest
from pyipam.space.block import parse_subnet
from pyipam.views.order import Part
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import core_with, fill, plan_with


def shared_by_two() -> tuple[Core, Core]:
    """Two nodes, each of which has an aggregate, and knows that of the other."""
    plan = SharedPlan()
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    h1.pool()
    h2.pool()
    h1.ipam.catch_up()
    return h1, h2


def test_an_aggregate_of_this_node_is_shown_with_what_is_in_use_and_free_in_it() -> None:
    core = core_with(tags=["default", "routed"])
    fill(core, 3)

    (view,) = Viewer(core).aggregates()

    assert (view.id, view.cidr, view.node) == ("local/10.1.0.0/20", "10.1.0.0/20", "h1")
    assert (view.scope, view.tags) == ("10.1.0.0/16", ("default", "routed"))
    assert (view.state, view.since, view.resting_until) == ("active", core.time.wall, None)
    assert (view.pools, view.blocks, view.free) == (3, "4", "1")


def test_of_an_aggregate_of_another_node_it_is_not_known_what_is_in_use_in_it() -> None:
    h1, _ = shared_by_two()

    views = Viewer(h1).aggregates()

    assert [(view.id, view.node, view.pools, view.blocks, view.free) for view in views] == [
        ("local/10.1.0.0/20", "h1", 1, "4", "3"),
        ("local@h2/10.1.128.0/20", "h2", None, "4", None),
    ]


def test_aggregates_are_chosen_by_node_by_scope_and_by_state() -> None:
    core = Core(
        tree_of(
            {"network": "10.1.0.0", "prefix": 16, "node_prefix": 20, "child_prefix": 22},
            {"network": "fd00::", "prefix": 32, "node_prefix": 48, "child_prefix": 64},
        )
    )
    core.pool()
    core.pool(version=6)
    viewer = Viewer(core)

    assert [view.cidr for view in viewer.aggregates()] == ["10.1.0.0/20", "fd00::/48"]
    inside = parse_subnet("fd00::/32")
    assert [view.cidr for view in viewer.aggregates(inside=inside)] == ["fd00::/48"]
    assert len(viewer.aggregates(node="h1", state="active")) == 2
    assert viewer.aggregates(node="h2") == viewer.aggregates(state="resting") == []


def test_an_aggregate_that_was_released_says_until_when_it_rests() -> None:
    core = core_with(reuse_delay=400)
    for pool in fill(core, 5):
        core.release_pool(pool)
    released = core.time.wall
    core.time.pass_seconds(10)

    assert [(v.cidr, v.state, v.resting_until) for v in Viewer(core).aggregates()] == [
        ("10.1.0.0/20", "active", None),
        ("10.1.16.0/20", "resting", released + 400),
    ]


def test_pools_that_rest_are_not_counted_as_in_use() -> None:
    core = core_with(reuse_delay=400)
    first, *_ = fill(core, 3)
    core.release_pool(first)

    (view,) = Viewer(core).aggregates()

    assert (view.pools, view.free) == (2, "1")


def test_what_a_route_of_the_host_covered_is_free_as_soon_as_the_route_is_gone() -> None:
    core = core_with()
    core.pool()
    core.routes.add("10.1.4.0/22", "br-1")
    (before,) = Viewer(core).aggregates()
    core.routes.remove("10.1.4.0/22", "br-1")

    (after,) = Viewer(core).aggregates()

    assert (before.free, after.free) == ("2", "3")


def test_the_aggregates_of_a_drained_node_are_draining_and_those_of_others_are_not() -> None:
    h1, h2 = shared_by_two()
    h1.make(lambda: h1.ipam.drain("h2"))
    h2.ipam.catch_up()

    for core in (h1, h2):
        states = [(view.node, view.state) for view in Viewer(core).aggregates()]
        assert states == [("h1", "active"), ("h2", "draining")]


def test_the_aggregates_of_a_forgotten_node_are_forgotten_and_may_be_claimed_after_their_rest() -> (
    None
):
    h1, h2 = shared_by_two()
    store_of(h2).plan.forget("h2", h1.time.wall)
    h1.ipam.catch_up()

    view = Viewer(h1).aggregates(node="h2")[0]

    assert (view.state, view.resting_until) == ("forgotten", h1.time.wall + 300)


def test_an_aggregate_whose_scope_has_left_the_schema_is_shown_without_blocks_and_tags() -> None:
    core = core_with()
    core.pool()
    core.ipam.use_schema(tree_of(scope("10.9.0.0", 16, child_prefix=24)))

    (view,) = Viewer(core).aggregates()

    assert (view.scope, view.tags, view.pools) == ("10.1.0.0/16", (), 1)
    assert (view.blocks, view.free) == (None, None)


def test_aggregates_come_in_pages_by_address() -> None:
    core = core_with()
    fill(core, 12)

    assert [view.cidr for view in Viewer(core).aggregates(limit=2)] == [
        "10.1.0.0/20",
        "10.1.16.0/20",
        "10.1.32.0/20",
    ]


def test_a_page_that_none_names_is_refused() -> None:
    viewer = Viewer(core_with())

    with pytest.raises(InvalidRequest, match="not what a page names"):
        viewer.aggregate_page(Part("no id", 10))
