"""Stripes: a few parts of the whole address space, such that blocks of different ones are apart.

The address space is divided into regions, a /24 of IPv4 or a /64 of IPv6, and each region belongs
to one of STRIPES stripes. A block touches the stripes of the regions that it covers, so two blocks
that overlap have a stripe in common. Regions beside each other belong to different stripes. Of 16
that are aligned, each belongs to another one, and regions at regular distances, such as 10.1.0.0/24
and 10.2.0.0/24, are spread as well.

All nodes that share a plan have to agree on this: it is part of the format of their database.
"""

from __future__ import annotations

from typing import Final

from pyipam.space.block import Block

STRIPES: Final = 16
_BITS = 4
# The prefix length of a region, by IP version.
_REGION_LENGTHS = {4: 24, 6: 64}
# Fibonacci hashing: D. E. Knuth, The Art of Computer Programming, volume 3, section 6.4.
_FACTOR = 0x9E3779B97F4A7C15
_FACTOR_BITS = 64


def stripes_of(block: Block) -> tuple[int, ...]:
    """The stripes that a block touches, in ascending order."""
    length = _REGION_LENGTHS[block.version]
    first = block.start >> (block.width - length)
    if block.length >= length:
        return (_stripe_of(first),)
    if length - block.length >= _BITS:
        return tuple(range(STRIPES))
    # All of them are in one aligned row of 16.
    return tuple(sorted(_stripe_of(first + n) for n in range(1 << (length - block.length))))


def next_in_stripe(version: int, address: int, stripe: int) -> int:
    """The first address of the first region that begins after an address and is in a stripe."""
    length = _REGION_LENGTHS[version]
    shift = (32 if version == 4 else 128) - length
    region = address >> shift
    row = region >> _BITS
    found = _in_row(row, stripe)
    return (found if found > region else _in_row(row + 1, stripe)) << shift


def _stripe_of(region: int) -> int:
    return (region & (STRIPES - 1)) ^ _turn_of(region >> _BITS)


def _in_row(row: int, stripe: int) -> int:
    """The region of an aligned row of 16 that is in a stripe."""
    return row << _BITS | stripe ^ _turn_of(row)


def _turn_of(row: int) -> int:
    """What a row differs in from the others. It is even, so that the last region of a row, which
    gets an odd stripe, never gets that of the first region of the next."""
    mixed = row * _FACTOR % (1 << _FACTOR_BITS)
    return mixed >> (_FACTOR_BITS - _BITS) & ~1
