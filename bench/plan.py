"""The address plan that is measured, and states that hold a given number of pools and leases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.core.selection import Policy
from pyipam.driver_names import MAIN_DRIVER
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.store.pool_id import PoolId
from pyipam.store.tinydb.store import TinyDbStore

MANY = "many"
LARGE = "large"
LARGE_POOL = str(PoolId("local", IPv4Network("100.64.0.0/12")))
_SCHEMA = {
    "schema_version": 1,
    "scopes": [
        {"network": "10.0.0.0", "prefix": 8, "child_prefix": 24, "tags": [MANY]},
        {"network": "100.64.0.0", "prefix": 10, "child_prefix": 12, "tags": [LARGE]},
    ],
}


@dataclass(frozen=True)
class Held:
    """A number of pools of one scope, each with a number of leases."""

    tags: str
    pools: int
    leases_each: int = 0


def write_schema(path: Path) -> Path:
    """The schema, as the file that an operator would write."""
    path.write_text(json.dumps(_SCHEMA))
    return path


def write_state(folder: Path, *everything: Held) -> Path:
    """A state folder at rest, made by the plugin's own core and store."""
    store = TinyDbStore(folder)
    ipam = Ipam(store, Policy(), Clock())
    ipam.load(tree())
    for held in everything:
        _fill(ipam, held)
    store.close()
    return folder


def tree() -> ScopeTree:
    """The plan's scopes."""
    scopes = read_schema(json.dumps(_SCHEMA))
    assert isinstance(scopes, ScopeTree), scopes
    return scopes


def _fill(ipam: Ipam, held: Held) -> None:
    request = PoolRequest(MAIN_DRIVER, "local", 4, tag_filter=parse_tag_filter(held.tags))
    pools = ipam.commit([partial(ipam.request_pool, request)] * held.pools)
    leases = [AddressRequest(MAIN_DRIVER, pool) for pool in pools for _ in range(held.leases_each)]
    ipam.commit([partial(ipam.request_address, lease) for lease in leases])
