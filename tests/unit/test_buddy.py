"""The buddy allocator against a model that knows every address."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyipam.space.block import AddressRange
from pyipam.space.buddy import BuddyAllocator, ReservedBlocks
from tests.unit.memory import bytes_taken_by_repeating

WIDTH = 32
START = 0x0A000000
LENGTH = 26
SIZE = 1 << (WIDTH - LENGTH)


def block_size(length: int) -> int:
    return 1 << (WIDTH - length)


class NaiveAllocator:
    """The same behaviour, found by looking at every address."""

    def __init__(self, reserved: list[AddressRange]) -> None:
        self.held: list[tuple[int, int]] = []
        self.reserved = {a for item in reserved for a in range(item.first, item.last + 1)}

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
            if not addresses & used and not addresses <= self.reserved:
                return start
        return None

    def lowest_from(self, address: int, length: int) -> int | None:
        used = self.used()
        for start in range(START, START + SIZE, block_size(length)):
            addresses = set(range(start, start + block_size(length)))
            if start >= address and not addresses & used and not addresses <= self.reserved:
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


class AllocatorAgreesWithTheModel(RuleBasedStateMachine):
    """Overlapping blocks are held and released in any order, as two address spaces do."""

    @initialize(reserved=st.lists(any_range(), max_size=3))
    def begin(self, reserved: list[AddressRange]) -> None:
        self.allocator = BuddyAllocator(START, LENGTH, WIDTH, reserved)
        self.model = NaiveAllocator(reserved)

    @rule(length=lengths)
    def draw_lowest(self, length: int) -> None:
        start = self.allocator.lowest(length)
        assert start == self.model.lowest(length)
        if start is not None:
            self.allocator.hold(start, length)
            self.model.held.append((start, length))

    @rule(offset=st.integers(-1, SIZE), length=lengths, draws=st.booleans())
    def draw_from(self, offset: int, length: int, draws: bool) -> None:
        start = self.allocator.lowest_from(START + offset, length)
        assert start == self.model.lowest_from(START + offset, length)
        if start is not None and draws:
            self.allocator.hold(start, length)
            self.model.held.append((start, length))

    @rule(block=any_block())
    def hold(self, block: tuple[int, int]) -> None:
        self.allocator.hold(*block)
        self.model.held.append(block)

    @rule(position=st.integers(0, 1000))
    def release(self, position: int) -> None:
        if self.model.held:
            block = self.model.held.pop(position % len(self.model.held))
            self.allocator.release(*block)

    @rule(block=any_block())
    def ask_whether_free(self, block: tuple[int, int]) -> None:
        assert self.allocator.is_free(*block) == self.model.is_free(*block)

    @invariant()
    def count_of_single_addresses_agrees(self) -> None:
        assert self.allocator.count_free(WIDTH) == SIZE - len(self.model.used())


AllocatorAgreesWithTheModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None
)
TestAllocatorAgreesWithTheModel = AllocatorAgreesWithTheModel.TestCase


def test_the_lowest_free_block_is_drawn_first() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH)
    drawn = []
    while (start := allocator.lowest(30)) is not None:
        allocator.hold(start, 30)
        drawn.append(start - START)
    assert drawn == [0, 4, 8, 12]


def test_a_released_block_is_drawn_again_before_higher_ones() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH)
    for offset in (0, 4, 8):
        allocator.hold(START + offset, 30)
    allocator.release(START + 4, 30)
    assert allocator.lowest(30) == START + 4


def test_released_small_blocks_are_joined_to_a_large_one() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH)
    for offset in range(16):
        allocator.hold(START + offset, 32)
    for offset in range(16):
        allocator.release(START + offset, 32)
    assert allocator.lowest(28) == START


def test_no_block_larger_than_the_space_is_free() -> None:
    assert BuddyAllocator(START, 28, WIDTH).lowest(27) is None


def test_a_block_that_is_not_held_cannot_be_released() -> None:
    with pytest.raises(KeyError, match="is not held"):
        BuddyAllocator(START, 28, WIDTH).release(START, 30)


def test_a_block_held_twice_is_free_after_two_releases() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH)
    allocator.hold(START, 30)
    allocator.hold(START, 30)
    allocator.release(START, 30)
    assert not allocator.is_free(START, 30)
    allocator.release(START, 30)
    assert allocator.is_free(START, 30)


def test_a_reserved_block_is_skipped() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH, [AddressRange(START, START + 7)])
    assert allocator.lowest(30) == START + 8


def test_a_block_that_only_contains_a_reserved_address_is_offered() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH, [AddressRange(START + 1, START + 1)])
    assert allocator.lowest(30) == START


def test_a_reserved_block_can_be_held_on_request() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH, [AddressRange(START, START + 3)])
    allocator.hold(START, 30)
    assert not allocator.is_free(START, 30)
    allocator.release(START, 30)
    assert allocator.is_free(START, 30)
    assert allocator.lowest(30) == START + 4


def test_holding_and_releasing_a_block_over_and_over_takes_no_memory() -> None:
    allocator = BuddyAllocator(START, 16, WIDTH)

    def hold_and_release() -> None:
        allocator.hold(START + 1024, 28)
        allocator.release(START + 1024, 28)

    assert bytes_taken_by_repeating(hold_and_release) < 4096


def test_blocks_of_an_ipv6_space_are_drawn_in_the_same_way() -> None:
    base = 0xFC00F00F << 96
    allocator = BuddyAllocator(base, 32, 128)
    first = allocator.lowest(64)
    assert first == base
    allocator.hold(base, 64)
    assert allocator.lowest(64) == base + (1 << 64)
    assert allocator.count_free(64) == (1 << 32) - 1


def test_what_is_reserved_for_a_call_alone_is_not_found_from_an_address_on() -> None:
    allocator = BuddyAllocator(START, 28, WIDTH)
    reserved = ReservedBlocks([AddressRange(START + 4, START + 11)], WIDTH)

    assert allocator.lowest_from(START + 1, 30, reserved) == START + 12
