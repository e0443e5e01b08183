"""Records as JSON documents, for TinyDB files and exports, and changes as JSON, for journals."""

from __future__ import annotations

import re
from operator import itemgetter
from sys import intern
from typing import Any

from pyipam.store.records import (
    LEASE_KINDS,
    AggregateKey,
    AggregateRecord,
    Change,
    Claim,
    Delete,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    NodeKey,
    NodeRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
    Run,
    Sharer,
)

Document = dict[str, Any]

# The member that holds the kind of a lease: `kind` is the kind of the document itself.
LEASE_KIND = "use"
# How every document begins, as JSON.
DOCUMENT_START = b'{"kind":'
# The member that holds the name of a document. (Quotes in a JSON string are escaped.)
_NAME = re.compile(rb'"(?:address|id|name)":("(?:[^"\\]|\\.)*")')
_of_lease = itemgetter("pool", "address", LEASE_KIND, "driver", "epoch", "granted", "released")


def to_document(record: Record) -> Document:
    """The document of a record. Its member `kind` says what it is."""
    match record:
        case LeaseRecord():
            lease: Document = {
                "kind": "lease",
                "pool": record.pool,
                "address": record.address,
                LEASE_KIND: record.kind,
                "driver": record.driver,
                "epoch": record.epoch,
                "granted": record.granted,
                "released": record.released,
            }
            if record.named:
                lease["named"] = True
            if record.sharers:
                lease["sharers"] = [list(sharer) for sharer in record.sharers]
            return lease
        case PoolRecord():
            return _document_of_pool(record)
        case DriverRecord():
            return _document_of_driver(record)
        case AggregateRecord():
            return _document_of_aggregate(record)
        case NodeRecord():
            return {"kind": "node", **record._asdict()}


def _document_of_pool(record: PoolRecord) -> Document:
    document: Document = {
        "kind": "pool",
        "id": record.id,
        "scope": record.scope,
        "label": record.label,
        "tags": record.tags,
        "claims": [[claim.driver, claim.epoch, claim.references] for claim in record.claims],
        "created": record.created,
        "released": record.released,
    }
    if record.shared:
        document["shared"] = True
    if record.aggregate:
        document["aggregate"] = record.aggregate
    if record.follows_swarm:
        document["follows_swarm"] = True
    return document


def _document_of_driver(record: DriverRecord) -> Document:
    document: Document = {
        "kind": "driver",
        "name": record.name,
        "engine": record.engine,
        "local_epoch": record.local_epoch,
        "global_epoch": record.global_epoch,
    }
    if record.runs:
        document["runs"] = [list(run) for run in record.runs]
    return document


def _document_of_aggregate(record: AggregateRecord) -> Document:
    document: Document = {
        "kind": "aggregate",
        "id": record.id,
        "scope": record.scope,
        "since": record.since,
        "released": record.released,
    }
    if record.forgotten:
        document["forgotten"] = True
    return document


def to_record(document: Document) -> Record:
    """The record of a document. Raises KeyError, TypeError or ValueError if it is not one."""
    match document["kind"]:
        case "lease":
            pool, address, kind, driver, epoch, granted, released = _of_lease(document)
            # Interned, because 100,000 leases name few pools and drivers.
            lease = LeaseRecord(
                intern(pool),
                address,
                LEASE_KINDS[kind],
                intern(driver),
                epoch,
                granted,
                released,
                document.get("named", False),
            )
            sharers = document.get("sharers")
            if sharers is None:
                return lease
            return lease._replace(sharers=tuple(Sharer(*sharer) for sharer in sharers))
        case "pool":
            return _pool_in(document)
        case "driver":
            return _driver_in(document)
        case "aggregate":
            return _aggregate_in(document)
        case "node":
            return NodeRecord(document["name"], document["draining"], document["forgotten"])
        case kind:
            raise ValueError(f"{kind!r} is not a kind of document")


def _pool_in(document: Document) -> PoolRecord:
    return PoolRecord(
        document["id"],
        document["scope"],
        document["label"],
        document["tags"],
        tuple(Claim(*claim) for claim in document["claims"]),
        document["created"],
        document["released"],
        document.get("shared", False),
        # Interned, because many pools name few aggregates.
        intern(document.get("aggregate", "")),
        document.get("follows_swarm", False),
    )


def _aggregate_in(document: Document) -> AggregateRecord:
    return AggregateRecord(
        document["id"],
        document["scope"],
        document["since"],
        document["released"],
        document.get("forgotten", False),
    )


def _driver_in(document: Document) -> DriverRecord:
    return DriverRecord(
        document["name"],
        document["engine"],
        document["local_epoch"],
        document["global_epoch"],
        tuple(Run(*run) for run in document.get("runs", ())),
    )


def names_in(content: bytes) -> list[bytes]:
    """The addresses of leases, ids of pools and driver names in the JSON of documents, each as the
    JSON of a string. Takes a fifth of the time that decoding the documents would."""
    return _NAME.findall(content)


def change_to_json(change: Change) -> list[Any]:
    """A change as the JSON array that is written to a journal."""
    if isinstance(change, Put):
        return ["put", to_document(change.record)]
    match change.key:
        case LeaseKey(subnet, address):
            return ["delete", "lease", subnet, address]
        case PoolKey(pool_id):
            return ["delete", "pool", pool_id]
        case DriverKey(name):
            return ["delete", "driver", name]
        case AggregateKey(aggregate_id):
            return ["delete", "aggregate", aggregate_id]
        case NodeKey(name):
            return ["delete", "node", name]


def change_from_json(item: list[Any]) -> Change:
    """The change that such an array stands for. Raises KeyError, TypeError, IndexError or
    ValueError if it is not one."""
    if item[0] == "put":
        return Put(to_record(item[1]))
    key: Key
    match item:
        case ["delete", "pool", str(pool_id)]:
            key = PoolKey(pool_id)
        case ["delete", "lease", str(subnet), str(address)]:
            key = LeaseKey(subnet, address)
        case ["delete", "driver", str(name)]:
            key = DriverKey(name)
        case ["delete", "aggregate", str(aggregate_id)]:
            key = AggregateKey(aggregate_id)
        case ["delete", "node", str(name)]:
            key = NodeKey(name)
        case _:
            raise ValueError(f"{item[0]!r} is not a kind of change")
    return Delete(key)
