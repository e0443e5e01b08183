"""Nodes that share a plan, where the schema of one of them has changed."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import Exhausted, InUse
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import SCOPE, aggregate_of, plan_with, resting

PLAIN = tree_of(scope("10.1.0.0", 16, child_prefix=22))


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def test_what_a_node_gives_back_without_the_key_is_claimed_by_others_after_its_rest(
    plan: SharedPlan,
) -> None:
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    h2.time = h1.time
    h2.start()
    h1.release_pool(h1.pool())
    h1.ipam.use_schema(PLAIN)
    h1.ipam.catch_up()

    with pytest.raises(InUse, match="which node h1 claimed"):
        h2.pool("10.1.0.0/24")

    h1.time.pass_seconds(301)
    h1.ipam.catch_up()
    assert resting(h1) == []
    assert h2.pool("10.1.0.0/24") == "local/10.1.0.0/24"


OUTER = SCOPE | {"tags": ["outer"], "propagate_tags": False}
INNER = scope("10.1.4.0", 22, child_prefix=28, tags=["inner"])


def nodes_with_inner(plan: SharedPlan, **keys: Any) -> tuple[Core, Core]:
    """Two nodes that have got a scope inside the aggregate that the first had before."""
    h1, h2 = node(plan, "h1", tree_of(OUTER)), node(plan, "h2", tree_of(OUTER))
    h2.time = h1.time
    h2.start()
    h1.pool()
    h2.ipam.catch_up()
    for each in (h1, h2):
        each.tree = tree_of(OUTER | {"scopes": [INNER | keys]})
        each.ipam.use_schema(each.tree)
    return h1, h2


KEYS = [
    pytest.param({}, id="without node_prefix"),
    pytest.param({"node_prefix": 24}, id="with node_prefix"),
]


@pytest.mark.parametrize("keys", KEYS)
def test_a_scope_inside_an_aggregate_serves_the_node_that_has_that(
    plan: SharedPlan, keys: dict[str, Any]
) -> None:
    h1, _ = nodes_with_inner(plan, **keys)
    first = h1.pool(tags="inner")

    h1.start()

    assert (first, h1.pool(tags="inner")) == ("local/10.1.4.0/28", "local/10.1.4.16/28")
    assert aggregate_of(h1, first) == "10.1.0.0/20"


@pytest.mark.parametrize("keys", KEYS)
def test_other_nodes_are_told_who_has_the_space_and_how_to_get_it(
    plan: SharedPlan, keys: dict[str, Any]
) -> None:
    _, h2 = nodes_with_inner(plan, **keys)

    with pytest.raises(Exhausted) as refused:
        h2.pool(tags="inner")

    assert str(refused.value) == (
        "no block is free for an IPv4 network with tags 'inner': scope 10.1.4.0/22 lies "
        "in 10.1.0.0/20, which node h1 claimed on 2023-11-14 (node_prefix), so that no other node "
        "gets anything there. What helps: select another scope by its tags, or move the scope to "
        "addresses that no node has claimed (`pyipam claims`), or remove the networks in "
        "10.1.0.0/20 on node h1 and release it there (`pyipam claims release 10.1.0.0/20`), or "
        "forget that node if it is gone (`pyipam nodes forget h1`)"
    )


@pytest.mark.parametrize("keys", KEYS)
def test_they_get_the_space_after_its_rest(plan: SharedPlan, keys: dict[str, Any]) -> None:
    h1, h2 = nodes_with_inner(plan, **keys)
    h1.release_pool("local/10.1.0.0/22")
    h1.make(lambda: h1.ipam.release_aggregate("10.1.0.0/20"))

    with pytest.raises(Exhausted) as refused:
        h2.pool(tags="inner")
    assert "that block rests by now" in str(refused.value)
    assert "wait until 10.1.0.0/20 has rested (2023-11-14T22:18:20Z)" in str(refused.value)

    h1.time.pass_seconds(301)
    h1.ipam.catch_up()
    assert h2.pool(tags="inner") == "local/10.1.4.0/28"


def test_what_a_forgotten_node_had_around_a_scope_serves_others_after_its_rest(
    plan: SharedPlan,
) -> None:
    _, h2 = nodes_with_inner(plan)
    plan.forget("h1", h2.time.wall)
    h2.ipam.catch_up()

    with pytest.raises(Exhausted, match="that block rests by now"):
        h2.pool(tags="inner")

    h2.time.pass_seconds(301)
    assert h2.pool(tags="inner") == "local/10.1.4.0/28"
