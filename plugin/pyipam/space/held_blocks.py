"""Blocks that are held in the whole of an address space: does another one overlap them?

Where free blocks have to be found, `buddy` keeps those. Here nothing is ever looked for, so that
holding a block costs a fraction of that. Costs do not depend on how large the blocks are, and
hardly on how many are held: first addresses are kept in order, in chunks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

# Long enough that there are few chunks, short enough that inserting into one costs next to nothing.
_MAX_CHUNK_STARTS = 1024


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
        self._chunks: list[list[int]] = [[]]
        self._chunk_starts: list[int] = [0]

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
                self._insert(start)

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
            self._remove(start)

    def is_free(self, start: int, length: int) -> bool:
        """Whether the block overlaps no held block."""
        if self.has_container_of(start, length):
            return False
        return not self._begins_between(start, start + (1 << (self.width - length)))

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
        position = self._chunk_of(first)
        for chunk in self._chunks[position : position + 2]:
            place = bisect_left(chunk, first)
            if place < len(chunk):
                return chunk[place] < end
        return False

    def _chunk_of(self, start: int) -> int:
        return bisect_right(self._chunk_starts, start) - 1

    def _insert(self, start: int) -> None:
        position = self._chunk_of(start)
        chunk = self._chunks[position]
        insort(chunk, start)
        if len(chunk) > _MAX_CHUNK_STARTS:
            middle = len(chunk) // 2
            self._chunks.insert(position + 1, chunk[middle:])
            self._chunk_starts.insert(position + 1, chunk[middle])
            del chunk[middle:]

    def _remove(self, start: int) -> None:
        position = self._chunk_of(start)
        chunk = self._chunks[position]
        del chunk[bisect_left(chunk, start)]
        # The first chunk stays: every address has a chunk that it belongs to.
        if not chunk and position:
            del self._chunks[position], self._chunk_starts[position]
