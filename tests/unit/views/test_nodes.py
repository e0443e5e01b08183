"""Where nodes share a plan, each sees what the others hold, and whose it is."""

from __future__ import annotations

import pytest

from pyipam.views.nodes import FillView, NodeView
from pyipam.views.pools import PoolFilter
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import fill, plan_with


@pytest.fixture
def first() -> Core:
    """A node, beside which another one holds a network with a container."""
    plan = SharedPlan()
    second = node(plan, "second")
    second.gateway(second.pool())
    second.address("local/10.0.0.0/24")
    first = node(plan, "first")
    first.pool()
    first.pool(space="global")
    return first


def test_pools_and_leases_of_other_nodes_are_shown_with_their_node(first: Core) -> None:
    viewer = Viewer(first, "first")

    assert [(pool.id, pool.node, pool.leases) for pool in viewer.pools(everywhere=True)] == [
        ("local@second/10.0.0.0/24", "second", 1),
        ("local/10.0.1.0/24", "first", 0),
        ("global/10.0.2.0/24", "", 0),
    ]
    everywhere = viewer.leases(pools=PoolFilter(everywhere=True))
    assert [(lease.address, lease.node) for lease in everywhere] == [("10.0.0.2", "second")]


def test_what_other_nodes_hold_is_shown_only_to_who_asks_for_it(first: Core) -> None:
    viewer = Viewer(first, "first")

    assert [pool.subnet for pool in viewer.pools()] == ["10.0.1.0/24", "10.0.2.0/24"]
    assert viewer.leases() == []


@pytest.mark.parametrize(
    ("name", "found"), [("first", ["10.0.1.0/24"]), ("second", ["10.0.0.0/24"]), ("third", [])]
)
def test_pools_can_be_asked_for_by_node(first: Core, name: str, found: list[str]) -> None:
    assert [pool.subnet for pool in Viewer(first, "first").pools(node=name)] == found


def test_leases_can_be_asked_for_by_node(first: Core) -> None:
    viewer = Viewer(first, "first")

    found = viewer.leases(pools=PoolFilter(node="second"))

    assert [lease.address for lease in found] == ["10.0.0.2"]
    assert viewer.leases(pools=PoolFilter(node="first")) == []


def test_an_address_of_another_node_is_explained(first: Core) -> None:
    found = Viewer(first, "first").explain("10.0.0.2")

    assert found.state == "in use"
    assert found.sentences[0].endswith("by a container on node second")


def test_nodes_are_listed_with_what_they_hold(first: Core) -> None:
    assert Viewer(first, "first").nodes() == [
        NodeView("first", pools=1, leases=0, this=True, fill=()),
        NodeView("second", pools=1, leases=1, this=False),
    ]


def test_nodes_are_listed_with_what_they_have_claimed_and_how_full_that_is_here() -> None:
    plan = SharedPlan()
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    for core, count in ((h1, 5), (h2, 2)):
        fill(core, count)
    h1.ipam.catch_up()

    views = Viewer(h1, "h1").nodes()

    assert [(view.node, view.aggregates, view.fill) for view in views] == [
        ("h1", 2, (FillView(4, "8", "3"),)),
        ("h2", 1, None),
    ]
    assert [(view.pools, view.leases, view.strays) for view in views] == [(5, 5, 0), (2, None, 0)]


def test_how_many_pools_another_node_has_is_not_known_while_the_store_does_not_answer() -> None:
    plan = SharedPlan()
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    fill(h1, 1)
    fill(h2, 1)
    h1.ipam.catch_up()
    store_of(h1).answers.clear()

    views = Viewer(h1, "h1").nodes()

    assert [(view.node, view.pools, view.leases) for view in views] == [
        ("h1", 1, 1),
        ("h2", None, None),
    ]


def test_networks_older_than_the_key_are_counted_as_strays_of_their_nodes() -> None:
    plan = SharedPlan()
    plain = tree_of(scope("10.1.0.0", 16, child_prefix=22))
    h1, h2 = node(plan, "h1", plain), node(plan, "h2", plain)
    for core in (h1, h2, h2):
        core.pool()
    h1.ipam.catch_up()
    h1.ipam.use_schema(plan_with())
    h1.pool()

    views = Viewer(h1, "h1").nodes()

    assert [(view.node, view.pools, view.strays) for view in views] == [("h1", 2, 1), ("h2", 2, 2)]


def test_what_operators_said_of_a_node_is_its_state() -> None:
    plan = SharedPlan()
    core = node(plan, "h1", plan_with())
    core.make(lambda: core.ipam.drain("h1"))
    core.make(lambda: core.ipam.drain("h2", ["h2"]))
    plan.forget("h2", core.time.wall)
    plan.forget("h3", core.time.wall)
    core.ipam.catch_up()
    store_of(core).ages = {"h4": 0.0}

    assert [(view.node, view.state) for view in Viewer(core, "h1").nodes()] == [
        ("h1", "draining"),
        ("h2", "forgotten"),
        ("h3", "forgotten"),
        ("h4", "serving"),
    ]


def test_nodes_are_listed_with_when_they_were_seen_also_if_they_hold_nothing() -> None:
    core = node(SharedPlan(), "first")
    store_of(core).ages = {"first": 0.0, "old": None, "third": 90.0}

    now = core.time.wall
    assert [(view.node, view.seen) for view in Viewer(core, "first").nodes()] == [
        ("first", now),
        ("old", None),
        ("third", now - 90.0),
    ]


def test_what_a_route_of_the_host_covers_is_not_free_from_then_on() -> None:
    core = Core(plan_with())
    core.pool()
    core.routes.add("10.1.4.0/22", "br-1")

    (view,) = Viewer(core, "h1").nodes()

    assert view.fill == (FillView(4, blocks="4", free="2"),)
