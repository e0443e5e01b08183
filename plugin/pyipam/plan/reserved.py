"""The `reserved` entries of a scope: addresses, ranges and CIDRs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from pyipam.space.block import AddressRange, Network


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


def clip(ranges: Iterable[AddressRange], network: Network) -> Iterator[AddressRange]:
    """The parts of the ranges that are inside the network."""
    first, last = int(network.network_address), int(network.broadcast_address)
    for item in ranges:
        if item.first <= last and item.last >= first:
            yield AddressRange(max(item.first, first), min(item.last, last))
