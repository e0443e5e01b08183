"""Pool ids as they are stored: which are read, and that they are written as they were read."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from pyipam.store.pool_id import PoolId, parse_stored_pool_id

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
