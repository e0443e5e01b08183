"""What is in a cell of the map of an address plan, and how it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pyipam.core.subnet import usable_range
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.store.pool_id import is_local
from pyipam.store.records import AggregateRecord, LeaseRecord, PoolRecord

# How many scopes a sentence names.
_MOST_NAMED = 3

CellState = Literal[
    "free",
    "held",
    "unclaimed",
    "resting",
    "reserved",
    "route",
    "outside",
    "claimed",
    "gateway",
    "container",
    "held back",
    "not usable",
]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the schema and the host say of a cell: the `scope` that it lies in, the scopes that lie
    `inside` it, whether all of it is reserved, and whether a route of the host overlaps it; and
    the aggregate that all of it lies in, if there is one."""

    scope: Scope | None
    inside: tuple[Scope, ...]
    is_reserved: bool
    is_on_route: bool
    claimed: ClaimedCell | None = None


@dataclass(frozen=True, slots=True)
class ClaimedCell:
    """The aggregate that a cell lies in, the node that has it, whether that is this one, whether it
    rests, and what is to be said of that."""

    aggregate: str
    node: str
    is_own: bool
    rests: bool
    words: str


@dataclass(slots=True)
class Tally:
    """What was counted in a cell: `pools`, `leases`, and how many of both are `unclaimed` and
    `resting`; and how many aggregates of this node and of `others` lie in it. Pools are added in
    the order of their addresses."""

    cell: Block
    pools: int = 0
    leases: int = 0
    unclaimed: int = 0
    resting: int = 0
    label: str = ""
    own: int = 0
    others: int = 0
    # The aggregate that contains the whole cell, rather one of this node.
    claimed: AggregateRecord | None = None
    # The subnet of the last pool around the cell, if there is one, and the lease of the cell's only
    # address.
    _around: Block | None = None
    _lease: LeaseRecord | None = None
    _first: int = field(init=False)
    _last: int = field(init=False)
    # Up to which address the pools that were added reach, and how many addresses they cover.
    _end: int = -1
    _covered: int = 0
    # How many addresses other nodes have claimed.
    _elsewhere: int = 0

    def __post_init__(self) -> None:
        self._first, self._last = self.cell.start, self.cell.last

    def add_pool(self, subnet: Block, pool: PoolRecord, unclaimed: bool) -> None:
        """Count a pool whose subnet overlaps the cell."""
        self.label = "" if self.pools else pool.label
        self.pools += 1
        self.unclaimed += unclaimed
        self.resting += pool.released is not None
        first, last = subnet.start, subnet.last
        if first <= self._first and self._last <= last:
            self._around = subnet
            first, last = self._first, self._last
        if first <= self._end:
            first = self._end + 1
        if last >= first:
            self._covered += last - first + 1
            self._end = last

    def add_aggregate(self, block: Block, aggregate: AggregateRecord) -> None:
        """Count an aggregate that overlaps the cell."""
        is_own = is_local(aggregate.id)
        if block.length <= self.cell.length:
            if is_own or self.claimed is None:
                self.claimed = aggregate
            self._elsewhere = 0 if is_local(self.claimed.id) else self._size
            return
        self.own += is_own
        self.others += not is_own
        if not is_own:
            self._elsewhere += 1 << (block.width - block.length)

    def add_leases(self, leases: int, unclaimed: int, resting: int) -> None:
        """Count the leases of a subnet that lies in the cell as a whole."""
        self.leases += leases
        self.unclaimed += unclaimed
        self.resting += resting

    def add_lease(self, lease: LeaseRecord, unclaimed: bool) -> None:
        """Count a lease whose address lies in the cell."""
        if self._is_address:
            self._lease = lease
        if not lease.is_held_back:
            self.add_leases(1, unclaimed, lease.released is not None)

    @property
    def used_percent(self) -> int:
        """How much of the cell is held by pools or claimed by other nodes, or given out where it is
        a part of a pool."""
        used = self._covered + self._elsewhere if self._is_whole else self.leases
        # What is used is never shown as nothing.
        return min(100, -(-100 * used // self._size))

    @property
    def aggregates(self) -> int:
        """How many aggregates lie in the cell, which is larger than any of them."""
        return self.own + self.others

    @property
    def _size(self) -> int:
        return 1 << (self.cell.width - self.cell.length)

    def state(self, around: Surroundings) -> CellState:
        """What is most important about the cell."""
        unused: CellState = "reserved" if around.is_reserved else "free"
        if self._is_address_in_pool:
            return self._state_of_address(unused)
        if self.unclaimed:
            return "unclaimed"
        if self.resting and self.resting == self.pools + self.leases:
            return "resting"
        if self.leases or (self.pools and self._is_whole):
            return "held"
        if self._around is not None:
            return unused
        if self.others or (around.claimed is not None and not around.claimed.is_own):
            return "claimed"
        if around.claimed is not None and around.claimed.rests:
            return "resting"
        if around.is_on_route:
            return "route"
        return "outside" if around.scope is None else unused

    def sentence(self, around: Surroundings) -> str:
        """The cell in words, such as `10.0.3.0/24: 200 of 256 blocks held, 3 unclaimed`."""
        parts = [*self._in_words(around), *self._remarks(), *self._claimed_in_words(around)]
        parts += [f"contains scope {item}" for item in around.inside[:_MOST_NAMED]]
        if len(around.inside) > _MOST_NAMED:
            parts.append(f"and {len(around.inside) - _MOST_NAMED} more")
        return f"{self.name}: {', '.join(parts)}"

    @property
    def name(self) -> str:
        """The cell as a block, or as an address without a length."""
        return str(self.cell).partition("/")[0] if self._is_address else str(self.cell)

    def _in_words(self, around: Surroundings) -> Iterator[str]:
        if self._is_address_in_pool:
            yield _WORDS[self.state(around)]
        elif self._around is not None:
            pool = f"pool {self._around}" + (f" ({self.label})" if self.label else "")
            of_it = "" if self._is_whole else "a part of "
            yield f"{of_it}{pool}, {_count(self.leases, 'address', 'addresses')} given out"
        elif self.pools:
            yield self._blocks_in_words(around) or self._pools_in_words()
        elif around.claimed is not None and around.claimed.is_own:
            yield _WORDS["reserved" if around.is_reserved else "free"]
        elif (state := self.state(around)) != "claimed":
            yield _WORDS[state]

    def _claimed_in_words(self, around: Surroundings) -> Iterator[str]:
        """Whose aggregate the cell lies in, or how many aggregates lie in it."""
        if around.claimed is not None and self._around is None:
            yield around.claimed.words
        if self.own:
            yield f"{_aggregates(self.own)} of this node"
        if self.others:
            count = _few(self.others) if self.own else _aggregates(self.others)
            yield f"{count} of {'another node' if self.others == 1 else 'other nodes'}"

    def _blocks_in_words(self, around: Surroundings) -> str | None:
        """How many of the scope's blocks are held, where the cell consists of them."""
        child_prefix = None if around.scope is None else around.scope.child_prefix
        if child_prefix is None or child_prefix < self.cell.length or around.inside:
            return None
        size = 1 << (self.cell.width - child_prefix)
        total = 1 << (child_prefix - self.cell.length)
        return f"{-(-self._covered // size)} of {total} blocks held"

    def _pools_in_words(self) -> str:
        percent = -(-100 * self._covered // self._size)
        return f"{_count(self.pools, 'pool', 'pools')}, {percent} % of it held"

    def _remarks(self) -> list[str]:
        if self._is_address_in_pool:
            return []
        counts = {"unclaimed": self.unclaimed, "resting": self.resting}
        return [f"{count} {what}" for what, count in counts.items() if count]

    def _state_of_address(self, unused: CellState) -> CellState:
        assert self._around is not None
        lease = self._lease
        if lease is None:
            usable = usable_range(self._around)
            return unused if usable.first <= self.cell.start <= usable.last else "not usable"
        if lease.is_held_back:
            return "held back"
        if lease.released is not None:
            return "resting"
        if self.unclaimed:
            return "unclaimed"
        return "gateway" if lease.kind == "gateway" else "container"

    @property
    def _is_whole(self) -> bool:
        """Whether the cell lies outside every pool, or contains whole ones."""
        return self._around in (None, self.cell)

    @property
    def _is_address(self) -> bool:
        return self.cell.length == self.cell.width

    @property
    def _is_address_in_pool(self) -> bool:
        return self._is_address and self._around is not None


_WORDS: dict[CellState, str] = {
    "free": "free",
    "held": "held",
    "unclaimed": "unclaimed: Docker has not named it since it last started",
    "resting": "resting since its release",
    "reserved": "reserved: given out only to whoever asks for it by name",
    "route": "under a route of the host: no network gets a block there automatically",
    "outside": "outside every scope",
    "gateway": "a gateway",
    "container": "in use by a container",
    "held back": "free, and kept for whoever asks for it by name",
    "not usable": "the network or broadcast address of its subnet",
}


def _few(number: int) -> str:
    return "one" if number == 1 else str(number)


def _aggregates(number: int) -> str:
    return f"{_few(number)} {'aggregate' if number == 1 else 'aggregates'}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
