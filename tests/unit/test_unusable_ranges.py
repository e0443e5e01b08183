"""Scopes in address ranges that hosts cannot use."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from tests.support.core import scope, tree_of
from tests.unit.schemas import errors_of

# Python writes it differently from 3.13 on.
MAPPED = ip_network("::ffff:0:0/96")


@pytest.mark.parametrize(
    ("network", "prefix", "child", "sentence"),
    [
        ("0.0.0.0", 0, 24, "it contains 0.0.0.0/8"),
        ("0.0.0.0", 8, 24, "it is in 0.0.0.0/8"),
        ("127.0.0.0", 8, 24, "it is in 127.0.0.0/8 (loopback)"),
        ("127.5.0.0", 16, 24, "it is in 127.0.0.0/8"),
        ("64.0.0.0", 2, 24, "it contains 127.0.0.0/8"),
        ("169.254.0.0", 16, 24, "it is in 169.254.0.0/16 (link-local)"),
        ("169.254.7.0", 24, 30, "it is in 169.254.0.0/16"),
        ("224.0.0.0", 4, 24, "it is in 224.0.0.0/3 (multicast and reserved)"),
        ("240.0.0.0", 4, 24, "it is in 224.0.0.0/3"),
        ("128.0.0.0", 1, 24, "it contains 169.254.0.0/16"),
        ("::", 0, 64, "it contains ::/96"),
        ("::", 96, 112, "it is in ::/96"),
        ("::ffff:0:0", 96, 112, f"it is in {MAPPED} (IPv4-mapped)"),
        ("fe80::", 64, 72, "it is in fe80::/10 (link-local)"),
        ("fe00::", 7, 64, "it contains fe80::/10"),
        ("ff05::", 16, 64, "it is in ff00::/8 (multicast)"),
        ("0.0.0.0", 0, 0, "it contains 0.0.0.0/8"),
    ],
)
def test_a_scope_that_gives_out_what_hosts_cannot_use_is_an_error(
    network: str, prefix: int, child: int, sentence: str
) -> None:
    (error,) = errors_of(scope(network, prefix, child_prefix=child))
    assert error.startswith(
        f"$.scopes[0].network: no network can get a subnet from {ip_network((network, prefix))}: "
    )
    assert sentence in error


@pytest.mark.parametrize(("network", "prefix"), [("0.0.0.0", 0), ("::", 0), ("224.0.0.0", 3)])
@pytest.mark.parametrize("keys", [{}, {"child_prefix": 16, "lock_down": True}])
def test_a_scope_that_only_holds_others_may_cover_what_hosts_cannot_use(
    network: str, prefix: int, keys: dict[str, Any]
) -> None:
    assert tree_of(scope(network, prefix, **keys))


def test_a_scope_beside_what_hosts_cannot_use_is_right() -> None:
    assert tree_of(
        scope("1.0.0.0", 8, child_prefix=24),
        scope("223.0.0.0", 8, child_prefix=24),
        scope("169.253.0.0", 16, child_prefix=24),
        scope("::1:0:0:0", 80, child_prefix=96),
        scope("fc00::", 7, child_prefix=64),
        scope("fec0::", 10, child_prefix=64),
    )
