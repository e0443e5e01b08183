"""Why a scope has no block for this node, where nodes have claimed it: who has how much of it.

Only a request that is about to be refused pays for this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pyipam.core.aggregates import block_of_aggregate, can_be_claimed, cidr_of, node_of
from pyipam.core.giving_back import has_rested, rests_until
from pyipam.core.growth import is_free_of_pools, own_aggregates, would_serve
from pyipam.core.messages import named_routes, on_day, when
from pyipam.core.reserved import named_entries
from pyipam.core.state import State
from pyipam.errors import listed
from pyipam.host.route import Route
from pyipam.plan.scope import Scope
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block
from pyipam.store.pool_id import is_local
from pyipam.store.records import AggregateRecord

_MOST_NODES_NAMED = 3
_MOST_OLDER_NAMED = 3


class Obstacle(NamedTuple):
    """Why a scope has no block for a network: a predicate; and what would help: requests."""

    why: str
    cures: Sequence[str] = ()


class _Reserved(NamedTuple):
    """What of a scope nobody has and this node gets only by name: the free parts that it could
    claim, and its aggregates with free blocks."""

    parts: Sequence[Block]
    own: Sequence[Block]

    def count(self, node_prefix: int) -> int:
        """How many blocks of `node_prefix` it could claim."""
        return sum(1 << (node_prefix - part.length) for part in self.parts)


class _Claimed(NamedTuple):
    """The aggregates in a scope: those of this node in use; of these, the older ones, which are
    smaller than what it would claim by now: in the block around one, it claims nothing; and those
    of other nodes, also at rest."""

    active: Sequence[AggregateRecord]
    older: Sequence[AggregateRecord]
    elsewhere: Sequence[AggregateRecord]


def aggregate_in_the_way(state: State, scope: Scope, space: AddressSpace) -> AggregateRecord | None:
    """The aggregate that contains all of a scope and is not drawn from for its networks of this
    space, or None. It was claimed before the scope was there, or had no `node_prefix`."""
    found = state.aggregates.around(scope.block)
    if found is None or (is_local(found.id) and space == "local"):
        return None
    is_of_scope = block_of_aggregate(found) == scope.block and scope.node_prefix is not None
    return None if is_of_scope else found


def in_the_way(state: State, scope: Scope, aggregate: AggregateRecord) -> Obstacle:
    """Who has an aggregate that is in the way of a scope, and what would help."""
    why = _why_in_the_way(state, scope, aggregate)
    return Obstacle(why, [*_cures_of_what_is_in_the_way(state, aggregate)])


def _why_in_the_way(state: State, scope: Scope, aggregate: AggregateRecord) -> str:
    who = "this node" if is_local(aggregate.id) else f"node {node_of(aggregate)}"
    when_claimed = f"on {on_day(aggregate.since)} (node_prefix)"
    if block_of_aggregate(aggregate) == scope.block:
        why = f"was claimed as a whole by {who} {when_claimed}"
    else:
        why = f"lies in {cidr_of(aggregate)}, which {who} claimed {when_claimed}"
    if aggregate.released is not None:
        if has_rested(state, aggregate):
            return f"{why}: that block has rested, and is not free yet"
        return f"{why}: that block rests by now"
    if is_local(aggregate.id):
        return f"{why}, so that networks of a swarm get nothing there"
    return f"{why}, so that no other node gets anything there"


def _cures_of_what_is_in_the_way(state: State, aggregate: AggregateRecord) -> Iterator[str]:
    cidr, node = cidr_of(aggregate), node_of(aggregate)
    yield "select another scope by its tags"
    yield "move the scope to addresses that no node has claimed (`pyipam claims`)"
    if aggregate.released is not None:
        if not has_rested(state, aggregate):
            yield f"wait until {cidr} has rested ({when(rests_until(state, aggregate))})"
        elif node and not aggregate.forgotten:
            yield _start_or_forget(node)
        return
    where, there = (f" on node {node}", " there") if node else ("", "")
    yield (
        f"remove the networks in {cidr}{where} and release it{there} "
        f"(`pyipam claims release {cidr}`)"
    )
    if node:
        yield f"forget that node if it is gone (`pyipam nodes forget {node}`)"


def claimers_in(state: State, scope: Scope) -> str:
    """How many aggregates nodes have in the own space of a scope: `this node: 1, h2: 3`; empty if
    there are none."""
    tree = state.placement.tree
    counted = Counter(
        node_of(each) or "this node"
        for each in state.aggregates.all_in(scope.block)
        if tree.containing(block_of_aggregate(each)) is scope
    )
    return _listed(counted)


def without_aggregate(
    state: State, scope: Scope, node_prefix: int, length: int, routes: Sequence[Route]
) -> Obstacle:
    """Why neither an aggregate of this node nor a new one has a block of this length, and what
    would help. `routes` are those of the host in the scope."""
    reserved = _reserved(state, scope, node_prefix, length)
    claimed = _claimed_in(state, scope, node_prefix)
    further = _why_nothing_further(scope, node_prefix, reserved.count(node_prefix), routes)
    mine = _why_no_room(len(claimed.active), bool(reserved.own))
    parts = [mine, *_of_older(claimed, node_prefix), *_of_others(claimed), further]
    entries = named_entries(state.placement.tree, scope, (*reserved.parts, *reserved.own))
    kept = f"; reserved in the schema: {entries}" if entries else ""
    why = (
        f"has no free /{length} block for node {state.node} ({', '.join(parts[:-1])}, and "
        f"{parts[-1]}{kept})"
    )
    is_reserved = bool(reserved.parts or reserved.own)
    cures = _cures_without_aggregate(state, scope, length, routes, claimed, is_reserved)
    return Obstacle(why, [*cures])


def _why_no_room(aggregates: int, in_part_reserved: bool) -> str:
    if not aggregates:
        return "it has no aggregate"
    but = " but for reserved blocks" if in_part_reserved else ""
    if aggregates == 1:
        return f"its one aggregate has no room{but}"
    return f"its {aggregates} aggregates have no room{but}"


def _why_nothing_further(
    scope: Scope, node_prefix: int, reserved: int, routes: Sequence[Route]
) -> str:
    """Why no block of `node_prefix` can be claimed, of which so many are reserved."""
    total = 1 << (node_prefix - scope.block.length)
    if total == 1:
        fate = "is reserved" if reserved else "cannot be claimed"
        further = f"the scope's one /{node_prefix} block {fate}"
    elif reserved == total:
        further = f"all {total} of the scope's /{node_prefix} blocks are reserved"
    else:
        further = f"none of the scope's {total} /{node_prefix} blocks can be claimed"
    if reserved == total:
        return further
    some = []
    if reserved:
        some.append(f"{reserved} {'is' if reserved == 1 else 'are'} reserved")
    if routes:
        some.append(f"some lie on routes of this host: {named_routes(routes)}")
    return f"{further}, of which {' and '.join(some)}" if some else further


def _cures_without_aggregate(
    state: State,
    scope: Scope,
    length: int,
    routes: Sequence[Route],
    claimed: _Claimed,
    is_reserved: bool,
) -> Iterator[str]:
    """What would help; `is_reserved` says that this node could have something by name."""
    all_reserved = state.placement.unreserved_in(scope, scope.block, length) is None
    if is_reserved:
        yield "ask for a reserved block by name (--subnet)"
        yield "reserve less in the schema"
        if all_reserved:
            return
    if not all_reserved and not is_free_of_pools(state, scope.block):
        yield "remove networks that nobody needs"
        yield "free what has leaked with `pyipam reconcile`"
    for each in claimed.older[:1]:
        yield (
            "remove the networks of an older aggregate and release it (pyipam claims release "
            f"{cidr_of(each)})"
        )
    yield from _cures_elsewhere(state, scope, length, claimed.elsewhere)
    yield "enlarge the scope in the schema"
    if routes:
        yield f"remove routes ({named_routes(routes)})"


def _cures_elsewhere(
    state: State, scope: Scope, length: int, others: Sequence[AggregateRecord]
) -> Iterator[str]:
    """What would help about the aggregates of other nodes."""
    waited_for = [each for each in others if _ends_in_time(state, scope, each, length)]
    if waited_for:
        first = min(rests_until(state, each) for each in waited_for)
        yield f"wait until one of those at rest has rested (the first: {when(first)})"
    away = _seem_away(state, others)
    if away:
        yield _start_or_forget(away[0])
    active = [each for each in others if each.released is None]
    if active:
        yield "release what other nodes do not need"
    if any(node_of(each) not in away for each in active):
        yield "forget those that are gone (`pyipam nodes`)"


def _ends_in_time(state: State, scope: Scope, other: AggregateRecord, length: int) -> bool:
    """Whether another node's aggregate rests, and would serve a block of this length after that."""
    if other.released is None or has_rested(state, other):
        return False
    is_claimed_next = other.forgotten and can_be_claimed(
        state.placement.tree, block_of_aggregate(other)
    )
    return not is_claimed_next or would_serve(state, scope, other, length)


