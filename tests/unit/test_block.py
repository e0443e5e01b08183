"""Blocks and ranges of addresses: merged, cut into blocks, compared, and read."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.space.block import (
    AddressRange,
    Block,
    aligned_blocks,
    block_of,
    find_overlaps,
    merge_ranges,
    parse_network,
)

WIDTH = 32
START = 0x0A000000
SIZE = 64


@st.composite
def any_range(draw: st.DrawFn) -> AddressRange:
    first = draw(st.integers(START, START + SIZE - 1))
    return AddressRange(first, draw(st.integers(first, START + SIZE - 1)))


@st.composite
def any_block(draw: st.DrawFn) -> Block:
    length = draw(st.integers(26, WIDTH))
    index = draw(st.integers(0, (1 << (length - 26)) - 1))
    return Block(4, START + index * (1 << (WIDTH - length)), length)


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


BLOCKS = [
    block_of(ip_network(text))
    for text in ("10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.1.0.0/16", "11.0.0.0/8", "::/8")
]


@given(st.permutations(BLOCKS))
def test_each_overlap_is_found_with_the_widest_block(blocks: list[Block]) -> None:
    widest = BLOCKS[0]

    found = set(find_overlaps((block, block) for block in blocks))

    assert found == {(widest, block) for block in BLOCKS[1:4]}


def test_of_equal_blocks_the_first_one_counts_as_the_other_one() -> None:
    block = BLOCKS[0]

    assert list(find_overlaps([(block, "a"), (block, "b")])) == [("a", "b")]


@given(any_block(), any_block())
def test_overlaps_are_found_wherever_two_blocks_share_an_address(one: Block, other: Block) -> None:
    share = bool(set(range(one.start, one.last + 1)) & set(range(other.start, other.last + 1)))

    assert bool(list(find_overlaps([(one, 1), (other, 2)]))) == share


@given(any_block(), any_block())
def test_a_block_is_inside_another_one_that_has_all_its_addresses(one: Block, other: Block) -> None:
    addresses = set(range(one.start, one.last + 1))

    assert one.is_inside(other) == (addresses <= set(range(other.start, other.last + 1)))


@given(any_block(), st.integers(0, 32))
def test_a_block_is_widened_to_the_one_of_a_length_around_it(one: Block, length: int) -> None:
    widened = one.widened_to(length)

    assert one.is_inside(widened)
    assert widened.length == min(one.length, length)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "0.0.0.0/0", "fc00::/64", "::/0", "10.0.0.1/32"])
def test_a_network_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_network(text)) == text


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.0.0", "10.0.0.1/8", "10.00.0.0/8", "FC00::/64", "fe80::%eth0/64"]
)
def test_a_network_that_is_written_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_network(text)
