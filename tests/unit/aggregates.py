"""A plan whose nodes claim blocks, and what a test asks of it."""

from __future__ import annotations

from typing import Any

from pyipam.core.aggregates import cidr_of
from pyipam.plan.scope_tree import ScopeTree
from pyipam.store.pool_id import subnet_of
from tests.support.core import Core, tree_of

# Sixteen blocks that nodes can claim, with four subnets each.
SCOPE: dict[str, Any] = {"network": "10.1.0.0", "prefix": 16, "node_prefix": 20, "child_prefix": 22}
SUBNETS_OF_AGGREGATE = 4

# What a refusal ends with that an aggregate of h1 causes.
OR_FORGET_H1 = (
    ", or forget that node if it is gone (`pyipam nodes forget h1`), or set NODE_NAME=h1 again if "
    "it was this host"
)


def plan_with(**keys: Any) -> ScopeTree:
    """A plan of one scope: SCOPE with these keys."""
    return tree_of(SCOPE | keys)


def core_with(**keys: Any) -> Core:
    return Core(plan_with(**keys))


def aggregates(core: Core) -> list[str]:
    """The aggregates that this node has and that do not rest."""
    with core.ipam.reading() as state:
        return sorted(cidr_of(each) for each in state.aggregates.own() if each.released is None)


def resting(core: Core) -> list[str]:
    with core.ipam.reading() as state:
        return sorted(cidr_of(each) for each in state.aggregates.own() if each.released is not None)


def aggregate_of(core: Core, pool_id: str) -> str:
    """The aggregate from which a pool was drawn."""
    with core.ipam.reading() as state:
        pool = state.holdings.pool(pool_id)
        assert pool is not None
        return pool.aggregate


def fill(core: Core, count: int = SUBNETS_OF_AGGREGATE) -> list[str]:
    """Create networks, each of which is given a gateway; their pools."""
    pools = [core.pool() for _ in range(count)]
    for pool in pools:
        core.gateway(pool)
    return pools


def subnets(pools: list[str]) -> list[str]:
    return [subnet_of(pool) for pool in pools]
