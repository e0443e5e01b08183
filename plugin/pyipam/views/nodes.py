"""The nodes that share a plan, as far as is known here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pyipam.core.aggregates import node_of
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import Unavailable
from pyipam.space.block import Block
from pyipam.store.pool_id import space_of, split_node
from pyipam.store.records import NodeRecord
from pyipam.views.aggregates import AggregatesInOrder, count_blocks
from pyipam.views.order import Key, Pause, Subnets, in_parts
from pyipam.views.pools import pools_of
from pyipam.views.strays import is_known_stray

NodeState = Literal["serving", "draining", "forgotten"]


@dataclass(frozen=True, slots=True)
class FillView:
    """How many blocks of `child_prefix` the aggregates of a node have in an IP version, and how
    many of them are free, as strings."""

    version: Literal[4, 6]
    blocks: str
    free: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node, and how many pools and leases are in its own address space. `this` says whether it
    is the one that answers, `seen` when it was last seen (UNIX time in seconds): a node says every
    30 seconds that it lives. It is null if it is not known.

    `aggregates` counts the blocks that it has claimed, without those that were released, and `fill`
    says how full they are; of another node this is not known, and null. So is the number of leases
    of another node with aggregates, and that of its pools while the store does not answer.
    `strays` counts its pools in scopes with `node_prefix` that are in none of its aggregates. The
    state is draining while it gives new networks no subnet, and forgotten if it may give out
    nothing at all.
    """

    node: str
    pools: int | None
    leases: int | None
    this: bool
    seen: float | None = None
    state: NodeState = "serving"
    aggregates: int = 0
    fill: tuple[FillView, ...] | None = None
    strays: int = 0


@dataclass(slots=True)
class _Tally:
    """What nodes have, counted by their names."""

    this_node: str
    pools: Counter[str] = field(default_factory=Counter)
    leases: Counter[str] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)
    aggregates: Counter[str] = field(default_factory=Counter)
    blocks: Counter[Literal[4, 6]] = field(default_factory=Counter)
    free: Counter[Literal[4, 6]] = field(default_factory=Counter)

    def add_subnets(self, state: State, keys: Iterable[Key]) -> None:
        """Count the pools and leases of subnets. Needs the lock."""
        for *place, subnet_id in keys:
            space, owner = split_node(space_of(subnet_id))
            if space != "local":
                continue
            node = owner or self.this_node
            held = list(pools_of(state, subnet_id))
            self.pools[node] += len(held)
            if is_known_stray(state, subnet_id, state.placement.tree.containing(Block(*place))):
                self.strays[node] += sum(bool(pool.claims) for pool in held)
            subnet = state.holdings.subnets.get(subnet_id)
            if subnet is not None:
                self.leases[node] += subnet.leased
            else:
                self.leases[node] += sum(len(state.elsewhere.leases_of(pool.id)) for pool in held)


def list_nodes(
    ipam: Ipam, subnets: Subnets, aggregates: AggregatesInOrder, this_node: str, pause: Pause
) -> list[NodeView]:
    """The nodes that hold something, were seen, or of which operators said something, and this one,
    by name."""
    seen = _nodes_seen(ipam)
    elsewhere = _pools_in_aggregates(ipam)
    tally = _Tally(this_node)
    for keys in in_parts(subnets.keys(pause)):
        with ipam.reading() as state:
            tally.add_subnets(state, keys)
        pause()
    _count_aggregates(ipam, aggregates, tally, pause)
    with ipam.reading() as state:
        marks = dict(state.marks)
    names = {this_node, *tally.pools, *tally.aggregates, *marks, *seen}
    views = (_view(tally, node, marks.get(node), seen.get(node)) for node in sorted(names))
    return [_with_pools_in_aggregates(view, elsewhere) for view in views]


def state_of_node(mark: NodeRecord | None) -> NodeState:
    """In which state a node is of which this was said."""
    if mark is not None and mark.forgotten is not None:
        return "forgotten"
    return "serving" if mark is None or mark.draining is None else "draining"


def _view(tally: _Tally, node: str, mark: NodeRecord | None, seen: float | None) -> NodeView:
    is_this = node == tally.this_node
    fill = tuple(
        FillView(version, str(blocks), str(tally.free[version]))
        for version, blocks in sorted(tally.blocks.items())
    )
    return NodeView(
        node,
        tally.pools[node],
        tally.leases[node],
        is_this,
        seen,
        state_of_node(mark),
        tally.aggregates[node],
        fill if is_this else None,
        tally.strays[node],
    )


def _with_pools_in_aggregates(view: NodeView, counts: Mapping[str, int] | None) -> NodeView:
    """A node with the pools that it alone knows, as the store has counted them, if it did."""
    count = 0 if counts is None else counts.get(view.node, 0)
    if view.this or view.pools is None or not (view.aggregates or count):
        return view
    return replace(view, pools=None if counts is None else view.pools + count, leases=None)


def _count_aggregates(
    ipam: Ipam, aggregates: AggregatesInOrder, tally: _Tally, pause: Pause
) -> None:
    for some in in_parts(aggregates.all(pause)):
        with ipam.reading() as state:
            for key, record in some:
                if record.released is None:
                    tally.aggregates[node_of(record) or tally.this_node] += 1
                    blocks, free = count_blocks(state, record)
                    if free is not None:
                        version: Literal[4, 6] = 4 if key[0] == 4 else 6
                        tally.blocks[version] += blocks or 0
                        tally.free[version] += free
        pause()


def _nodes_seen(ipam: Ipam) -> dict[str, float | None]:
    try:
        ages = ipam.seconds_since_seen()
    except Unavailable:
        # What they hold is known all the same.
        return {}
    with ipam.reading() as state:
        now = state.clock.wall()
    return {node: None if age is None else now - age for node, age in ages.items()}


def _pools_in_aggregates(ipam: Ipam) -> Mapping[str, int] | None:
    """How many pools each node has in its aggregates, or None if that cannot be known now."""
    try:
        return ipam.pools_in_aggregates()
    except Unavailable:
        return None
