"""How much this node could draw from a scope: all that is free in it, or, where nodes claim blocks,
what is free in its own aggregates and what it could still claim.

A scope inside an aggregate of this node is drawn from like one of which nodes claim nothing.
"""

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
    claimable += sum(
        1 << (length - block.length)
        for block in _of_forgotten_nodes(state, scope)
        if block.length < length
    )
    blocks = free = claimable
    for block in own_blocks(state, scope):
        if block.length < length:
            blocks += 1 << (length - block.length)
            free += state.placement.count_free_in_aggregate(block, length)
    return Drawable(blocks, free)


def count_drawable(state: State, scope: Scope, length: int) -> int:
    """How many blocks of this length this node could draw from a scope that gives out such blocks,
    including reserved ones. Needs the lock."""
    node_prefix = claimed_prefix(state, scope)
    if node_prefix is not None:
        return drawable(state, scope, node_prefix, length).free
    if _is_closed(state, scope):
        return 0
    free = state.placement.count_free(scope, length)
    inside = (block for block in _last_resort(state, scope) if block.length < length)
    return free + sum(state.placement.count_free_in_aggregate(block, length) for block in inside)


def free_blocks(state: State, scope: Scope, longest: int) -> dict[int, list[int]]:
    """The first addresses of the free blocks, up to this length, from which this node could draw,
    in no order, by prefix length. Needs the lock."""
    if not scope.can_be_drawn_from:
        return {}
    node_prefix = claimed_prefix(state, scope)
    if node_prefix is None and _is_closed(state, scope):
        return {}
    shortest = longest if node_prefix is None else min(longest, node_prefix)
    own = _last_resort(state, scope) if node_prefix is None else own_blocks(state, scope)
    found = state.placement.free_blocks(scope, shortest)
    for block in own:
        for length, starts in state.placement.free_blocks_in_aggregate(block, longest).items():
            found.setdefault(length, []).extend(starts)
    return found


def count_claimable(state: State, scope: Scope, node_prefix: int) -> int:
    """How many blocks of `node_prefix` nobody has a part of; none of a scope that gives out
    nothing. Needs the lock."""
    if not scope.can_be_drawn_from or claimed_prefix(state, scope) is None:
        return 0
    return state.placement.count_free(scope, node_prefix)


def claimed_prefix(state: State, scope: Scope) -> int | None:
    """The `node_prefix` of a scope, if nodes can claim blocks of it; or None. Needs the lock."""
    inside = state.placement.own_aggregate_around(scope) is not None
    return None if inside else scope.node_prefix


def _is_closed(state: State, scope: Scope) -> bool:
    """Whether a scope is for networks of a swarm alone, and lies in an aggregate of this node,
    where these get nothing. Needs the lock."""
    return (
        scope.address_space == "global" and state.placement.own_aggregate_around(scope) is not None
    )


def _last_resort(state: State, scope: Scope) -> list[Block]:
    """The aggregates of a scope that has `node_prefix` no more."""
    return [] if scope.address_space == "global" else own_blocks(state, scope)


def own_blocks(state: State, scope: Scope) -> list[Block]:
    """The aggregates of this node in a scope, active or at rest, by address. Needs the lock."""
    return [block_of_aggregate(aggregate) for aggregate in own_aggregates(state, scope)]


def _of_forgotten_nodes(state: State, scope: Scope) -> Iterator[Block]:
    """What forgotten nodes had, and this node could claim by now."""
    for aggregate in state.aggregates.forgotten_in(scope.block):
        block = block_of_aggregate(aggregate)
        if state.placement.tree.overlapped_by(block) == [scope] and may_be_claimed_again(
            state, aggregate
        ):
            yield block