def _seem_away(state: State, others: Iterable[AggregateRecord]) -> list[str]:
    """The nodes that have not freed what has rested, as a plugin that runs does by itself; first
    the one that would have done so first."""
    overdue = [
        each
        for each in others
        if each.released is not None and not each.forgotten and has_rested(state, each)
    ]
    overdue.sort(key=lambda each: rests_until(state, each))
    return list(dict.fromkeys(map(node_of, overdue)))


def _start_or_forget(node: str) -> str:
    """What helps if a node has not freed what has rested. It may run yet: as long as subnets in it
    rest for longer."""
    return (
        f"start node {node}, which has not freed what has rested and seems not to be running, or "
        f"forget it if it is gone (`pyipam nodes forget {node}`)"
    )


def _reserved(state: State, scope: Scope, node_prefix: int, length: int) -> _Reserved:
    placement = state.placement
    free = free_parts(state, scope, node_prefix)
    return _Reserved(
        [part for part in free if placement.unreserved_in(scope, part, length) is None],
        # That one of them is not reserved would have been found.
        list(placement.fullest_aggregates(scope, length)),
    )


def free_parts(state: State, scope: Scope, length: int) -> list[Block]:
    """The free parts of a scope, reserved or not, in which a block of this length has room."""
    return [
        Block(scope.block.version, start, of_length)
        for of_length, starts in state.placement.free_blocks(scope, length).items()
        for start in starts
    ]


