"""From where an automatic block is drawn: from the whole scope, or from an aggregate of this node.

See "Carving blocks" and "Aggregates" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pyipam.core.aggregates import block_of_aggregate, cidr_of, id_of_own
from pyipam.core.growth import Grown, grow, take_back, taken_back
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import reason_against
from pyipam.core.state import State
from pyipam.core.turned_down import turned_down_by_scope
from pyipam.log import Line
from pyipam.plan.scope import Scope
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block
from pyipam.store.pool_id import is_local
from pyipam.store.records import Change

# After so many blocks of a scope, nothing that is claimed would help.
MOST_TURNED_DOWN = 16


class Drawn(NamedTuple):
    """A block, the aggregate that it was drawn from, empty if from none, and the changes by which
    this node gets that aggregate first, if it has to."""

    block: Block
    aggregate: str = ""
    changes: tuple[Change, ...] = ()
    events: tuple[Line, ...] = ()


def draw(state: State, scope: Scope, request: PoolRequest) -> Drawn | None:
    """The block that the scope would give to a request: the lowest free one, or another while other
    nodes ask for that as well. In a scope with `node_prefix`, that of this node's fullest aggregate
    that has one, or of one that is claimed for it. None if there is none."""
    if reason_against(scope, request) is not None:
        return None
    drawn = would_be_drawn(state, scope, request.length_in(scope), request.space)
    # Docker asks again and again for a block that a route or a name server of the host overlaps.
    if drawn is not None and drawn.changes and too_many_turned_down(state, [scope], request):
        return None
    return drawn


def would_be_drawn(state: State, scope: Scope, length: int, space: AddressSpace) -> Drawn | None:
    """What `draw` gives for a length that the scope gives out, as long as Docker turns nothing
    down."""
    around = state.placement.own_aggregate_around(scope)
    if around is not None:
        return _from_around(state, scope, around, length) if space == "local" else None
    if scope.node_prefix is not None:
        return _from_own(state, scope, length) or _first_in(
            state, scope, grow(state, scope, length), length
        )
    lowest = state.placement.lowest(scope, length)
    if lowest is not None:
        return Drawn(state.meetings.apart(state.placement, scope, length) or lowest)
    if space == "global":
        return None
    # Its aggregates are from when it had the key, and end the sooner the less is drawn from them.
    return _from_own(state, scope, length) or _first_in(
        state, scope, taken_back(state, scope, length), length
    )


def may_be_drawn(state: State, scope: Scope, block: Block, space: AddressSpace) -> bool:
    """Whether a block of a scope, though it is held, lies where this node draws its blocks for an
    address space: in an aggregate, even if that rests, or else in a scope without `node_prefix`."""
    aggregate = state.aggregates.own_around(block)
    if aggregate is not None:
        return space == "local" and block_of_aggregate(aggregate).length < block.length
    inside = state.aggregates.overlapping(block)
    return scope.node_prefix is None and not any(is_local(each.id) for each in inside)


def aggregate_around(state: State, block: Block) -> str:
    """The aggregate of this node, as a CIDR, that contains a block; empty if there is none."""
    aggregate = state.aggregates.active_around(block)
    return "" if aggregate is None else cidr_of(aggregate)


def too_many_turned_down(
    state: State, scopes: Iterable[Scope], request: PoolRequest
) -> list[Block]:
    """The blocks of the first scope with `node_prefix` of which Docker turned down so many that
    nothing more is claimed; or none."""
    claimed_from = [scope for scope in scopes if scope.node_prefix is not None]
    if not claimed_from:
        return []
    found = turned_down_by_scope(state, claimed_from, request).values()
    return next((sorted(blocks) for blocks in found if len(blocks) >= MOST_TURNED_DOWN), [])


def _from_own(state: State, scope: Scope, length: int) -> Drawn | None:
    for aggregate in state.placement.fullest_aggregates(scope, length):
        lowest = state.placement.lowest_in_aggregate(scope, aggregate, length)
        if lowest is not None:
            return Drawn(lowest, str(aggregate))
    return None


def _from_around(state: State, scope: Scope, around: Block, length: int) -> Drawn | None:
    """A block of a scope that lies inside an aggregate of this node: nobody else can get it, and
    nothing of the scope can be claimed until the aggregate has ended."""
    lowest = state.placement.lowest(scope, length)
    aggregate = state.aggregates.find(id_of_own(around))
    if lowest is None or aggregate is None:
        return None
    if aggregate.released is None:
        return Drawn(lowest, str(around))
    again = take_back(aggregate)
    return Drawn(lowest, str(around), again.changes, again.events)


def _first_in(state: State, scope: Scope, grown: Grown | None, length: int) -> Drawn | None:
    if grown is None:
        return None
    aggregate = block_of_aggregate(grown.aggregate)
    if state.aggregates.find(grown.aggregate.id) is not None:
        block = state.placement.lowest_in_aggregate(scope, aggregate, length)
    else:
        # Nothing is held in it.
        block = state.placement.unreserved_in(scope, aggregate, length)
    if block is None:
        return None
    return Drawn(block, cidr_of(grown.aggregate), grown.changes, grown.events)
