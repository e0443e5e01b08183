"""The blocks that nodes have claimed for themselves, as the views show them."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter
from typing import Literal, NamedTuple, get_args

from pyipam.core.aggregates import block_of_aggregate, cidr_of, node_of
from pyipam.core.giving_back import rests_until
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.store.pool_id import is_local
from pyipam.store.records import AggregateRecord
from pyipam.views.drawable import count_claimable
from pyipam.views.order import (
    Key,
    Page,
    Part,
    Pause,
    Subnets,
    in_parts,
    key_of_pool,
    key_of_subnet,
    of_one_schema,
    reading_scopes_of,
)
from pyipam.views.pools import pools_of

# An aggregate that rests is not announced; those of a forgotten node rest until somebody claims
# them.
AggregateState = Literal["active", "draining", "resting", "forgotten"]
AGGREGATE_STATES: tuple[AggregateState, ...] = get_args(AggregateState)

# About a tenth of a millisecond each.
_KEYS_AT_A_TIME = 100
_VIEWS_AT_A_TIME = 10


@dataclass(frozen=True, slots=True)
class AggregateView:
    """A block that `node` has claimed at `since` (UNIX time in seconds). `scope` is the network of
    the scope that it was claimed from, and `tags` are those of the scope that it lies in now.

    While the node is drained, the state is draining. What was released is resting until
    `resting_until`, and free then; a time that is over says that its node, which would free it,
    does not run, or that subnets in it rest for longer. What is forgotten may be claimed from then
    on by nodes that find nothing else. `blocks` is how many blocks of `child_prefix` it has, `free`
    how many of them are free, and `pools` how many pools in it are in use; of other nodes these two
    are not known, and null. `blocks` and `free` are strings, as those of a scope.
    """

    id: str
    cidr: str
    node: str
    scope: str
    tags: tuple[str, ...]
    state: AggregateState
    since: float
    resting_until: float | None
    pools: int | None
    blocks: str | None
    free: str | None


class Placed(NamedTuple):
    """Where an aggregate stands in the order of addresses, and its record."""

    key: Key
    record: AggregateRecord


@dataclass(frozen=True, slots=True)
class AggregateFilter:
    """Which aggregates are wanted: those of a node, those inside a block, those in one state; None
    leaves a question open."""

    node: str | None = None
    inside: Block | None = None
    state: str | None = None

    def may_have(self, claimed: Iterable[Placed], this_node: str) -> Iterator[Placed]:
        """Those of these aggregates that may be wanted, as far as node and block say."""
        for each in claimed:
            if self.node not in (None, node_of(each.record) or this_node):
                continue
            if self.inside is None or Block(*each.key[:3]).is_inside(self.inside):
                yield each


@dataclass(slots=True)
class AggregatesOfScope:
    """What is claimed of a scope: how many aggregates all nodes have, at rest or not, how many more
    could be claimed, and how many this node has, by state. Those that do not rest have so many
    `blocks` of `child_prefix`, of which so many are `free`."""

    own: dict[AggregateState, int]
    claimable: int
    claimed: int = 0
    blocks: int = 0
    free: int = 0

    def add(self, state: State, record: AggregateRecord) -> None:
        """Count an aggregate. Needs the lock."""
        self.claimed += 1
        if not is_local(record.id):
            return
        self.own[state_of_aggregate(state, record)] += 1
        if record.released is None:
            blocks, free = count_blocks(state, record)
            self.blocks += blocks or 0
            self.free += free or 0


class AggregatesInOrder:
    """The aggregates of all nodes, in the order of their addresses."""

    def __init__(self, ipam: Ipam) -> None:
        self._ipam = ipam
        self._known: tuple[int, Sequence[Placed]] = (-1, ())

    def all(self, pause: Pause) -> Sequence[Placed]:
        """Every aggregate, in order. They are kept until one comes, goes or changes."""
        with self._ipam.reading() as state:
            version = state.aggregates.version
            if self._known[0] == version:
                return self._known[1]
            records = list(state.aggregates)
        runs: list[list[Placed]] = []
        for part in in_parts(records, _KEYS_AT_A_TIME):
            runs.append(sorted(Placed(key_of_subnet(record.id), record) for record in part))
            pause()
        found: list[Placed] = []
        for merged in in_parts(heapq.merge(*runs), _KEYS_AT_A_TIME):
            found += merged
            pause()
        self._known = (version, found)
        return found

    def touching(self, block: Block, pause: Pause) -> Iterator[AggregateRecord]:
        """The aggregates that overlap a block: those around it, and those in it, in order."""
        known = self.all(pause)
        version, start, length = block
        for shorter in range(length):
            shift = block.width - shorter
            around = (version, start >> shift << shift, shorter)
            for each in _from(known, around):
                if each.key[:3] != around:
                    break
                yield each.record
        for each in _from(known, block):
            if each.key[:2] > (version, block.last):
                break
            yield each.record


def _from(known: Sequence[Placed], place: tuple[int, int, int]) -> Iterator[Placed]:
    """The aggregates from a place on."""
    begin = bisect_left(known, (*place, ""), key=attrgetter("key"))
    return (known[position] for position in range(begin, len(known)))


def list_aggregates(
    ipam: Ipam,
    subnets: Subnets,
    aggregates: AggregatesInOrder,
    wanted: AggregateFilter,
    part: Part,
    pause: Pause,
) -> Page[AggregateView]:
    """A part of the aggregates that are wanted, by address. Raises InvalidRequest."""
    known = aggregates.all(pause)
    begin = 0
    if part.after:
        begin = bisect_right(known, key_of_pool(part.after), key=lambda each: each.key)
    with ipam.reading() as state:
        this_node = state.node
    found: list[AggregateView] = []
    for some in in_parts(islice(known, begin, None), _KEYS_AT_A_TIME):
        for few in in_parts(wanted.may_have(some, this_node), _VIEWS_AT_A_TIME):
            with ipam.reading() as state:
                views = [view_of_aggregate(state, each.record) for each in few]
            found += [view for view in views if wanted.state in (None, view.state)]
        pause()
        if len(found) > part.limit:
            break
    shown = tuple(with_pools(ipam, subnets, view, pause) for view in found[: part.limit])
    return Page(shown, shown[-1].id if len(found) > part.limit else None)


@of_one_schema
def count_by_scope(
    ipam: Ipam, aggregates: AggregatesInOrder, pause: Pause
) -> Mapping[str, AggregatesOfScope]:
    """What is claimed of each scope with `node_prefix`, by its network."""
    tree = ipam.tree
    tallies: dict[Scope, AggregatesOfScope] = {}
    for scope in tree:
        if scope.node_prefix is not None:
            with reading_scopes_of(ipam, tree) as state:
                claimable = count_claimable(state, scope, scope.node_prefix)
            tallies[scope] = AggregatesOfScope(dict.fromkeys(AGGREGATE_STATES, 0), claimable)
    for some in in_parts(aggregates.all(pause) if tallies else ()):
        with reading_scopes_of(ipam, tree) as state:
            for each in some:
                around = tree.containing(Block(*each.key[:3]))
                if around in tallies:
                    tallies[around].add(state, each.record)
        pause()
    return {str(scope): tally for scope, tally in tallies.items()}


def own_aggregates_in_use(ipam: Ipam, pause: Pause) -> Iterator[tuple[Block, int]]:
    """The aggregates of this node that do not rest, in the order of their addresses, and how many
    pools in each are in use."""
    with ipam.reading() as state:
        own = sorted(state.aggregates.own(), key=block_of_aggregate)
    for record in own:
        if record.released is None:
            with ipam.reading() as state:
                in_use = sum(pool.released is None for pool in state.pools_in(record))
            yield block_of_aggregate(record), in_use
            pause()


def claimed_blocks(ipam: Ipam) -> list[tuple[Block, str]]:
    """What every node has claimed, at rest or not, and by whom; the name is empty for this node."""
    with ipam.reading() as state:
        records = list(state.aggregates)
    return [(block_of_aggregate(record), node_of(record)) for record in records]


def view_of_aggregate(state: State, record: AggregateRecord) -> AggregateView:
    """An aggregate, without the number of its pools. Needs the lock."""
    block = block_of_aggregate(record)
    scope = state.placement.tree.containing(block)
    blocks, free = count_blocks(state, record)
    return AggregateView(
        id=record.id,
        cidr=cidr_of(record),
        node=node_of(record) or state.node,
        scope=record.scope,
        tags=() if scope is None else tuple(sorted(scope.tags)),
        state=state_of_aggregate(state, record),
        since=record.since,
        resting_until=None if record.released is None else rests_until(state, record),
        pools=None,
        blocks=None if blocks is None else str(blocks),
        free=None if free is None else str(free),
    )


def state_of_aggregate(state: State, record: AggregateRecord) -> AggregateState:
    """In which state an aggregate is. Needs the lock."""
    mark = state.marks.get(node_of(record) or state.node)
    if record.forgotten or (mark is not None and mark.forgotten is not None):
        return "forgotten"
    if record.released is not None:
        return "resting"
    return "active" if mark is None or mark.draining is None else "draining"


def count_blocks(state: State, record: AggregateRecord) -> tuple[int | None, int | None]:
    """How many blocks of `child_prefix` an aggregate has, and how many are free, which is known of
    this node alone; None where it is not known. Needs the lock."""
    block = block_of_aggregate(record)
    scope = state.placement.tree.containing(block)
    if scope is None or scope.child_prefix is None or scope.child_prefix < block.length:
        return None, None
    blocks = 1 << (scope.child_prefix - block.length)
    if not is_local(record.id):
        return blocks, None
    return blocks, state.placement.count_free_in_aggregate(block, scope.child_prefix)


def with_pools(ipam: Ipam, subnets: Subnets, view: AggregateView, pause: Pause) -> AggregateView:
    """The view of an aggregate, with the number of its pools if it is of this node."""
    if not is_local(view.id):
        return view
    block = Block(*key_of_subnet(view.id)[:3])
    count = 0
    for keys in subnets.touching(block, pause):
        with ipam.reading() as state:
            count += sum(_in_use(state, keys, block))
    return replace(view, pools=count)


def _in_use(state: State, keys: Iterable[Key], block: Block) -> Iterator[bool]:
    """Of each pool of this node inside a block, whether it is in use. Needs the lock."""
    for *place, subnet_id in keys:
        if is_local(subnet_id) and Block(*place).is_inside(block):
            yield from (pool.released is None for pool in pools_of(state, subnet_id))
