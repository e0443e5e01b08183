"""Free addresses of one pool: the lowest, the next after the last given, and reuse.

Addresses are integers. What is in use is the mapping of the pool's leases, handed in: nothing is
kept twice, and memory does not grow with the size of the pool. A mark divides the range: below it
every free address is in a heap of released ones, above it nothing was ever looked at.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Container, Iterable
from dataclasses import dataclass

from pyipam.space.block import AddressRange, merge_ranges


@dataclass(frozen=True, slots=True)
class EitherOf(Container[int]):
    """The addresses in one or the other."""

    own: Container[int]
    others: Container[int]

    def __contains__(self, address: object) -> bool:
        return address in self.own or address in self.others


class FreeAddresses:
    """Finds free addresses between first and last, outside the reserved ranges."""

    __slots__ = (
        "_mark",
        "_queued",
        "_released",
        "_reserved",
        "_reserved_starts",
        "_used",
        "first",
        "last",
    )

    def __init__(
        self, first: int, last: int, used: Container[int], reserved: Iterable[AddressRange] = ()
    ) -> None:
        self.first = first
        self.last = last
        self._used = used
        self._reserved = merge_ranges(
            AddressRange(max(item.first, first), min(item.last, last))
            for item in reserved
            if item.first <= last and item.last >= first
        )
        self._reserved_starts = [item.first for item in self._reserved]
        self._mark = first
        self._released: list[int] = []
        self._queued: set[int] = set()

    def capacity(self) -> int:
        """How many addresses can be given out unasked, used ones included."""
        return self.last - self.first + 1 - sum(r.last - r.first + 1 for r in self._reserved)

    def lowest(self) -> int | None:
        """The lowest address that is neither used nor reserved, or None. Does not take it."""
        while self._released:
            if self._released[0] not in self._used:
                return self._released[0]
            self._queued.discard(heapq.heappop(self._released))
        self._mark = self._skip_taken(self._mark)
        return self._mark if self._mark <= self.last else None

    def after(self, previous: int) -> int | None:
        """The first free address after `previous`, from the lowest again when there is none.

        This is what Docker's own driver does for com.docker.network.ipam.serial
        (libnetwork, bitmask allocation in serial order).
        """
        candidate = self._skip_taken(max(previous + 1, self.first))
        return candidate if candidate <= self.last else self.lowest()

    def released(self, address: int) -> None:
        """Learn that an address is no longer used."""
        if (
            self.first <= address < self._mark
            and address not in self._queued
            and self._reserved_end(address) is None
        ):
            self._queued.add(address)
            heapq.heappush(self._released, address)

    def _skip_taken(self, address: int) -> int:
        while address <= self.last:
            if address in self._used:
                address += 1
                continue
            end = self._reserved_end(address)
            if end is None:
                return address
            address = end + 1
        return address

    def _reserved_end(self, address: int) -> int | None:
        position = bisect_right(self._reserved_starts, address) - 1
        if position >= 0 and address <= self._reserved[position].last:
            return self._reserved[position].last
        return None
