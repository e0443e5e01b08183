"""Free addresses of one pool: the lowest, the next one in turn, and those that were released.

Addresses are integers. Which are in use is read from a container that the caller keeps, so nothing
is stored twice, and memory does not grow with the size of the pool. A mark splits the range: every
free address below it is in a heap of released addresses, and none above it was given out yet.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from pyipam.space.block import AddressRange, merge_ranges


@dataclass(frozen=True, slots=True)
class AddressUnion(Container[int]):
    """The addresses that are in either container, without copying them."""

    own: Container[int]
    others: Container[int]

    def __contains__(self, address: object) -> bool:
        return address in self.own or address in self.others


class FreeAddresses:
    """Finds free addresses from `first` to `last`, both included, outside the `reserved` ranges.

    `used` contains the addresses in use. Whoever removes one from it calls `mark_released`.
    """

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
        """How many addresses can be given out automatically, including those in use."""
        return self.last - self.first + 1 - sum(r.last - r.first + 1 for r in self._reserved)

    def ranges(self) -> Iterator[AddressRange]:
        """The ranges that addresses are given out from, in order, in use or not."""
        first = self.first
        for item in self._reserved:
            if item.first > first:
                yield AddressRange(first, item.first - 1)
            first = item.last + 1
        if first <= self.last:
            yield AddressRange(first, self.last)

    def covers(self, address: int) -> bool:
        """Whether the address can be given out automatically once it is not in use."""
        return self.first <= address <= self.last and self._reserved_end(address) is None

    def lowest(self) -> int | None:
        """The lowest address that is neither in use nor reserved, or None."""
        while self._released:
            if self._released[0] not in self._used:
                return self._released[0]
            self._queued.discard(heapq.heappop(self._released))
        self._mark = self._skip_taken(self._mark)
        return self._mark if self._mark <= self.last else None

    def after(self, previous: int) -> int | None:
        """The first free address after `previous`, or else the lowest one, or None.

        Docker's driver does the same for com.docker.network.ipam.serial (moby,
        daemon/libnetwork/internal/addrset/addrset.go).
        """
        candidate = self._skip_taken(max(previous + 1, self.first))
        return candidate if candidate <= self.last else self.lowest()

    def mark_released(self, address: int) -> None:
        """Note that the address is no longer in use."""
        if (
            self.first <= address < self._mark
            and address not in self._queued
            and self._reserved_end(address) is None
        ):
            self._queued.add(address)
            heapq.heappush(self._released, address)

    def _skip_taken(self, address: int) -> int:
        """The first address from this one on that is neither in use nor reserved; it may be past
        the last one."""
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
        """The last address of the reserved range that the address is in, or None."""
        position = bisect_right(self._reserved_starts, address) - 1
        if position >= 0 and address <= self._reserved[position].last:
            return self._reserved[position].last
        return None
