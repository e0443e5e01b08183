"""Calls as dockerd sends them, byte for byte, and the answers that it gets."""

from __future__ import annotations

import json

from tests.support.dockerd import (
    Driver,
)

Exchange = tuple[str, str, str]


def check(driver: Driver, *exchanges: Exchange) -> None:
    """Check that each request, as (call, body, answer), gets exactly this answer."""
    for call, body, answer in exchanges:
        reply = driver.post(f"IpamDriver.{call}", f"{body}\n" if body else "")
        assert reply.json() == json.loads(answer), call
        assert reply.content_type == "application/json"
