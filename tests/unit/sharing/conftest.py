"""Two nodes that share one plan, and a network of their swarm."""

from __future__ import annotations

import pytest

from tests.support.core import Core
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


@pytest.fixture
def first(plan: SharedPlan) -> Core:
    return node(plan, "first")


@pytest.fixture
def second(plan: SharedPlan, first: Core) -> Core:
    return node(plan, "second")


@pytest.fixture
def swarm(first: Core) -> str:
    """A network of the swarm that the first node leads, with a gateway and two tasks."""
    pool = first.pool(space="global")
    first.gateway(pool)
    first.address(pool)
    first.address(pool)
    return pool
