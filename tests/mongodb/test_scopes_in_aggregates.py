"""A scope that was added inside an aggregate, and what two nodes store of it in MongoDB."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted
from pyipam.plan.scope_tree import ScopeTree
from tests.mongodb.claiming import aggregates, aggregates_of_pools, node
from tests.mongodb.nodes import SharedPlan
from tests.support.core import Core, scope, tree_of

OUTER = scope("10.1.0.0", 16, node_prefix=20, child_prefix=22, tags=["outer"], propagate_tags=False)
INNER = scope("10.1.4.0", 22, child_prefix=28, tags=["inner"])


def tree_with(*inner: dict[str, object]) -> ScopeTree:
    return tree_of(OUTER | {"scopes": list(inner)})


@pytest.fixture(params=[{}, {"node_prefix": 24}], ids=["without node_prefix", "with node_prefix"])
def tree(request: pytest.FixtureRequest) -> ScopeTree:
    """The scopes with one inside the aggregate 10.1.0.0/20."""
    return tree_with(INNER | request.param)


@pytest.fixture
def h1(plan: SharedPlan, tree: ScopeTree) -> Core:
    """A node with that aggregate, before the scope was there, and a network in it."""
    h1 = node(plan, "h1", tree_with())
    h1.pool(tags="outer")
    h1.ipam.use_schema(tree)
    return h1


def test_its_blocks_are_stored_as_those_of_the_aggregate(
    plan: SharedPlan, h1: Core, tree: ScopeTree
) -> None:
    pool = h1.pool(tags="inner")
    h1.address(pool)

    again = node(plan, "h1", tree)

    assert (again.pool(tags="inner"), again.leases(pool)) == ("local/10.1.4.16/28", h1.leases(pool))
    assert aggregates_of_pools(again) == {"10.1.0.0/20"}


def test_another_node_gets_them_once_the_aggregate_is_free(
    plan: SharedPlan, h1: Core, tree: ScopeTree
) -> None:
    h2 = node(plan, "h2", tree)
    with pytest.raises(Exhausted, match="which node h1 claimed"):
        h2.pool(tags="inner")

    h1.release_pool("local/10.1.0.0/22")
    h1.make(lambda: h1.ipam.release_aggregate("10.1.0.0/20"))
    h1.time.pass_seconds(301)
    h1.ipam.catch_up()

    assert node(plan, "h2", tree).pool(tags="inner") == "local/10.1.4.0/28"


def test_an_aggregate_without_the_key_rests_and_is_taken_back_for_a_scope_that_it_fills(
    plan: SharedPlan,
) -> None:
    key = {"node_prefix": 20, "child_prefix": 22}
    h1 = node(plan, "h1", tree_of(scope("10.1.0.0", 20, **key)))
    h1.release_pool(h1.pool())
    plain = tree_of(scope("10.1.0.0", 20, child_prefix=22))
    h1.ipam.use_schema(plain)
    h1.ipam.catch_up()
    assert aggregates(h1) == []

    again = node(plan, "h1", plain)

    assert again.pool() == "local/10.1.0.0/22"
    assert aggregates(again) == ["10.1.0.0/20"]
