"""Free blocks against a model that knows every address."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyipam.space.block import AddressRange, aligned_blocks, merge_ranges
from pyipam.space.buddy import BuddyAllocator

WIDTH = 32
START = 0x0A000000
LENGTH = 26
SIZE = 1 << (WIDTH - LENGTH)


def block_size(length: int) -> int:
    return 1 << (WIDTH - length)


class NaiveBlocks:
    """The same behaviour, found by looking at every address."""

    def __init__(self, fences: list[AddressRange]) -> None:
        self.held: list[tuple[int, int]] = []
        self.fenced = {a for item in fences for a in range(item.first, item.last + 1)}

    def used(self) -> set[int]:
        return {
            address
            for start, length in self.held
            for address in range(start, start + block_size(length))
        }

    def lowest(self, length: int) -> int | None:
        used = self.used()
        for start in range(START, START + SIZE, block_size(length)):
            addresses = set(range(start, start + block_size(length)))
            if not addresses & used and not addresses <= self.fenced:
                return start
        return None

    def is_free(self, start: int, length: int) -> bool:
        return not self.used() & set(range(start, start + block_size(length)))


lengths = st.integers(LENGTH, WIDTH)


@st.composite
def any_block(draw: st.DrawFn) -> tuple[int, int]:
    length = draw(lengths)
    index = draw(st.integers(0, (1 << (length - LENGTH)) - 1))
    return START + index * block_size(length), length


@st.composite
def any_range(draw: st.DrawFn) -> AddressRange:
    first = draw(st.integers(START, START + SIZE - 1))
    return AddressRange(first, draw(st.integers(first, START + SIZE - 1)))


class BlocksAgreeWithTheModel(RuleBasedStateMachine):
    """Blocks that overlap are held and given back in any order, as two address spaces do."""

    @initialize(fences=st.lists(any_range(), max_size=3))
    def begin(self, fences: list[AddressRange]) -> None:
        self.blocks = BuddyAllocator(START, LENGTH, WIDTH, fences)
        self.model = NaiveBlocks(fences)

    @rule(length=lengths)
    def draw_lowest(self, length: int) -> None:
        start = self.blocks.lowest(length)
        assert start == self.model.lowest(length)
        if start is not None:
            self.blocks.hold(start, length)
            self.model.held.append((start, length))

    @rule(block=any_block())
    def hold(self, block: tuple[int, int]) -> None:
        self.blocks.hold(*block)
        self.model.held.append(block)

    @rule(position=st.integers(0, 1000))
    def release(self, position: int) -> None:
        if self.model.held:
            block = self.model.held.pop(position % len(self.model.held))
            self.blocks.release(*block)

    @rule(block=any_block())
    def ask_whether_free(self, block: tuple[int, int]) -> None:
        assert self.blocks.is_free(*block) == self.model.is_free(*block)

    @invariant()
    def count_of_single_addresses_agrees(self) -> None:
        assert self.blocks.count_free(WIDTH) == SIZE - len(self.model.used())


BlocksAgreeWithTheModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None
)
TestBlocksAgreeWithTheModel = BlocksAgreeWithTheModel.TestCase


def test_blocks_are_drawn_lowest_first() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH)
    drawn = []
    while (start := blocks.lowest(30)) is not None:
        blocks.hold(start, 30)
        drawn.append(start - START)
    assert drawn == [0, 4, 8, 12]


def test_a_released_block_is_drawn_again_first() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH)
    for offset in (0, 4, 8):
        blocks.hold(START + offset, 30)
    blocks.release(START + 4, 30)
    assert blocks.lowest(30) == START + 4


def test_small_blocks_given_back_make_a_large_one_again() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH)
    for offset in range(16):
        blocks.hold(START + offset, 32)
    for offset in range(16):
        blocks.release(START + offset, 32)
    assert blocks.lowest(28) == START


def test_a_larger_block_than_the_space_is_never_free() -> None:
    assert BuddyAllocator(START, 28, WIDTH).lowest(27) is None


def test_a_block_that_is_not_held_cannot_be_released() -> None:
    with pytest.raises(KeyError, match="is not held"):
        BuddyAllocator(START, 28, WIDTH).release(START, 30)


def test_a_block_held_twice_is_free_after_two_releases() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH)
    blocks.hold(START, 30)
    blocks.hold(START, 30)
    blocks.release(START, 30)
    assert not blocks.is_free(START, 30)
    blocks.release(START, 30)
    assert blocks.is_free(START, 30)


def test_a_fence_is_passed_over() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH, [AddressRange(START, START + 7)])
    assert blocks.lowest(30) == START + 8


def test_a_block_that_only_contains_a_fence_is_offered() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH, [AddressRange(START + 1, START + 1)])
    assert blocks.lowest(30) == START


def test_a_fenced_block_can_be_held_by_name() -> None:
    blocks = BuddyAllocator(START, 28, WIDTH, [AddressRange(START, START + 3)])
    blocks.hold(START, 30)
    assert not blocks.is_free(START, 30)
    blocks.release(START, 30)
    assert blocks.is_free(START, 30)
    assert blocks.lowest(30) == START + 4


def test_a_block_taken_by_name_and_given_back_for_ever_takes_no_memory() -> None:
    blocks = BuddyAllocator(START, 16, WIDTH)
    for _ in range(5):
        blocks.hold(START + 1024, 28)
        blocks.release(START + 1024, 28)
    before = sum(len(queue) for queue in blocks._queues.values())
    for _ in range(500):
        blocks.hold(START + 1024, 28)
        blocks.release(START + 1024, 28)
    assert sum(len(queue) for queue in blocks._queues.values()) == before


def test_an_ipv6_space_is_as_good_as_an_ipv4_one() -> None:
    base = 0xFC00F00F << 96
    blocks = BuddyAllocator(base, 32, 128)
    first = blocks.lowest(64)
    assert first == base
    blocks.hold(base, 64)
    assert blocks.lowest(64) == base + (1 << 64)
    assert blocks.count_free(64) == (1 << 32) - 1


@given(st.lists(any_range(), max_size=6))
def test_merged_ranges_hold_the_same_addresses_and_never_touch(ranges: list[AddressRange]) -> None:
    merged = merge_ranges(ranges)
    before = {a for item in ranges for a in range(item.first, item.last + 1)}
    after = [a for item in merged for a in range(item.first, item.last + 1)]
    assert sorted(before) == after
    assert all(one.last + 1 < two.first for one, two in pairwise(merged))


@given(any_range())
def test_aligned_blocks_cover_a_range_exactly(item: AddressRange) -> None:
    covered: list[int] = []
    for start, length in aligned_blocks([item], WIDTH):
        assert start % block_size(length) == 0
        covered += range(start, start + block_size(length))
    assert covered == list(range(item.first, item.last + 1))


def test_the_whole_of_ipv6_is_one_aligned_block() -> None:
    assert list(aligned_blocks([AddressRange(0, (1 << 128) - 1)], 128)) == [(0, 0)]
