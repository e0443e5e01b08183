"""Networks and scopes as the model sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def inside(inner: Network, outer: Network) -> bool:
    """Whether all of the inner network is in the outer one."""
    return overlap(inner, outer) and inner.prefixlen >= outer.prefixlen


def overlap(one: Network, other: Network) -> bool:
    """Whether some address is in both."""
    return one.version == other.version and one.overlaps(other)


@dataclass(frozen=True)
class Scope:
    """A scope of the schema; `depth` is its distance from the root."""

    network: Network
    child_prefix: int
    tags: frozenset[str]
    space: str | None
    locked: bool
    reserved: tuple[Network, ...]
    depth: int


def scopes_of(
    entries: Iterable[Mapping[str, Any]], inherited: frozenset[str] = frozenset(), depth: int = 0
) -> Iterator[Scope]:
    """The scopes of a schema in its order, with the tags that those above propagate."""
    for entry in entries:
        tags = inherited | frozenset(entry.get("tags", []))
        yield Scope(
            ip_network(f"{entry['network']}/{entry['prefix']}"),
            entry["child_prefix"],
            tags,
            entry.get("address_space"),
            entry.get("lock_down", False),
            tuple(map(ip_network, entry.get("reserved", []))),
            depth,
        )
        yield from scopes_of(entry.get("scopes", []), tags, depth + 1)


def matches(scope: Scope, term: str) -> bool:
    """Whether the scope carries what a term of a tag expression asks for."""
    return all((tag.strip("!") in scope.tags) != tag.startswith("!") for tag in term.split("+"))


def usable(subnet: Network) -> Iterator[Address]:
    """The addresses that a host can have; of a large subnet the first 64."""
    for number in range(min(subnet.num_addresses, 64)):
        address = subnet[number]
        if subnet.max_prefixlen - subnet.prefixlen >= 2 and (
            number == 0 or (subnet.version == 4 and address == subnet.broadcast_address)
        ):
            continue
        yield address
