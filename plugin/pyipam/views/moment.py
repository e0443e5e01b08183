"""What nodes have at one moment, copied.

A view that looks a part at a time may miss what moves from one part to another meanwhile: a network
whose aggregate is claimed after the aggregates were looked at, and before the networks are. Where
that would do harm, the view copies what there is under one lock, and then looks at the copy.
Records never change, so a list of them is a copy, and making one takes a few milliseconds where
there are 60,000 pools.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyipam.core.state import State
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block
from pyipam.store.records import AggregateRecord, NodeRecord, PoolRecord


class Moment(NamedTuple):
    """The scopes in force, what was said of nodes, all aggregates, and all pools that are known:
    those of the global space, of this node, and of others."""

    tree: ScopeTree
    marks: Mapping[str, NodeRecord]
    aggregates: Sequence[AggregateRecord]
    pools: Sequence[PoolRecord]


def moment_of(state: State) -> Moment:
    """What there is now. Needs the lock."""
    own = [pool for each in state.holdings.subnets.values() for pool in each.pools.values()]
    return Moment(
        state.placement.tree,
        dict(state.marks),
        list(state.aggregates),
        [*own, *state.elsewhere.pools()],
    )


def block_around(disjoint: Sequence[Block], block: Block) -> Block | None:
    """The one of these blocks, in order and with no address in common, that contains all of another
    one; or None."""
    position = bisect_right(disjoint, block)
    before = disjoint[position - 1] if position else None
    return before if before is not None and block.is_inside(before) else None
