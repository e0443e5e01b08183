"""Ranges of addresses: merged, and cut into aligned blocks."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pyipam.space.block import AddressRange, aligned_blocks, merge_ranges

WIDTH = 32
START = 0x0A000000
SIZE = 64


@st.composite
def any_range(draw: st.DrawFn) -> AddressRange:
    first = draw(st.integers(START, START + SIZE - 1))
    return AddressRange(first, draw(st.integers(first, START + SIZE - 1)))


@given(st.lists(any_range(), max_size=6))
def test_merged_ranges_contain_the_same_addresses_and_do_not_touch(
    ranges: list[AddressRange],
) -> None:
    merged = merge_ranges(ranges)
    before = {a for item in ranges for a in range(item.first, item.last + 1)}
    after = [a for item in merged for a in range(item.first, item.last + 1)]
    assert sorted(before) == after
    assert all(one.last + 1 < two.first for one, two in pairwise(merged))


@given(any_range())
def test_aligned_blocks_cover_a_range_exactly(item: AddressRange) -> None:
    covered: list[int] = []
    for start, length in aligned_blocks([item], WIDTH):
        assert start % (1 << (WIDTH - length)) == 0
        covered += range(start, start + (1 << (WIDTH - length)))
    assert covered == list(range(item.first, item.last + 1))


def test_the_whole_of_ipv6_is_one_aligned_block() -> None:
    assert list(aligned_blocks([AddressRange(0, (1 << 128) - 1)], 128)) == [(0, 0)]
