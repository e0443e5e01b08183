"""The schema of these tests, and what Docker asks for under it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.in_process import InProcess

DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "scopes": [
        {
            "network": "10.0.0.0",
            "prefix": 16,
            "child_prefix": 24,
            "tags": ["default"],
            "propagate_tags": False,
            "description": "everything",
            "reserved": ["10.0.255.0/24"],
            "scopes": [
                {"network": "10.0.1.0", "prefix": 24, "child_prefix": 29, "tags": ["small"]},
            ],
        },
        {"network": "fd00::", "prefix": 32, "child_prefix": 64, "tags": ["default"]},
    ],
}
SCHEMA = json.dumps(DOCUMENT, indent=2)


def make_network(plugin: InProcess, tags: str = "", subnet: str = "", v6: bool = False) -> str:
    """The id of the pool of a new network."""
    options = {"scope_filter_tags": tags} if tags else {}
    body = {"AddressSpace": "local", "Pool": subnet, "Options": options, "V6": v6}
    return str(plugin.call("RequestPool", body).json()["PoolID"])


def start_container(plugin: InProcess, pool: str) -> str:
    """The address of a new container."""
    reply = plugin.call("RequestAddress", {"PoolID": pool, "Address": "", "Options": None})
    return str(reply.json()["Address"]).partition("/")[0]
