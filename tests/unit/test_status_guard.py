"""Which hosts the listener on TCP may be asked for."""

from __future__ import annotations

import pytest

from pyipam.api.status_guard import StatusGuard

GUARD = StatusGuard({"node1.example"})


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:9430", "192.0.2.7", "[::1]:9430", "[2001:db8::7]"),
        *("localhost:9430", "LocalHost", "node1.example:9430", "Node1.Example."),
    ],
)
def test_an_address_localhost_and_a_listed_name_are_for_this_host(host: str) -> None:
    assert GUARD.is_for_this_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "node1.example.evil.example", "evil.example:9430", "127.0.0.1.evil"),
        *("127.0.0.1:x", "127.0.0.1, evil.example", "[::1]evil:80", "::1", "[", "]", ":9430"),
        *("evil.example#127.0.0.1", "user@127.0.0.1", "node1.example..", "[evil.example]"),
    ],
)
def test_everything_else_is_not(host: str) -> None:
    assert not GUARD.is_for_this_host(host)
