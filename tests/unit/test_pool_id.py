"""Pool ids as they are stored: which are read, how they are written, and how nodes are named."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from pyipam.store.pool_id import (
    PoolId,
    make_lease_id,
    parse_lease_id,
    parse_stored_pool_id,
    qualify_pool_id,
    unqualify_pool_id,
)

SUBNET = IPv4Network("100.64.0.0/30")


@pytest.mark.parametrize(
    ("text", "pool_id"),
    [
        ("local/100.64.0.0/30", PoolId("local", SUBNET)),
        ("global/100.64.0.0/30", PoolId("global", SUBNET)),
        ("local/fc00:f00f::/64", PoolId("local", IPv6Network("fc00:f00f::/64"))),
        (
            "local/100.64.0.0/30/100.64.0.2/31",
            PoolId("local", SUBNET, IPv4Network("100.64.0.2/31")),
        ),
        ("local@a b/100.64.0.0/30", PoolId("local", SUBNET, node="a b")),
    ],
)
def test_a_stored_pool_id_is_read_and_written(text: str, pool_id: PoolId) -> None:
    assert parse_stored_pool_id(text) == pool_id
    assert str(pool_id) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local",
        "100.64.0.0/30",
        "local/100.64.0.0",
        "local/100.64.0.1/30",
        "local/100.64.0.0/33",
        "local/100.064.0.0/30",
        "local/100.64.0.0/30/",
        "local/100.64.0.0/30/100.64.0.0/29",
        "local/100.64.0.0/30/100.64.0.4/31",
        "local/100.64.0.0/30/fc00::/64",
        "local/100.64.0.0/30/100.64.0.2/31/more",
        "local/FC00::/64",
        "local/fc00:0::/64",
        "local/fe80::%eth0/64",
        "LOCAL/100.64.0.0/30",
        "elsewhere/100.64.0.0/30",
        "local@/100.64.0.0/30",
        "global@a/100.64.0.0/30",
    ],
)
def test_a_pool_id_that_pyipam_would_not_write_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_stored_pool_id(text)


@pytest.mark.parametrize(
    ("own", "qualified"),
    [
        ("local/100.64.0.0/30", "local@nodea/100.64.0.0/30"),
        ("local/fc00:f00f::/64", "local@nodea/fc00:f00f::/64"),
        ("local/100.64.0.0/30/100.64.0.2/31", "local@nodea/100.64.0.0/30/100.64.0.2/31"),
        ("global/100.64.0.0/30", "global/100.64.0.0/30"),
        ("local@nodeb/100.64.0.0/30", "local@nodeb/100.64.0.0/30"),
        ("local@node/100.64.0.0/30", "local@node/100.64.0.0/30"),
    ],
)
def test_an_id_in_the_local_space_is_qualified_with_its_node(own: str, qualified: str) -> None:
    assert qualify_pool_id(own, "nodea") == qualified
    assert unqualify_pool_id(qualified, "nodea") == own


@pytest.mark.parametrize(
    ("subnet_id", "address"),
    [
        ("local@nodea/100.64.0.0/30", "100.64.0.2"),
        ("global/fc00:f00f::/64", "fc00:f00f::2"),
    ],
)
def test_the_id_of_a_lease_contains_its_subnet_and_its_address(
    subnet_id: str, address: str
) -> None:
    lease_id = make_lease_id(subnet_id, address)

    assert lease_id == f"{subnet_id}/{address}"
    assert parse_lease_id(lease_id) == (subnet_id, address)
