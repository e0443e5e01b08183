"""Addresses as integers, and as the text that Docker and people read.

`inet_pton` and `inet_ntop` convert several times as fast as the objects of `ipaddress`. What is
accepted as an address, and how an address is written, is the same as there.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal, NamedTuple

AddressSpace = Literal["local", "global"]


class Address(NamedTuple):
    """An address: 4 or 6, and the address as an integer. `str` gives its text."""

    version: int
    number: int

    def __str__(self) -> str:
        return to_text(self.version, self.number)


def parse_address(text: str) -> Address:
    """Read an address.

    Raises ValueError, with the reason, for what `ipaddress.ip_address` does not accept, and for an
    address with a zone, such as fe80::1%eth0 (RFC 4007, section 11).
    """
    try:
        return Address(6 if ":" in text else 4, to_number(text))
    except (OSError, ValueError):
        if "%" in text:
            raise ValueError("an address in a pool has no zone") from None
        address = ip_address(text)
        return Address(address.version, int(address))


def address_meant(text: str) -> Address | None:
    """The address that a text with a prefix length is probably about, such as 10.0.0.2/24."""
    address, slash, _ = text.partition("/")
    try:
        return parse_address(address) if slash else None
    except ValueError:
        return None


def why_no_address(text: str) -> str:
    """What is wrong with a text that is no address, and which one may be meant, as the end of a
    sentence."""
    if "%" in text:
        return "is not an address: an address in a pool has no zone"
    meant = address_meant(text)
    if meant is None:
        return "is not an address, such as 10.0.0.2 or fd00::2"
    return f"is not an address; did you mean {meant}?"


def to_number(text: str) -> int:
    """The integer of an IPv4 or IPv6 address. Raises OSError or ValueError for anything else."""
    return int.from_bytes(inet_pton(AF_INET6 if ":" in text else AF_INET, text))


def to_text(version: int, number: int) -> str:
    """The text of an IPv4 or IPv6 address, as `ipaddress` writes it (RFC 5952 for IPv6)."""
    if version == 4:
        return inet_ntop(AF_INET, number.to_bytes(4))
    if number >> 48:
        return inet_ntop(AF_INET6, number.to_bytes(16))
    # inet_ntop would write the last 32 bits of these as an IPv4 address (::ffff:10.0.0.1).
    return str(IPv6Address(number))
