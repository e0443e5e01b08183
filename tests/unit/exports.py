"""Exports to test with: their entries, their files, and the errors in them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from pyipam.transfer.export_file import Export, read_export
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    LEASE,
    POOL,
)

SCHEMA = '{"schema_version": 1,\n "scopes": []}\n'
EXPORT = Export((DRIVER, POOL, GATEWAY, LEASE), SCHEMA)
POOL_ENTRY = {
    "id": "local/100.64.0.0/30",
    "scope": "100.64.0.0/20",
    "label": "testnet",
    "tags": "null_routed",
    "claims": [["driver", 1, 1]],
    "created": 1600000000.123456,
    "released": None,
}
LEASE_ENTRY = {
    "pool": "local/100.64.0.0/30",
    "address": "100.64.0.2",
    "use": "container",
    "driver": "driver",
    "epoch": 1,
    "granted": 1600000002.25,
    "released": None,
}
DRIVER_ENTRY = {"name": "driver", "engine": "boot:4711", "local_epoch": 3, "global_epoch": 4}


def file_of(**members: Any) -> bytes:
    """A file with these members in its plan, and a checksum that matches them."""
    plan = {"schema": None, "drivers": [], "pools": [], "leases": [], **members}
    checksum = sha256(orjson.dumps(plan)).hexdigest()
    return orjson.dumps({"title": "pyipam plan", "format": 1, "sha256": checksum, "plan": plan})


def good(content: bytes) -> Export:
    export = read_export(content)
    assert isinstance(export, Export), export
    return export


def errors(content: bytes) -> list[str]:
    found = read_export(content)
    assert not isinstance(found, Export)
    return [str(error) for error in found]
