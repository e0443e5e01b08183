"""How much this node could draw from a scope: all that is free in it, or, where nodes claim blocks,
what is free in its own aggregates and what it could still claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pyipam.core.aggregates import block_of_aggregate
from pyipam.core.growth import may_be_claimed_again, own_aggregates
from pyipam.core.state import State
from pyipam.plan.scope import Scope
from pyipam.space.block import Block


class Drawable(NamedTuple):
    """How many blocks of a length this node has or could get, and how many of them are free,
    including reserved ones."""

    blocks: int
    free: int


def drawable(state: State, scope: Scope, node_prefix: int, length: int) -> Drawable:
    """What this node has or could claim of a scope with `node_prefix`, as blocks of this length.
    Needs the lock."""
    if length <= node_prefix:
        return Drawable(0, 0)
    claimable = count_claimable(state, scope, node_prefix) << (length - node_prefix)
    claimable += sum(1 << (length - block.length) for block in _of_forgotten_nodes(state, scope))
    blocks = free = claimable
    for block in own_blocks(state, scope):
        if block.length < length:
            blocks += 1 << (length - block.length)
            free += state.placement.count_free_in_aggregate(block, length)
    return Drawable(blocks, free)


def count_drawable(state: State, scope: Scope, length: int) -> int:
    """How many blocks of this length this node could draw from a scope that gives out such blocks,
    including reserved ones. Needs the lock."""
    if scope.node_prefix is None:
        return state.placement.count_free(scope, length)
    return drawable(state, scope, scope.node_prefix, length).free


def free_blocks(state: State, scope: Scope, longest: int) -> dict[int, list[int]]:
    """The first addresses of the free blocks, up to this length, from which this node could draw,
    in no order, by prefix length. Needs the lock."""
    if not scope.can_be_drawn_from:
        return {}
    if scope.node_prefix is None:
        return state.placement.free_blocks(scope, longest)
    found = state.placement.free_blocks(scope, min(longest, scope.node_prefix))
    for block in own_blocks(state, scope):
        for length, starts in state.placement.free_blocks_in_aggregate(block, longest).items():
            found.setdefault(length, []).extend(starts)
    return found


def count_claimable(state: State, scope: Scope, node_prefix: int) -> int:
    """How many blocks of `node_prefix` nobody has a part of; none of a scope that gives out
    nothing. Needs the lock."""
    if not scope.can_be_drawn_from:
        return 0
    return state.placement.count_free(scope, node_prefix)


def own_blocks(state: State, scope: Scope) -> list[Block]:
    """The aggregates of this node in a scope, active or at rest, by address. Needs the lock."""
    return [block_of_aggregate(aggregate) for aggregate in own_aggregates(state, scope)]


def _of_forgotten_nodes(state: State, scope: Scope) -> Iterator[Block]:
    """What forgotten nodes had, and this node could claim by now."""
    for aggregate in state.aggregates.forgotten():
        block = block_of_aggregate(aggregate)
        if state.placement.tree.overlapped_by(block) == [scope] and may_be_claimed_again(
            state, aggregate
        ):
            yield block
