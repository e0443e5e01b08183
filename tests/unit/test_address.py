"""Addresses are read and written exactly as the standard library does."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyipam.space.address import Address, parse_address, to_number, to_text

_pieces = st.sampled_from(
    ["0", "1", "01", "10", "255", "256", "ffff", "10000", "G", "%", "eth0", " ", "-1", "٣", "\0"]
)
_near_addresses = st.lists(
    st.tuples(_pieces, st.sampled_from([".", ":", "::", "", "/"])), max_size=10
).map(lambda parts: "".join(piece + end for piece, end in parts))
_dotted = st.lists(_pieces, min_size=4, max_size=4).map(".".join)
_colons = st.lists(_pieces | st.just(""), min_size=3, max_size=9).map(":".join)
_mixed = st.tuples(_colons, _dotted).map(":".join)


def expected(text: str) -> Address | None:
    """What the standard library reads, except for addresses with a zone."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else Address(address.version, int(address))


@given(_near_addresses | _dotted | _colons | _mixed | st.text(max_size=20))
@example("010.0.0.1")
@example("1.2.3")
@example("1.2.3.4.5")
@example("1.2.3.4 ")
@example("0x1.2.3.4")
@example("167772161")
@example("")
@example(":")
@example(":::")
@example("::1%eth0")
@example("::1.2.3.04")
@example("1:2:3:4:5:6:7::")
@example("::2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:7:8::")
@example("::FFFF:1.2.3.4")
@example("00000::1")
@example("1.2.3.4\0")
def test_the_same_texts_are_addresses_as_for_the_standard_library(text: str) -> None:
    try:
        found = parse_address(text)
    except ValueError:
        found = None
    assert found == expected(text)


@pytest.mark.parametrize("text", ["ten", "10.0.0.256", "10.0.0.01", "::g", "", "10.0.0.0/8"])
def test_other_texts_are_refused_with_the_message_of_the_standard_library(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))) as refusal:
        parse_address(text)
    with pytest.raises(ValueError, match=re.escape(repr(text))) as own:
        ip_address(text)
    assert str(refusal.value) == str(own.value)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "10.0.0.1%eth0", "%"])
def test_an_address_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no zone"):
        parse_address(text)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_written_as_the_standard_library_writes_it(number: int) -> None:
    text = str(IPv4Address(number))
    assert to_text(4, number) == str(Address(4, number)) == text
    assert to_number(text) == number


_groups = st.lists(st.sampled_from([0, 0, 1, 0xFF, 0xFFFF]), min_size=8, max_size=8)


@given(_groups)
@example([0] * 8)
@example([0] * 7 + [1])
@example([0] * 6 + [0x0A00, 1])
@example([0] * 5 + [0xFFFF, 0x0A00, 1])
@example([0] * 4 + [0xFFFF, 0, 0x0A00, 1])
@example([1, 0, 2, 0, 0, 3, 0, 0])
def test_an_ipv6_address_is_written_as_the_standard_library_writes_it(groups: list[int]) -> None:
    number = sum(group << (16 * place) for place, group in enumerate(reversed(groups)))
    text = str(IPv6Address(number))
    assert to_text(6, number) == str(Address(6, number)) == text
    assert to_number(text) == number
