"""Strays: pools of this node that lie in a scope with `node_prefix`, and in none of its aggregates.

They were there before the key came, or are what a swarm repeats. They end with their networks.
"""

from __future__ import annotations

from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.store.records import PoolRecord


def is_stray(state: State, subnet: Subnet) -> bool:
    """Whether the pools of a subnet of this node are strays. Needs the lock of the state."""
    if subnet.space != "local":
        return False
    scope = state.placement.tree.containing(subnet.block)
    return (
        scope is not None
        and scope.node_prefix is not None
        and state.aggregates.own_around(subnet.block) is None
    )


def strays(state: State) -> list[PoolRecord]:
    """Every pool that is held and stray. Visits every pool where a scope has `node_prefix`, and
    none elsewhere. Needs the lock of the state."""
    if not any(scope.node_prefix is not None for scope in state.placement.tree):
        return []
    return [
        pool
        for subnet in state.holdings.subnets.values()
        if is_stray(state, subnet)
        for pool in subnet.pools.values()
        if pool.claims
    ]
