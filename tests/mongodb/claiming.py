"""Nodes that draw from blocks that they have claimed, with stores in MongoDB."""

from __future__ import annotations

from typing import cast

from pyipam.core.aggregates import cidr_of
from pyipam.plan.scope_tree import ScopeTree
from tests.mongodb.nodes import SharedPlan
from tests.support.core import Core, scope, tree_of
from tests.support.failing_store import FailingStore

# Sixteen blocks that nodes can claim, with four subnets each.
TREE = tree_of(scope("10.1.0.0", 16, node_prefix=20, child_prefix=22))


def node(plan: SharedPlan, name: str, tree: ScopeTree = TREE) -> Core:
    """A node whose process has loaded the plan, and does not follow the others."""
    store = cast(FailingStore, plan.open(name))
    return Core(tree, store=store, engine=f"engine of {name}", node=name)


def aggregates(core: Core) -> list[str]:
    """The aggregates that this node has and that do not rest."""
    with core.ipam.reading() as state:
        return sorted(cidr_of(each) for each in state.aggregates.own() if each.released is None)


def aggregates_elsewhere(core: Core) -> list[str]:
    """The aggregates of other nodes, as this one knows them."""
    with core.ipam.reading() as state:
        return sorted(each.id for each in state.aggregates.elsewhere())


def aggregates_of_pools(core: Core) -> set[str]:
    """Those from which the pools of this node were drawn."""
    with core.ipam.reading() as state:
        return {pool.aggregate for pool in state.holdings.pools()}
