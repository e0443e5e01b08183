"""Integers in order, in chunks: what is next is found in the time of a binary search, however many
there are, and adding or removing one costs hardly more."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

# Long enough that there are few chunks, short enough that inserting into one costs next to nothing.
_MAX_CHUNK_NUMBERS = 1024


class InOrder:
    """A set of integers that are at least 0."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._chunks: list[list[int]] = [[]]
        self._chunk_starts: list[int] = [0]
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        """Add a number that is not in the set."""
        position = self._chunk_of(number)
        chunk = self._chunks[position]
        insort(chunk, number)
        if len(chunk) > _MAX_CHUNK_NUMBERS:
            middle = len(chunk) // 2
            self._chunks.insert(position + 1, chunk[middle:])
            self._chunk_starts.insert(position + 1, chunk[middle])
            del chunk[middle:]

    def remove(self, number: int) -> None:
        """Remove a number that is in the set."""
        position = self._chunk_of(number)
        chunk = self._chunks[position]
        del chunk[bisect_left(chunk, number)]
        # The first chunk stays: every number has a chunk that it belongs to.
        if not chunk and position:
            del self._chunks[position], self._chunk_starts[position]

    def first_from(self, least: int) -> int | None:
        """The smallest number that is not less than this one, or None."""
        position = self._chunk_of(least)
        # Only the first chunk can be empty.
        for chunk in self._chunks[position : position + 2]:
            place = bisect_left(chunk, least)
            if place < len(chunk):
                return chunk[place]
        return None

    def _chunk_of(self, number: int) -> int:
        return bisect_right(self._chunk_starts, number) - 1
