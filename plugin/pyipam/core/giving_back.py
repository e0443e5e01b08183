"""Aggregates that this node gives back: they rest, and are free afterwards.

Of several empty ones of a scope, the oldest that can serve stays, so that the next network finds it
announced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pyipam.core.aggregates import (
    block_of_aggregate,
    cidr_of,
    id_of_own,
    node_of,
)
from pyipam.core.decision import Decision, info
from pyipam.core.messages import named, when
from pyipam.core.state import State
from pyipam.errors import InUse, InvalidRequest, NotHeld, listed
from pyipam.log import Line
from pyipam.plan.scope import Scope
from pyipam.space.block import parse_subnet
from pyipam.store.pool_id import is_local
from pyipam.store.records import AggregateRecord, Change, PoolRecord, Put

_MOST_NAMED = 5


def after_last_pool(state: State, pool: PoolRecord) -> Decision[None]:
    """What changes for the aggregates of this node when a pool ends: with its last pool, an
    aggregate becomes empty, and of the empty ones of a scope all but one are released."""
    if not is_local(pool.id) or not state.aggregates:
        return Decision(None)
    aggregate = state.aggregates.active_around(state.holdings.subnet_of(pool).block)
    if aggregate is None or not _is_empty(state, aggregate, pool):
        return Decision(None)
    scope = state.placement.tree.containing(block_of_aggregate(aggregate))
    if scope is None or scope.node_prefix is None:
        # See `without_node_prefix`.
        return Decision(None)
    others = [each for each in _empty(state, pool) if _is_in(state, scope, each)]
    empty = [aggregate, *(each for each in others if each is not aggregate)]
    kept = _kept(state, scope, empty, pool)
    return _together([_released(state, each) for each in empty if each is not kept])


def without_node_prefix(state: State) -> Decision[None]:
    """What changes for the aggregates of this node whose scope has no `node_prefix` any more, or
    has left the schema: those in which no pool is held are released. They rest as others do: where
    the schema of another node still has the key, that node may claim them."""
    released = []
    for aggregate in state.aggregates.may_end():
        if aggregate.released is None and not any(_held_in(state, aggregate)):
            released.append(_released(state, aggregate))
        else:
            # Until a pool in it ends.
            state.aggregates.cannot_end(aggregate)
    return _together(released)


def release_aggregate(state: State, cidr: str) -> Decision[None]:
    """Release an aggregate of this node, at an operator's request. Raises InvalidRequest, NotHeld
    where this node does not have it, and InUse where it has pools."""
    aggregate = _own(state, cidr)
    if aggregate.released is not None:
        raise NotHeld(
            f"aggregate {cidr_of(aggregate)} was released already, and "
            f"{rest_in_words(state, aggregate)}; nothing has been done"
        )
    pools = list(_held_in(state, aggregate))
    if pools:
        shown = listed([*map(named, pools)], _MOST_NAMED)
        count = "one pool" if len(pools) == 1 else f"{len(pools)} pools"
        raise InUse(
            f"aggregate {cidr_of(aggregate)} holds {count}: {shown}; remove their networks "
            "first. Nothing has been released"
        )
    return _released(state, aggregate)


def rests_until(state: State, aggregate: AggregateRecord) -> float:
    """Until when an aggregate that was released rests (UNIX time in seconds). Needs the lock."""
    assert aggregate.released is not None
    if aggregate.forgotten and not is_local(aggregate.id):
        return round(state.clock.wall() + state.rest_left(aggregate), 3)
    return aggregate.released + state.rest_seconds(block_of_aggregate(aggregate))


def has_rested(state: State, aggregate: AggregateRecord) -> bool:
    """Whether the rest of an aggregate that was released is over, though it is still there: one of
    this node while subnets in it rest for longer, one of another node until that frees it, and one
    of a forgotten node until somebody claims it. Needs the lock."""
    return rests_until(state, aggregate) <= state.clock.wall()


def rest_in_words(state: State, aggregate: AggregateRecord) -> str:
    """Until when an aggregate that was released by its node rests, or what ends that: a predicate.
    Needs the lock."""
    if not has_rested(state, aggregate):
        return f"rests until {when(rests_until(state, aggregate))}"
    if is_local(aggregate.id):
        return "rests while subnets in it do"
    return (
        "has rested, and is free once that node runs again, or is forgotten (`pyipam nodes forget "
        f"{node_of(aggregate)}`)"
    )


def from_when_claimable(state: State, forgotten: AggregateRecord) -> str:
    """From when on others may claim what a forgotten node had: a sentence. Needs the lock."""
    rests = forgotten.released is not None and not has_rested(state, forgotten)
    then = f"from {when(rests_until(state, forgotten))} on " if rests else ""
    return f"{then}others may claim it where nothing else is free"


def _own(state: State, cidr: str) -> AggregateRecord:
    try:
        block = parse_subnet(cidr)
    except ValueError as error:
        raise InvalidRequest(f"{cidr!r} {error}") from None
    aggregate = state.aggregates.find(id_of_own(block))
    if aggregate is not None:
        return aggregate
    other = state.aggregates.around(block)
    if other is None:
        raise NotHeld(f"no node has claimed {block}; `pyipam claims` lists what they have")
    if not is_local(other.id):
        raise NotHeld(f"{block} is not of this node: {_who_releases(state, other)}")
    raise NotHeld(f"{block} is a part of {cidr_of(other)}, which can be released as a whole only")


def _who_releases(state: State, other: AggregateRecord) -> str:
    """What is to be known of another node's aggregate to whoever would release it."""
    node, cidr = node_of(other), cidr_of(other)
    if other.released is None:
        return f"node {node} has claimed {cidr}, and it can be released only there"
    if other.forgotten:
        return (
            f"node {node} had claimed {cidr} and was forgotten: that block needs no release, and "
            f"{from_when_claimable(state, other)}"
        )
    return f"node {node} had claimed {cidr} and has released it: it {rest_in_words(state, other)}"


