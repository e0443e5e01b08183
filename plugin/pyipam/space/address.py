"""Addresses as integers, and as the text that Docker and people read.

The C library turns one into the other, several times as fast as objects of `ipaddress` do. What
counts as an address, and how it is written, are the same as there.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal, NamedTuple


def to_number(text: str) -> int:
    """The integer of an address. Raises OSError or ValueError when it is none."""
    return int.from_bytes(inet_pton(AF_INET6 if ":" in text else AF_INET, text))


def to_text(version: int, number: int) -> str:
    """The text of an address of IPv4 or IPv6."""
    if version == 4:
        return inet_ntop(AF_INET, number.to_bytes(4))
    if number >> 48:
        return inet_ntop(AF_INET6, number.to_bytes(16))
    # The C library writes these with an IPv4 address at the end.
    return str(IPv6Address(number))


class Address(NamedTuple):
    """An address that was read."""

    version: int
    number: int

    def __str__(self) -> str:
        return to_text(self.version, self.number)


def parse_address(text: str) -> Address:
    """Read an address. Raises ValueError, with the reason, for what `ip_address` does not read,
    and for an address in a zone."""
    try:
        return Address(6 if ":" in text else 4, to_number(text))
    except (OSError, ValueError):
        if "%" in text:
            raise ValueError("an address of a pool is in no zone") from None
        address = ip_address(text)
        return Address(address.version, int(address))


AddressSpace = Literal["local", "global"]
