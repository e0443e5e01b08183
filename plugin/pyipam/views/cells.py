"""What is in a cell of the map of an address plan, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pyipam.core.subnet import usable_range
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.store.records import LeaseRecord, PoolRecord

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
    "gateway",
    "container",
    "held back",
    "not usable",
]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the schema and the host say of a cell: the `scope` that it lies in, the scopes that lie
    `inside` it, whether all of it is reserved, and whether a route of the host overlaps it."""

    scope: Scope | None
    inside: tuple[Scope, ...]
    is_reserved: bool
    is_on_route: bool


@dataclass(slots=True)
class Tally:
    """What was counted in a cell: `pools`, `leases`, and how many of both are `unclaimed` and
    `resting`. Pools are added in the order of their addresses."""

    cell: Block
    pools: int = 0
    leases: int = 0
    unclaimed: int = 0
    resting: int = 0
    label: str = ""
    # The subnet of the last pool around the cell, if there is one, and the lease of the cell's only
    # address.
    _around: Block | None = None
    _lease: LeaseRecord | None = None
    _first: int = field(init=False)
    _last: int = field(init=False)
    # Up to which address the pools that were added reach, and how many addresses they cover.
    _end: int = -1
    _covered: int = 0

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
        """How much of the cell is held by pools, or given out where it is a part of one."""
        size = 1 << (self.cell.width - self.cell.length)
        used = self._covered if self._is_whole else self.leases
        # What is used is never shown as nothing.
        return min(100, -(-100 * used // size))

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
        if around.is_on_route:
            return "route"
        return "outside" if around.scope is None else unused

    def sentence(self, around: Surroundings) -> str:
        """The cell in words, such as `10.0.3.0/24: 200 of 256 blocks held, 3 unclaimed`."""
        parts = [self._in_words(around), *self._remarks()]
        parts += [f"contains scope {item}" for item in around.inside[:_MOST_NAMED]]
        if len(around.inside) > _MOST_NAMED:
            parts.append(f"and {len(around.inside) - _MOST_NAMED} more")
        return f"{self.name}: {', '.join(parts)}"

    @property
    def name(self) -> str:
        """The cell as a block, or as an address without a length."""
        return str(self.cell).partition("/")[0] if self._is_address else str(self.cell)

    def _in_words(self, around: Surroundings) -> str:
        if self._is_address_in_pool or not self.pools:
            return _WORDS[self.state(around)]
        if self._around is not None:
            pool = f"pool {self._around}" + (f" ({self.label})" if self.label else "")
            of_it = "" if self._is_whole else "a part of "
            return f"{of_it}{pool}, {_count(self.leases, 'address', 'addresses')} given out"
        blocks = self._blocks_in_words(around)
        return blocks or f"{_count(self.pools, 'pool', 'pools')}, {self.used_percent} % of it held"

    def _blocks_in_words(self, around: Surroundings) -> str | None:
        """How many of the scope's blocks are held, where the cell consists of them."""
        child_prefix = None if around.scope is None else around.scope.child_prefix
        if child_prefix is None or child_prefix < self.cell.length or around.inside:
            return None
        size = 1 << (self.cell.width - child_prefix)
        total = 1 << (child_prefix - self.cell.length)
        return f"{-(-self._covered // size)} of {total} blocks held"

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


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
