"""Nodes that share a plan, where the schema of one of them has changed."""

from __future__ import annotations

import pytest

from pyipam.errors import InUse
from tests.support.core import scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import plan_with, resting

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
