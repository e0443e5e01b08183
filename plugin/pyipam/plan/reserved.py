"""The `reserved` entries of a scope: addresses, ranges and CIDRs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from pyipam.space.address import to_text
from pyipam.space.block import (
    AddressRange,
    Block,
    Network,
    aligned_blocks,
    merge_ranges,
    text_of_range,
)


def parse_reserved(entry: Any, version: int | None) -> AddressRange | None:
    """The addresses of an entry: `10.0.0.1`, `10.0.0.1-10.0.0.9` or `10.0.0.0/24`.

    None if it is none of these, or not of this IP version; a version of None allows both.
    """
    if not isinstance(entry, str) or "%" in entry:
        return None
    try:
        if "/" in entry:
            network = ip_network(entry.strip())
            first, last = network.network_address, network.broadcast_address
        else:
            head, separator, tail = entry.partition("-")
            first = ip_address(head.strip())
            last = ip_address(tail.strip()) if separator else first
    except ValueError:
        return None
    if first.version != last.version or version not in (None, first.version):
        return None
    if int(first) > int(last):
        return None
    return AddressRange(int(first), int(last))


def text_of_entry(version: int, item: AddressRange) -> str:
    """An entry as an operator would write it: an address, a CIDR or a range."""
    if item.first == item.last:
        return to_text(version, item.first)
    width = 32 if version == 4 else 128
    (start, length), *more = aligned_blocks([item], width)
    return text_of_range(version, item) if more else str(Block(version, start, length))


def reserved_within(
    offered: AddressRange, reserved: Iterable[AddressRange]
) -> tuple[AddressRange, ...]:
    """The reserved ranges that count among the addresses that a pool offers.

    A range that covers all of them does not: such a pool was asked for by name, and somebody meant
    it. Nor do ranges that cover them together.
    """
    finer = tuple(
        item for item in reserved if item.first > offered.first or item.last < offered.last
    )
    is_all = any(
        item.first <= offered.first and item.last >= offered.last for item in merge_ranges(finer)
    )
    return () if is_all else finer


def clip(ranges: Iterable[AddressRange], network: Network) -> Iterator[AddressRange]:
    """The parts of the ranges that are inside the network."""
    first, last = int(network.network_address), int(network.broadcast_address)
    for item in ranges:
        if item.first <= last and item.last >= first:
            yield AddressRange(max(item.first, first), min(item.last, last))
