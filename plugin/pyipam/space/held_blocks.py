"""Blocks that are held in the whole of an address space: does another one overlap them?

Where free blocks have to be found, `buddy` keeps those. Here nothing is ever looked for, so that
holding a block costs a fraction of that. Costs do not depend on how large the blocks are, and
hardly on how many are held: first addresses are kept in order.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyipam.space.in_order import InOrder


class HeldBlocks:
    """Blocks of one IP version, each by its first address and its prefix length.

    `width` is the number of bits in an address, 32 or 128. Blocks may overlap each other.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        # How many times each block is held, by prefix length and first address.
        self._times: dict[int, dict[int, int]] = {}
        # How many blocks begin at each address, and these addresses in order.
        self._begin: dict[int, int] = {}
        self._beginnings = InOrder()

    def hold(self, start: int, length: int) -> None:
        """Take the block, which may overlap others, or be held already."""
        times = self._times.get(length)
        if times is None:
            times = self._times[length] = {}
        before = times.get(start, 0)
        times[start] = before + 1
        if not before:
            begin = self._begin.get(start, 0)
            self._begin[start] = begin + 1
            if not begin:
                self._beginnings.add(start)

    def release(self, start: int, length: int) -> None:
        """Undo one `hold` of the block. Raises KeyError if it is not held."""
        times = self._times.get(length, {})
        left = times.get(start, 0) - 1
        if left < 0:
            raise KeyError(f"block {start}/{length} is not held")
        if left:
            times[start] = left
            return
        del times[start]
        if not times:
            del self._times[length]
        self._begin[start] -= 1
        if not self._begin[start]:
            del self._begin[start]
            self._beginnings.remove(start)

    def is_free(self, start: int, length: int) -> bool:
        """Whether the block overlaps no held block."""
        if self.has_container_of(start, length):
            return False
        return not self._begins_between(start, start + (1 << (self.width - length)))

    def inside(self, start: int, length: int) -> Iterator[tuple[int, int, int]]:
        """The held blocks inside this one, the block itself included, in the order of their first
        addresses: first address, prefix length, and how many times each is held."""
        end = start + (1 << (self.width - length))
        found = self._beginnings.first_from(start)
        while found is not None and found < end:
            for held_length, times in list(self._times.items()):
                if held_length >= length and found in times:
                    yield found, held_length, times[found]
            found = self._beginnings.first_from(found + 1)

    def first_over(self, start: int, length: int) -> tuple[int, int] | None:
        """The held block with the lowest first address that overlaps this one, and of several the
        largest: first address and prefix length; or None."""
        for held_length in sorted(self._times):
            first = start >> (self.width - held_length) << (self.width - held_length)
            if held_length <= length and first in self._times[held_length]:
                return first, held_length
        found = self._beginnings.first_from(start)
        if found is None or found >= start + (1 << (self.width - length)):
            return None
        return found, min(held for held, times in self._times.items() if found in times)

    def around(self, start: int, length: int) -> int:
        """How many times blocks are held that contain this one and more."""
        return sum(
            times.get(start >> (self.width - held) << (self.width - held), 0)
            for held, times in self._times.items()
            if held < length
        )

    def has_container_of(self, start: int, length: int) -> bool:
        """Whether a held block contains all of this one."""
        for held_length, times in self._times.items():
            if held_length <= length:
                shift = self.width - held_length
                if start >> shift << shift in times:
                    return True
        return False

    def _begins_between(self, first: int, end: int) -> bool:
        """Whether a held block begins at `first` or behind it, and before `end`."""
        found = self._beginnings.first_from(first)
        return found is not None and found < end