def _empty(state: State, but_for: PoolRecord) -> Iterator[AggregateRecord]:
    """The aggregates of this node in use in which no pool is held, but for one that ends."""
    for each in state.aggregates.may_be_empty():
        if _is_empty(state, each, but_for):
            yield each
        else:
            # Until a pool in it ends.
            state.aggregates.has_pool(each)


def _kept(
    state: State, scope: Scope, empty: Sequence[AggregateRecord], but_for: PoolRecord
) -> AggregateRecord:
    """The one of several empty aggregates of a scope that stays when a pool ends. If it could not
    serve the networks to come, the next one would be claimed, and given back, with each of them: so
    it is the oldest that has room for one like that which ended, or else for the usual one."""
    if len(empty) == 1 or scope.child_prefix is None or not scope.can_be_drawn_from:
        return min(empty, key=_age)
    usual = scope.child_prefix
    lengths = (min(state.holdings.subnet_of(but_for).block.length, usual), usual)
    serving = (
        [each for each in empty if _has_room(state, scope, each, length)] for length in lengths
    )
    return min(next(filter(None, serving), empty), key=_age)


def _age(aggregate: AggregateRecord) -> tuple[float, str]:
    return aggregate.since, aggregate.id


def _has_room(state: State, scope: Scope, aggregate: AggregateRecord, length: int) -> bool:
    """Whether an empty aggregate has a block of this length for a network: one that is free, rests
    or is held by the pool that ends."""
    placement, around = state.placement, block_of_aggregate(aggregate)
    if around.length >= length:
        return False
    if placement.lowest_in_aggregate(scope, around, length) is not None:
        return True
    held = placement.held_inside("local", around)
    return any(
        placement.unreserved_in(scope, block, length) is not None
        and placement.tree.overlapped_by(block) == [scope]
        and not placement.is_on_route(block)
        for block in (each.widened_to(length) for each in held)
    )


def _is_in(state: State, scope: Scope, aggregate: AggregateRecord) -> bool:
    return state.placement.tree.containing(block_of_aggregate(aggregate)) is scope


def _is_empty(state: State, aggregate: AggregateRecord, but_for: PoolRecord) -> bool:
    """Whether no pool is held in an aggregate, but for the one that ends."""
    return all(pool.id == but_for.id for pool in _held_in(state, aggregate))


def _held_in(state: State, aggregate: AggregateRecord) -> Iterator[PoolRecord]:
    """The pools in an aggregate that networks have. What rests does not keep it in use: the
    aggregate rests for as long at least."""
    return (pool for pool in state.pools_in(aggregate) if pool.claims)


def _released(state: State, aggregate: AggregateRecord) -> Decision[None]:
    rest = state.rest_seconds(block_of_aggregate(aggregate))
    released = info("aggregate released", aggregate=cidr_of(aggregate), rests=f"{rest:.0f}")
    return Decision(None, [Put(aggregate._replace(released=state.clock.wall()))], [released])


def _together(released: Iterable[Decision[None]]) -> Decision[None]:
    changes: list[Change] = []
    events: list[Line] = []
    for each in released:
        changes += each.changes
        events += each.events
    return Decision(None, changes, events)
