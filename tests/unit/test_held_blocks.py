"""Blocks that are held in an address space: the overlaps of any other block with them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.space import in_order
from pyipam.space.held_blocks import HeldBlocks

WIDTH = 32
BASE = 10 << 24

blocks = st.integers(20, 32).flatmap(
    lambda length: st.integers(0, (1 << (length - 16)) - 1).map(
        lambda number: (BASE + (number << (WIDTH - length)), length)
    )
)


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    shift = WIDTH - min(one[1], other[1])
    return one[0] >> shift == other[0] >> shift


@given(st.lists(st.tuples(st.booleans(), blocks)), st.lists(blocks, min_size=1), st.integers(1, 4))
def test_a_block_is_free_exactly_while_no_held_block_overlaps_it(
    steps: list[tuple[bool, tuple[int, int]]], asked: list[tuple[int, int]], chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_order, "_MAX_CHUNK_NUMBERS", chunk)
        held = HeldBlocks(WIDTH)
        model: Counter[tuple[int, int]] = Counter()
        for is_release, block in steps:
            if is_release and model[block]:
                held.release(*block)
                model[block] -= 1
            elif not is_release:
                held.hold(*block)
                model[block] += 1
            taken = [other for other, times in model.items() if times]
            for candidate in (block, *asked):
                is_free = not any(overlap(candidate, other) for other in taken)
                assert held.is_free(*candidate) == is_free


@given(st.lists(blocks), blocks)
def test_of_the_held_blocks_over_another_one_the_lowest_and_largest_comes_first(
    taken: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    held = HeldBlocks(WIDTH)
    for block in taken:
        held.hold(*block)

    over = [block for block in taken if overlap(asked, block)]
    assert held.first_over(*asked) == min(over, default=None)


def test_a_block_that_is_held_twice_is_free_once_it_was_released_twice() -> None:
    held = HeldBlocks(WIDTH)
    held.hold(BASE, 24)
    held.hold(BASE, 24)

    held.release(BASE, 24)
    assert not held.is_free(BASE, 25)

    held.release(BASE, 24)
    assert held.is_free(BASE, 25)


def test_a_block_that_is_not_held_cannot_be_released() -> None:
    held = HeldBlocks(WIDTH)
    held.hold(BASE, 24)

    with pytest.raises(KeyError):
        held.release(BASE, 25)


def test_many_ipv6_blocks_are_told_from_their_neighbours() -> None:
    held = HeldBlocks(128)
    first = 0xFD00 << 112
    starts = [first + (2 * number << 64) for number in range(5000)]
    for start in starts:
        held.hold(start, 64)

    assert not any(held.is_free(start, 64) for start in starts)
    assert all(held.is_free(start + (1 << 64), 64) for start in starts)
    assert not held.is_free(first, 48)
