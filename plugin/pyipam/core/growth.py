"""Which block a node claims next from a scope with `node_prefix`.

First one of its own that rests. Then one beside its own, so that they are announced as one prefix,
at once or after further ones: in the free buddy of an own one, or of several that make up a block.
Then the place farthest from what others have, so that everybody can grow: the start of the largest
free part. Last, a block of a node that was forgotten, which may still be announced.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pyipam.core.aggregates import (
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
        taken_back(state, scope, length)
        or _new(state, scope, length)
        or _of_forgotten_node(state, scope, length)
    )


def taken_back(state: State, scope: Scope, length: int) -> Grown | None:
    """An aggregate of this node at rest that has a block of this length, in use again; or None."""
    for block in state.placement.aggregates_at_rest(scope):
        if block.length >= length:
            continue
        if state.placement.lowest_in_aggregate(scope, block, length) is not None:
            aggregate = state.aggregates.find(id_of_own(block))
            assert aggregate is not None
            return take_back(aggregate)
    return None


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
    """Whether an aggregate is that of a forgotten node which nobody announces any more, and
    automatic blocks may come from it."""
    on_route = state.placement.is_on_route(block_of_aggregate(aggregate))
    return not on_route and may_be_claimed_with_subnet(state, aggregate)


def may_be_claimed_with_subnet(state: State, aggregate: AggregateRecord) -> bool:
    """Whether an aggregate is that of a forgotten node which nobody announces any more. An explicit
    subnet may lie on a route: where the host is served under another name now, the bridges of its
    networks are there."""
    if not aggregate.forgotten or aggregate.released is None:
        return False
    block = block_of_aggregate(aggregate)
    return state.rest_left(aggregate) <= 0.0 and is_free_of_pools(state, block)


def would_serve(state: State, scope: Scope, forgotten: AggregateRecord, length: int) -> bool:
    """Whether automatic blocks of a scope, of this length, may come from the aggregate of a
    forgotten node once that has rested."""
    block = block_of_aggregate(forgotten)
    return (
        block.length < length
        and state.placement.tree.overlapped_by(block) == [scope]
        and not state.placement.is_on_route(block)
        and is_free_of_pools(state, block)
        and state.placement.unreserved_in(scope, block, length) is not None
    )


def is_free_of_pools(state: State, block: Block) -> bool:
    """Whether no pool that is known here lies in a block."""
    return all(state.placement.is_free(space, block) for space in _POOL_SPACES)


def own_aggregates(state: State, scope: Scope) -> Iterator[AggregateRecord]:
    """The aggregates of this node that lie in a scope and in none below it, active or at rest, in
    the order of their addresses."""
    tree = state.placement.tree
    for aggregate in state.aggregates.own_in(scope.block):
        if tree.containing(block_of_aggregate(aggregate)) is scope:
            yield aggregate


def _new(state: State, scope: Scope, length: int) -> Grown | None:
    assert scope.node_prefix is not None
    for part in _parts_in_turn(state, scope, scope.node_prefix):
        first = state.placement.unreserved_in(scope, part, length)
        if first is not None:
            return claim(state, scope, first.widened_to(scope.node_prefix))
    return None


def _parts_in_turn(state: State, scope: Scope, node_prefix: int) -> Iterator[Block]:
    """The free parts of a scope, from the first that an aggregate is claimed from."""
    yield from state.placement.free_buddies(scope, node_prefix)
    yield from _farthest(state, scope, node_prefix)


def _farthest(state: State, scope: Scope, node_prefix: int) -> Iterator[Block]:
    """The free parts of a scope, the largest first: of equal ones, that whose index has the
    smallest reversed bits, as the parts are halved again and again. Where other nodes claim at the
    same moment, any of the largest parts will do."""
    in_turn = _at_random if state.meetings.is_apart else _halving
    for length in range(scope.block.length, node_prefix + 1):
        size = 1 << (scope.block.width - length)
        for start in in_turn(state.placement.free_starts(scope, length), size):
            yield Block(scope.block.version, start, length)


def _at_random(starts: Collection[int], _size: int) -> list[int]:
    return random.sample([*starts], len(starts))


def _halving(starts: Collection[int], size: int) -> Iterator[int]:
    """The starts of parts of this size by their indices with reversed bits."""
    left: Collection[int] = starts
    bit = size
    while len(left) > 1:
        left = [start for start in left if not start & bit] or left
        bit <<= 1
    yield from left
    # Nearly always, that one will do.
    yield from sorted(set(starts).difference(left), key=lambda start: _reversed(start // size))


def _reversed(index: int) -> str:
    """What numbers are ordered by whose bits are reversed."""
    return f"{index:0128b}"[::-1]


def _of_forgotten_node(state: State, scope: Scope, length: int) -> Grown | None:
    found = [
        aggregate
        for aggregate in state.aggregates.forgotten_in(scope.block)
        if may_be_claimed_with_subnet(state, aggregate)
        and would_serve(state, scope, aggregate, length)
    ]
    longest = min(found, key=lambda aggregate: aggregate.released or 0.0, default=None)
    return None if longest is None else claim_of_forgotten_node(state, scope, longest)
