"""Pools say in which aggregate they lie, or that they lie in none."""

from __future__ import annotations

from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import core_with, plan_with

PLAIN = tree_of(scope("10.1.0.0", 16, child_prefix=22))


def test_a_pool_names_the_aggregate_that_it_lies_in() -> None:
    core = core_with()
    core.pool()

    (found,) = Viewer(core).pools()

    assert (found.aggregate, found.stray) == ("10.1.0.0/20", False)


def test_a_pool_that_is_older_than_the_key_is_a_stray() -> None:
    core = Core(PLAIN)
    core.pool()
    core.ipam.use_schema(plan_with())

    (found,) = Viewer(core).pools()

    assert (found.aggregate, found.stray) == (None, True)


def test_a_pool_of_another_node_that_is_known_is_a_stray() -> None:
    plan = SharedPlan()
    node(plan, "h1", PLAIN).pool()
    core = node(plan, "h2", plan_with())

    (found,) = Viewer(core, "h2").pools(everywhere=True)

    assert (found.node, found.aggregate, found.stray) == ("h1", None, True)


def test_a_pool_of_a_swarm_is_no_stray() -> None:
    core = Core(PLAIN)
    core.pool(space="global")
    core.ipam.use_schema(plan_with())

    (found,) = Viewer(core).pools()

    assert (found.aggregate, found.stray) == (None, False)


def test_a_pool_in_a_scope_without_node_prefix_is_no_stray() -> None:
    core = Core(PLAIN)
    core.pool()

    (found,) = Viewer(core).pools()

    assert (found.aggregate, found.stray) == (None, False)
