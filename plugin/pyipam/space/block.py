"""Blocks and ranges of addresses as integers.

`Block` stands in for the network objects of `ipaddress` where speed counts: it is cheaper to make,
to hash and to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple, TypeVar

from pyipam.space.address import Address, to_text

Network = IPv4Network | IPv6Network
Item = TypeVar("Item")


class Block(NamedTuple):
    """A network in integers: 4 or 6, its first address, and its prefix length."""

    version: int
    start: int
    length: int

    @property
    def width(self) -> int:
        """Bits in an address of this version: 32 or 128."""
        return 32 if self.version == 4 else 128

    @property
    def last(self) -> int:
        """The last address."""
        return self.start + (1 << (self.width - self.length)) - 1

    def __str__(self) -> str:
        return f"{to_text(self.version, self.start)}/{self.length}"

    def contains(self, address: Address) -> bool:
        """Whether the address is in the block."""
        return self.version == address.version and self.start <= address.number <= self.last

    def overlaps(self, other: Block) -> bool:
        """Whether some address is in both blocks."""
        shift = self.width - min(self.length, other.length)
        return self.version == other.version and self.start >> shift == other.start >> shift

    def is_inside(self, other: Block) -> bool:
        """Whether every address of the block is in the other one."""
        return self.length >= other.length and self.overlaps(other)

    def widened_to(self, length: int) -> Block:
        """The block of this prefix length around it; itself if it is as large already."""
        if self.length <= length:
            return self
        shift = self.width - length
        return Block(self.version, self.start >> shift << shift, length)


def block_of(network: Network) -> Block:
    """The block of a network."""
    return Block(network.version, int(network.network_address), network.prefixlen)


def parse_network(text: str) -> Network:
    """Read a network. Raises ValueError unless it is written as `str` writes networks."""
    network = ip_network(text)
    if str(network) != text or "%" in text:
        raise ValueError(f"{text!r} is not written as {network}")
    return network


def parse_subnet(text: str) -> Block:
    """Read a subnet in any spelling. Raises ValueError with what is wrong and which subnet may be
    meant, as the end of a sentence that begins with the text."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is not a subnet, such as 10.0.0.0/24 or fd00::/64") from None
    try:
        return block_of(ip_network(text))
    except ValueError:
        raise ValueError(
            f"is not a subnet: {text} has host bits set; did you mean {network}?"
        ) from None


def find_overlaps(entries: Iterable[tuple[Block, Item]]) -> Iterator[tuple[Item, Item]]:
    """Each item whose block lies inside that of another one, as (the other one, the item).

    Of equal blocks, the first one given counts as the other one. Sorting makes one pass enough:
    blocks are either disjoint or one inside the other, so whatever overlaps an earlier block
    overlaps the widest one before it.
    """
    widest: tuple[Block, Item] | None = None
    for block, item in sorted(entries, key=lambda entry: entry[0]):
        if widest is not None and block.overlaps(widest[0]):
            yield widest[1], item
        else:
            widest = (block, item)


@dataclass(frozen=True, slots=True)
class AddressRange:
    """The addresses from first to last, both included, as integers."""

    first: int
    last: int


def text_of_range(version: int, item: AddressRange) -> str:
    """A range of addresses as the schema may write it."""
    return f"{to_text(version, item.first)}-{to_text(version, item.last)}"


def merge_ranges(ranges: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """The same addresses in as few ranges as possible, in ascending order."""
    merged: list[AddressRange] = []
    for current in sorted(ranges, key=lambda item: item.first):
        if merged and current.first <= merged[-1].last + 1:
            if current.last > merged[-1].last:
                merged[-1] = AddressRange(merged[-1].first, current.last)
        else:
            merged.append(current)
    return tuple(merged)


def aligned_blocks(ranges: Iterable[AddressRange], width: int) -> Iterator[tuple[int, int]]:
    """The fewest blocks that cover each range exactly, as (first address, prefix length).

    `width` is the number of bits in an address.
    """
    for item in ranges:
        start = item.first
        while start <= item.last:
            bits = width if start == 0 else (start & -start).bit_length() - 1
            bits = min(bits, (item.last - start + 1).bit_length() - 1)
            yield start, width - bits
            start += 1 << bits