def _claimed_in(state: State, scope: Scope, node_prefix: int) -> _Claimed:
    active = [each for each in own_aggregates(state, scope) if each.released is None]
    return _Claimed(
        active,
        [each for each in active if block_of_aggregate(each).length > node_prefix],
        [each for each in state.aggregates.all_in(scope.block) if not is_local(each.id)],
    )


def _of_older(claimed: _Claimed, node_prefix: int) -> Iterator[str]:
    if claimed.older:
        shown = listed([*map(cidr_of, claimed.older)], _MOST_OLDER_NAMED)
        yield f"older ones are in the way of /{node_prefix} blocks ({shown})"


def _of_others(claimed: _Claimed) -> Iterator[str]:
    """How many aggregates other nodes have in the scope, those of the most first."""
    found = claimed.elsewhere
    if found:
        counted = Counter(map(node_of, found))
        resting = sum(each.released is not None for each in found)
        at_rest = f", {resting} of them at rest" if resting else ""
        yield f"other nodes have {len(found)} ({_listed(counted)}{at_rest})"


def _listed(counted: Counter[str]) -> str:
    """Nodes and how many aggregates each of them has, those with the most first."""
    shown = [f"{node}: {count}" for node, count in counted.most_common(_MOST_NODES_NAMED)]
    more = len(counted) - len(shown)
    rest = f" and {more} more nodes" if more > 1 else " and one more node" if more else ""
    return f"{', '.join(shown)}{rest}"
