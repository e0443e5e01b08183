"""The stripes of the address space, by which nodes that create blocks are kept apart."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pyipam.space.block import Block, parse_subnet
from pyipam.space.stripes import STRIPES, next_in_stripe, stripes_of

WIDTHS = {4: 32, 6: 128}
REGIONS = {4: 24, 6: 64}


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    version = draw(st.sampled_from((4, 6)))
    width = WIDTHS[version]
    length = draw(st.integers(0, width))
    return Block(version, draw(st.integers(0, (1 << length) - 1)) << (width - length), length)


@st.composite
def nested_blocks(draw: st.DrawFn) -> tuple[Block, Block]:
    """A block, and one inside it."""
    outer = draw(blocks())
    length = draw(st.integers(outer.length, outer.width))
    part = draw(st.integers(0, (1 << (length - outer.length)) - 1))
    return outer, Block(outer.version, outer.start + (part << (outer.width - length)), length)


@given(nested_blocks())
def test_blocks_that_overlap_have_a_stripe_in_common(nested: tuple[Block, Block]) -> None:
    outer, inner = nested

    assert set(stripes_of(inner)) <= set(stripes_of(outer))
    assert stripes_of(inner)


@given(blocks())
def test_the_stripes_of_a_block_are_those_of_its_regions_in_ascending_order(block: Block) -> None:
    spare = REGIONS[block.version] - block.length
    found = stripes_of(block)

    assert list(found) == sorted(set(found))
    assert len(found) == (1 if spare <= 0 else min(1 << spare, STRIPES))


@given(blocks())
def test_regions_beside_each_other_are_in_different_stripes(block: Block) -> None:
    size = 1 << (block.width - REGIONS[block.version])
    start = min(block.start - block.start % size, (1 << block.width) - 2 * size)
    one, other = (
        stripes_of(Block(block.version, first, REGIONS[block.version]))
        for first in (start, start + size)
    )

    assert one != other


def test_the_same_block_is_in_the_same_stripe_forever() -> None:
    cidrs = ("10.0.0.0/28", "10.0.1.0/24", "10.0.16.0/24", "192.168.255.0/30", "fd00:0:0:7::/64")

    assert [stripes_of(parse_subnet(cidr)) for cidr in cidrs] == [(10,), (11,), (4,), (11,), (7,)]


def test_regions_at_regular_distances_are_spread() -> None:
    second_bytes = Counter(stripes_of(parse_subnet(f"10.{n}.0.0/24")) for n in range(256))
    networks = Counter(stripes_of(parse_subnet(f"fd00:0:0:{n:x}00::/64")) for n in range(256))

    # All are even, as the first regions of their rows are.
    assert len(second_bytes) == len(networks) == STRIPES // 2
    assert max(second_bytes.values()) < 64
    assert max(networks.values()) < 64


@given(blocks(), st.integers(0, STRIPES - 1))
def test_the_next_region_in_a_stripe_is_found(block: Block, stripe: int) -> None:
    length = REGIONS[block.version]
    size = 1 << (block.width - length)

    found = next_in_stripe(block.version, block.start, stripe)

    assert found > block.start
    assert found - block.start < 32 * size
    if found < 1 << block.width:
        assert stripes_of(Block(block.version, found, length)) == (stripe,)
    between = range(block.start - block.start % size + size, found, size)
    assert all(
        stripes_of(Block(block.version, start, length)) != (stripe,)
        for start in between
        if start < 1 << block.width
    )
