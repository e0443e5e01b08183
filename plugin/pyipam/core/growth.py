"""Which block a node claims next from a scope with `node_prefix`.

First one of its own that rests. Then the buddy of an own one, so that both are announced as one
prefix. Then the place farthest from what others have, so that everybody can grow: the start of the
largest free part. At last a block of a node that was forgotten, which may still be announced.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from pyipam.core.aggregates import (
    AGGREGATE_REST_SECONDS,
    block_of_aggregate,
    cidr_of,
    id_of_own,
    node_of,
)
from pyipam.core.decision import info, warning
from pyipam.core.placement import Space
from pyipam.core.state import State
from pyipam.log import Line
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.store.records import AggregateRecord, Change, Delete, Put

_POOL_SPACES: tuple[Space, ...] = ("local", "global", "elsewhere")


class Grown(NamedTuple):
    """An aggregate that this node has from now on, by these changes."""

    aggregate: AggregateRecord
    changes: tuple[Change, ...]
    events: tuple[Line, ...]


def grow(state: State, scope: Scope, length: int) -> Grown | None:
    """One more aggregate of a scope with `node_prefix`, with room for a block of this length; or
    None. Nothing of a scope is claimed that is reserved as a whole or on a route of the host."""
    return (
        _taken_back(state, scope, length)
        or _new(state, scope, length)
        or _of_forgotten_node(state, scope, length)
    )


def take_back(aggregate: AggregateRecord) -> Grown:
    """An aggregate of this node that rests, in use again."""
    again = aggregate._replace(released=None, forgotten=False)
    taken = info("aggregate taken back", aggregate=cidr_of(aggregate), scope=aggregate.scope)
    return Grown(again, (Put(again),), (taken,))


def claim(state: State, scope: Scope, block: Block) -> Grown:
    """A block that becomes an aggregate of this node."""
    aggregate = AggregateRecord(id_of_own(block), str(scope), state.clock.wall())
    claimed = info("aggregate claimed", aggregate=str(block), scope=str(scope))
    return Grown(aggregate, (Put(aggregate),), (claimed,))


def claim_of_forgotten_node(state: State, scope: Scope, former: AggregateRecord) -> Grown:
    """An aggregate of a forgotten node, which this node has from now on."""
    grown = claim(state, scope, block_of_aggregate(former))
    claimed = warning(
        "aggregate of a forgotten node claimed",
        aggregate=cidr_of(former),
        scope=str(scope),
        node=node_of(former),
    )
    return Grown(grown.aggregate, (Delete(former.key), *grown.changes), (claimed,))


def may_be_claimed_again(state: State, aggregate: AggregateRecord) -> bool:
    """Whether an aggregate is that of a forgotten node which nobody announces any more."""
    if not aggregate.forgotten or aggregate.released is None:
        return False
    block = block_of_aggregate(aggregate)
    rest = max(state.reuse_delay(block), AGGREGATE_REST_SECONDS)
    return (
        state.clock.wall() - aggregate.released >= rest
        and all(state.placement.is_free(space, block) for space in _POOL_SPACES)
        and not state.placement.is_on_route(block)
    )


def own_aggregates(state: State, scope: Scope) -> Iterator[AggregateRecord]:
    """The aggregates of this node that lie in a scope and in none below it, active or at rest, in
    the order of their addresses."""
    tree = state.placement.tree
    for aggregate in state.aggregates.own_in(scope.block):
        if tree.containing(block_of_aggregate(aggregate)) is scope:
            yield aggregate


def _taken_back(state: State, scope: Scope, length: int) -> Grown | None:
    for aggregate in own_aggregates(state, scope):
        block = block_of_aggregate(aggregate)
        if (
            aggregate.released is not None
            and block.length < length
            and state.placement.lowest_in_aggregate(scope, block, length) is not None
        ):
            return take_back(aggregate)
    return None


def _new(state: State, scope: Scope, length: int) -> Grown | None:
    assert scope.node_prefix is not None
    block = _free_buddy(state, scope, length) or _farthest(state, scope, scope.node_prefix, length)
    return None if block is None else claim(state, scope, block)


def _free_buddy(state: State, scope: Scope, length: int) -> Block | None:
    for aggregate in own_aggregates(state, scope):
        own = block_of_aggregate(aggregate)
        if aggregate.released is None and own.length == scope.node_prefix:
            buddy = own._replace(start=own.start ^ (1 << (own.width - own.length)))
            if (
                state.placement.is_free_in_scope(scope, buddy)
                and state.placement.unreserved_in(scope, buddy, length) is not None
            ):
                return buddy
    return None


def _farthest(state: State, scope: Scope, node_prefix: int, length: int) -> Block | None:
    """The first block of the largest free part of the scope that is not reserved as a whole: of
    equal ones, that whose index has the smallest reversed bits, as the parts are halved again and
    again. Where other nodes claim at the same moment, any of the largest parts will do."""
    parts = state.placement.free_blocks(scope, node_prefix)
    for part_length in sorted(parts):
        starts = sorted(parts[part_length], key=lambda start: _reversed(scope, start, part_length))
        if state.meetings.is_apart:
            random.shuffle(starts)
        for start in starts:
            part = Block(scope.block.version, start, part_length)
            first = state.placement.unreserved_in(scope, part, length)
            if first is not None:
                shift = first.width - node_prefix
                return Block(first.version, first.start >> shift << shift, node_prefix)
    return None


def _reversed(scope: Scope, start: int, length: int) -> int:
    """The index of a block of this length in the scope, with its bits reversed."""
    bits = length - scope.block.length
    index = (start - scope.block.start) >> (scope.block.width - length)
    return int(f"{index:0{bits}b}"[::-1], 2) if bits else 0


def _of_forgotten_node(state: State, scope: Scope, length: int) -> Grown | None:
    tree = state.placement.tree
    found = [
        aggregate
        for aggregate in state.aggregates.forgotten()
        if may_be_claimed_again(state, aggregate)
        and tree.overlapped_by(block_of_aggregate(aggregate)) == [scope]
        and block_of_aggregate(aggregate).length < length
        and state.placement.unreserved_in(scope, block_of_aggregate(aggregate), length)
    ]
    longest = min(found, key=lambda aggregate: aggregate.released or 0.0, default=None)
    return None if longest is None else claim_of_forgotten_node(state, scope, longest)
