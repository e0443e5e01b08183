"""Free blocks of mixed prefix lengths in one stretch of address space: a buddy allocator.

A block is two integers here: its first address and its prefix length. Nothing in this module knows
scopes, pools or a store. What an operation costs depends neither on how many blocks are held nor
on the size of the space: finding, holding and releasing a block visit at most each prefix length
between those of the space and of the block. The exception is a held block that contains another
one, which the two address spaces of a swarm and the routes of a host allow: releasing it visits
every held block.

D. E. Knuth, The Art of Computer Programming, volume 1, section 2.5, describes the buddy system.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set

from pyipam.space.block import AddressRange, aligned_blocks, merge_ranges
from pyipam.space.in_order import InOrder

_NOTHING: frozenset[int] = frozenset()


class ReservedBlocks:
    """The blocks that lie as a whole inside ranges of addresses of this many bits, 32 or 128."""

    def __init__(self, ranges: Iterable[AddressRange], width: int) -> None:
        self._width = width
        # First addresses by prefix length.
        self._blocks: dict[int, set[int]] = {}
        for start, length in aligned_blocks(merge_ranges(ranges), width):
            self._blocks.setdefault(length, set()).add(start)

    def cover(self, start: int, length: int) -> bool:
        """Whether the whole block is reserved."""
        for reserved_length, starts in self._blocks.items():
            shift = self._width - reserved_length
            if reserved_length <= length and (start >> shift) << shift in starts:
                return True
        return False


class BuddyAllocator:
    """The free blocks of the space that begins at `start` and has the prefix length `length`.

    `width` is the number of bits in an address, 32 or 128. A block that lies inside the `reserved`
    ranges is not offered by `lowest`, though it can be held; a block that merely contains such a
    range is offered. For lengths with other reserved ranges than most, they are handed to each
    call, which then visits every free block.
    """

    def __init__(
        self, start: int, length: int, width: int, reserved: Sequence[AddressRange] = ()
    ) -> None:
        self.start = start
        self.length = length
        self.width = width
        # First addresses by prefix length. A length without free blocks has no entry.
        self._free: dict[int, set[int]] = {}
        # The same as heaps, without reserved blocks. Of an entry that is not the first, `_free`
        # decides whether it is outdated.
        self._queues: defaultdict[int, list[int]] = defaultdict(list)
        self._queued: defaultdict[int, set[int]] = defaultdict(set)
        # The first entry of each queue by prefix length, or an address behind all others.
        self._nowhere = 1 << width
        self._lowest = [self._nowhere] * (width + 1)
        # First addresses by prefix length, in order; only once `lowest_from` was called.
        self._in_order: defaultdict[int, InOrder] | None = None
        # How many times each block is held.
        self._held: defaultdict[int, dict[int, int]] = defaultdict(dict)
        # Held blocks that overlapped another one when they were taken.
        self._contested: set[tuple[int, int]] = set()
        self._reserved = ReservedBlocks(reserved, width) if reserved else None
        self._add_free(start, length)

    def lowest(self, length: int, reserved: ReservedBlocks | None = None) -> int | None:
        """The first address of the lowest free block of this length that is not reserved, or None.

        This does not take the block: `hold` does.
        """
        if length < self.length or length > self.width:
            return None
        if reserved is not None:
            return self._lowest_outside(reserved, length)
        starts = self._lowest[: length + 1]
        start = min(starts)
        if start == self._nowhere:
            return None
        return self.unreserved_in(start, starts.index(start), length)

    def lowest_from(
        self, address: int, length: int, reserved: ReservedBlocks | None = None
    ) -> int | None:
        """The same of those that begin at an address or after it. From the first such question on,
        holding and releasing a block takes somewhat longer."""
        if length < self.length or length > self.width:
            return None
        size, end = self._size(length), self.start + self._size(self.length)
        # The first block that begins there.
        address = -(-max(address, self.start) // size) * size
        while address < end:
            free = self._free_block_from(address, length)
            if free is None:
                return None
            after = free[0] + self._size(free[1])
            for start, part_length in self._parts_from(address, free):
                found = self.unreserved_in(start, part_length, length, reserved)
                if found is not None:
                    return found
            address = after
        return None

    def _free_block_from(self, address: int, length: int) -> tuple[int, int] | None:
        """The first free block, of this length or larger, that ends after an address."""
        around = self._containing_free(address, length)
        if around is not None:
            return around
        if self._in_order is None:
            self._in_order = defaultdict(InOrder)
            for free_length, starts in self._free.items():
                self._in_order[free_length] = InOrder(starts)
        firsts = (
            (start, free_length)
            for free_length in range(self.length, length + 1)
            for start in [self._in_order[free_length].first_from(address)]
            if start is not None
        )
        return min(firsts, default=None)

    def _parts_from(self, address: int, block: tuple[int, int]) -> list[tuple[int, int]]:
        """What is left of a block from an address on, in order, as the largest blocks."""
        start, length = block
        parts = []
        while start < address:
            length += 1
            half = self._size(length)
            if start + half > address:
                parts.append((start + half, length))
            else:
                start += half
        return [(start, length), *reversed(parts)]

    def _lowest_outside(self, reserved: ReservedBlocks, length: int) -> int | None:
        free = (
            (start, free_length)
            for free_length, starts in self._free.items()
            if free_length <= length
            for start in starts
            if not reserved.cover(start, free_length)
        )
        found = min(free, default=None)
        return None if found is None else self.unreserved_in(*found, length, reserved)

    def unreserved_in(
        self, start: int, length: int, part_length: int, reserved: ReservedBlocks | None = None
    ) -> int | None:
        """The first address of the lowest part of a block, of `part_length`, that is not reserved,
        whether it is free or not; or None."""
        reserved = reserved or self._reserved
        if reserved is None:
            return start
        if reserved.cover(start, length):
            return None
        while length < part_length:
            length += 1
            if reserved.cover(start, length):
                start += self._size(length)
        return start

    def is_free(self, start: int, length: int) -> bool:
        """Whether the block overlaps no held block."""
        return self._containing_free(start, length) is not None

    def free_blocks(self, longest: int) -> dict[int, list[int]]:
        """The first addresses of the free blocks that are not part of larger ones, including
        reserved ones, in no order, by prefix length, up to this length."""
        return {length: list(starts) for length, starts in self._free.items() if length <= longest}

    def largest(self) -> int | None:
        """The prefix length of the largest free block, reserved or not; None if nothing is free."""
        return min(self._free, default=None)

    def free_starts(self, length: int) -> Set[int]:
        """The first addresses of the free blocks of this length that are not part of larger ones,
        reserved or not. To be read before anything is held or released."""
        return self._free.get(length, _NOTHING)

    def count_free(self, length: int) -> int:
        """How many blocks of this length are free, including reserved ones."""
        return sum(
            len(starts) << (length - free_length)
            for free_length, starts in self._free.items()
            if free_length <= length
        )

    def hold(self, start: int, length: int) -> None:
        """Take the block, which may be held already, be part of a held block, or contain some."""
        held = self._held[length]
        times = held.get(start, 0)
        held[start] = times + 1
        if times:
            return
        container = self._containing_free(start, length)
        if container is None:
            self._contested.add((start, length))
            self._remove_free_inside(start, length)
        else:
            self._carve(container, start, length)

    def release(self, start: int, length: int) -> None:
        """Undo one `hold` of the block. Raises KeyError if it is not held."""
        held = self._held[length]
        times = held.get(start, 0)
        if not times:
            raise KeyError(f"block {start}/{length} is not held")
        if times > 1:
            held[start] = times - 1
            return
        del held[start]
        key = (start, length)
        if self._contested and any(self._overlap(key, other) for other in self._contested):
            self._release_contested(key)
        else:
            self._free_block(start, length)

    def _size(self, length: int) -> int:
        return 1 << (self.width - length)

    def _overlap(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        shift = self.width - min(one[1], other[1])
        return one[0] >> shift == other[0] >> shift

    def _containing_free(self, start: int, length: int) -> tuple[int, int] | None:
        """The free block that contains this one, or None."""
        # The longest prefix first: free blocks beside held ones are small.
        for free_length in range(length, self.length - 1, -1):
            starts = self._free.get(free_length)
            if starts is not None:
                shift = self.width - free_length
                candidate = (start >> shift) << shift
                if candidate in starts:
                    return candidate, free_length
        return None

    def _add_free(self, start: int, length: int) -> None:
        starts = self._free.get(length)
        if starts is None:
            self._free[length] = {start}
        else:
            starts.add(start)
        if self._in_order is not None:
            self._in_order[length].add(start)
        queued = self._queued[length]
        # A block that was taken without `lowest` has left its entry in the queue, where it serves
        # again. Adding another one each time would let the queue grow without bound.
        if start not in queued and not (self._reserved and self._reserved.cover(start, length)):
            queued.add(start)
            queue = self._queues[length]
            heapq.heappush(queue, start)
            self._lowest[length] = queue[0]

    def _remove_free(self, start: int, length: int) -> None:
        starts = self._free[length]
        starts.discard(start)
        if self._in_order is not None:
            self._in_order[length].remove(start)
        if start == self._lowest[length]:
            self._drop_outdated(length, starts)
        if not starts:
            del self._free[length]

    def _drop_outdated(self, length: int, starts: set[int]) -> None:
        queue, queued = self._queues[length], self._queued[length]
        while queue and queue[0] not in starts:
            queued.discard(heapq.heappop(queue))
        self._lowest[length] = queue[0] if queue else self._nowhere

    def _free_block(self, start: int, length: int) -> None:
        """Free the block, joined with its buddy wherever that is free too."""
        while length > self.length:
            size = self._size(length)
            buddy = start ^ size
            starts = self._free.get(length)
            if starts is None or buddy not in starts:
                break
            self._remove_free(buddy, length)
            start &= ~size
            length -= 1
        self._add_free(start, length)

    def _carve(self, container: tuple[int, int], start: int, length: int) -> None:
        """Take the block out of a free one that contains it, halving that one again and again."""
        free_start, free_length = container
        self._remove_free(free_start, free_length)
        half = self._size(free_length)
        while free_length < length:
            free_length += 1
            half >>= 1
            if start & half:
                self._add_free(free_start, free_length)
                free_start += half
            else:
                self._add_free(free_start + half, free_length)

    def _remove_free_inside(self, start: int, length: int) -> None:
        end = start + self._size(length)
        for free_length, starts in list(self._free.items()):
            if free_length > length:
                for item in [item for item in starts if start <= item < end]:
                    self._remove_free(item, free_length)

    def _release_contested(self, key: tuple[int, int]) -> None:
        """Free what no other held block overlaps."""
        self._contested.discard(key)
        if not self._is_inside_held(*key):
            self._free_gaps(key, [held for held in self._held_blocks() if self._overlap(key, held)])

    def _is_inside_held(self, start: int, length: int) -> bool:
        """Whether a held block contains all of this one."""
        for held_length, starts in self._held.items():
            shift = self.width - held_length
            if held_length <= length and start >> shift << shift in starts:
                return True
        return False

    def _held_blocks(self) -> Iterator[tuple[int, int]]:
        for length, starts in self._held.items():
            for start in starts:
                yield start, length

    def _free_gaps(self, block: tuple[int, int], inside: list[tuple[int, int]]) -> None:
        """Free the parts of the block that lie outside the held ones inside it."""
        gaps = []
        first, end = block[0], block[0] + self._size(block[1])
        for start, length in sorted(inside):
            if start > first:
                gaps.append(AddressRange(first, start - 1))
            first = max(first, start + self._size(length))
        if first < end:
            gaps.append(AddressRange(first, end - 1))
        for start, length in aligned_blocks(gaps, self.width):
            self._free_block(start, length)
