"""Blocks merged into as few as have the same addresses."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, collapse_addresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.space.block import Block, parse_subnet
from pyipam.space.merging import merge_blocks

WIDTH = 6


def merged(*subnets: str) -> list[str]:
    return [str(block) for block in merge_blocks(map(parse_subnet, subnets))]


@st.composite
def small_blocks(draw: st.DrawFn) -> Block:
    """A block of the last 64 addresses of either version."""
    version, bits = draw(st.sampled_from((4, 6))), draw(st.integers(0, WIDTH))
    width = 32 if version == 4 else 128
    first = (1 << width) - (1 << WIDTH)
    position = draw(st.integers(0, (1 << (WIDTH - bits)) - 1))
    return Block(version, first + (position << bits), width - bits)


def addresses(blocks: list[Block]) -> set[tuple[int, int]]:
    return {(b.version, number) for b in blocks for number in range(b.start, b.last + 1)}


def test_two_halves_become_the_block_that_they_make_up() -> None:
    assert merged("10.1.16.0/20", "10.1.0.0/20") == ["10.1.0.0/19"]


def test_neighbours_that_are_not_halves_of_one_block_stay() -> None:
    assert merged("10.1.16.0/20", "10.1.32.0/20") == ["10.1.16.0/20", "10.1.32.0/20"]


def test_what_was_merged_is_merged_further() -> None:
    quarters = [f"10.1.{third}.0/20" for third in (0, 16, 32, 48)]

    assert merged(*quarters) == ["10.1.0.0/18"]


def test_a_block_inside_another_one_adds_nothing() -> None:
    assert merged("10.1.16.0/26", "10.1.16.0/20", "10.1.31.0/24") == ["10.1.16.0/20"]


def test_the_versions_stay_apart() -> None:
    assert merged("::/1", "0.0.0.0/1", "128.0.0.0/1") == ["0.0.0.0/0", "::/1"]


@pytest.mark.parametrize("subnets", [(), ("10.1.16.0/20",)])
def test_less_than_two_blocks_stay_as_they_are(subnets: tuple[str, ...]) -> None:
    assert merged(*subnets) == [*subnets]


@given(st.lists(small_blocks()))
def test_the_merged_blocks_have_the_same_addresses_each_once(blocks: list[Block]) -> None:
    found = merge_blocks(blocks)

    assert addresses(found) == addresses(blocks)
    assert len(addresses(found)) == sum(b.last - b.start + 1 for b in found)


@given(st.lists(small_blocks()))
def test_there_are_no_fewer_blocks_with_the_same_addresses(blocks: list[Block]) -> None:
    of_4 = [IPv4Network(str(block)) for block in blocks if block.version == 4]
    of_6 = [IPv6Network(str(block)) for block in blocks if block.version == 6]
    expected = [*map(str, collapse_addresses(of_4)), *map(str, collapse_addresses(of_6))]

    assert [str(block) for block in merge_blocks(blocks)] == expected
