"""The file and the table that each record belongs to.

There is a TinyDB file for each scope, or one for all scopes. It has a table for each CIDR, with the
records of both address spaces. A CIDR is in one file at a time: that of the scope that its pools
were drawn from. The driver names have a file and a table of their own; below, they are treated as
the pools of a subnet called `drivers`, and what was said of nodes as those of one called `nodes`.
An aggregate is in the file of its scope, in the table of its CIDR; below, it is treated as the pool
of a subnet in a space called `aggregate`.
"""

from __future__ import annotations

from typing import Literal

from pyipam.store.documents import Document
from pyipam.store.pool_id import SPACES, make_subnet_id, subnet_id_of, subnet_of
from pyipam.store.records import (
    AggregateKey,
    AggregateRecord,
    Change,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    NodeKey,
    NodeRecord,
    PoolKey,
    PoolRecord,
    key_of,
)

Layout = Literal["scope", "single"]
LAYOUTS: tuple[Layout, ...] = ("scope", "single")

# The records that are in no subnet of another one: all but the leases.
Listed = PoolRecord | DriverRecord | AggregateRecord | NodeRecord

_DRIVERS = "drivers"
_NODES = "nodes"
# The space in which aggregates are treated as pools.
_AGGREGATE_SPACE = "aggregate"
_FILES_OF_NAMES = {_DRIVERS: "drivers.json", _NODES: "nodes.json"}
_SINGLE_FILE = "scopes/all.json"


def file_of(record: Listed, layout: Layout) -> str:
    """The file of a pool and its leases, or of another record, as a path in the folder."""
    if isinstance(record, DriverRecord):
        return _FILES_OF_NAMES[_DRIVERS]
    if isinstance(record, NodeRecord):
        return _FILES_OF_NAMES[_NODES]
    return file_of_scope(record.scope, layout)


def file_of_scope(scope: str, layout: Layout) -> str:
    """The file of a scope. The scope is given by its network, such as `10.0.0.0/8`; the empty
    string stands for the pools outside every scope."""
    if layout == "single":
        return _SINGLE_FILE
    name = scope.replace("/", "-").replace(":", "_") or "unmanaged"
    return f"scopes/{name}.json"


def has_file(layout: Layout, file: str) -> bool:
    """Whether the layout can have a file of this name."""
    return file in _FILES_OF_NAMES.values() or (file == _SINGLE_FILE) == (layout == "single")


def is_unknown_to_format_2(subnet: str) -> bool:
    """Whether what is stored under a subnet is of a kind that format 2 does not have."""
    return subnet == _NODES or subnet.startswith(f"{_AGGREGATE_SPACE}/")


def place_of(key: Key) -> tuple[str, str]:
    """The subnet that a record is stored under, and its name there."""
    match key:
        case LeaseKey(subnet, address):
            return subnet, address
        case PoolKey(pool_id):
            return subnet_id_of(pool_id), pool_id
        case DriverKey(name):
            return _DRIVERS, name
        case AggregateKey(aggregate_id):
            return _subnet_of_aggregate(aggregate_id), aggregate_id
        case NodeKey(name):
            return _NODES, name


def _subnet_of_aggregate(aggregate_id: str) -> str:
    return f"{_AGGREGATE_SPACE}/{subnet_of(aggregate_id)}"


def place_of_document(document: Document) -> tuple[str, str]:
    """The same for the document of a record."""
    match document["kind"]:
        case "lease":
            return subnet_id_of(document["pool"]), document["address"]
        case "pool":
            return subnet_id_of(document["id"]), document["id"]
        case "aggregate":
            return _subnet_of_aggregate(document["id"]), document["id"]
        case "node":
            return _NODES, document["name"]
        case _:
            return _DRIVERS, document["name"]


def table_of(change: Change) -> str:
    """The table that a change belongs to."""
    return table_of_subnet(place_of(key_of(change))[0])


def table_of_subnet(subnet: str) -> str:
    """The table of a subnet id, such as `10.0.0.0/24` for `local/10.0.0.0/24`."""
    return subnet_of(subnet) or subnet


def subnets_in(table: str) -> tuple[str, ...]:
    """Every subnet that may have records in a table."""
    if table in _FILES_OF_NAMES:
        return (table,)
    of_pools = (make_subnet_id(space, table) for space in SPACES)
    return (f"{_AGGREGATE_SPACE}/{table}", *of_pools)
