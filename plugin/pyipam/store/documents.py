"""Records as the JSON documents that are stored, and back."""

from __future__ import annotations

import re
from operator import itemgetter
from sys import intern
from typing import Any

from pyipam.store.records import (
    Change,
    Claim,
    Delete,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseKind,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
)

Document = dict[str, Any]

_KINDS: dict[str, LeaseKind] = {
    "gateway": "gateway",
    "container": "container",
    "mirror": "mirror",
}
# How the JSON of every document begins.
DOCUMENT_START = b'{"kind":'
# What a document has its name in, and that as JSON. Inside of a text each quote is escaped.
_NAME = re.compile(rb'"(?:address|id|name)":("(?:[^"\\]|\\.)*")')
_of_lease = itemgetter("pool", "address", "use", "driver", "epoch", "granted", "released")


def to_document(record: Record) -> Document:
    """The document of a record; `kind` says which sort of record it is."""
    match record:
        case LeaseRecord():
            return {
                "kind": "lease",
                "pool": record.pool,
                "address": record.address,
                "use": record.kind,
                "driver": record.driver,
                "epoch": record.epoch,
                "granted": record.granted,
                "released": record.released,
            }
        case PoolRecord():
            return {
                "kind": "pool",
                "id": record.id,
                "scope": record.scope,
                "label": record.label,
                "tags": record.tags,
                "claims": [
                    [claim.driver, claim.epoch, claim.references] for claim in record.claims
                ],
                "created": record.created,
                "released": record.released,
            }
        case DriverRecord():
            return {
                "kind": "driver",
                "name": record.name,
                "engine": record.engine,
                "local_epoch": record.local_epoch,
                "global_epoch": record.global_epoch,
            }


def to_record(document: Document) -> Record:
    """The record of a document. Raises KeyError, TypeError or ValueError when it is none."""
    match document["kind"]:
        case "lease":
            pool, address, use, driver, epoch, granted, released = _of_lease(document)
            # Interned: a hundred thousand leases name few pools and drivers.
            return LeaseRecord(
                intern(pool), address, _KINDS[use], intern(driver), epoch, granted, released
            )
        case "pool":
            return PoolRecord(
                document["id"],
                document["scope"],
                document["label"],
                document["tags"],
                tuple(Claim(*claim) for claim in document["claims"]),
                document["created"],
                document["released"],
            )
        case "driver":
            return DriverRecord(
                document["name"],
                document["engine"],
                document["local_epoch"],
                document["global_epoch"],
            )
        case kind:
            raise ValueError(f"a document of unknown kind {kind!r}")


def names_in(text: bytes) -> list[bytes]:
    """The addresses, the ids of pools and the driver names, as JSON, of documents that stand in a
    piece of JSON. As much as can be known of them without reading it, at a fifth of the time."""
    return _NAME.findall(text)


def change_to_json(change: Change) -> list[Any]:
    """A change as it stands in a journal."""
    if isinstance(change, Put):
        return ["put", to_document(change.record)]
    match change.key:
        case LeaseKey(subnet, address):
            return ["delete", "lease", subnet, address]
        case PoolKey(pool_id):
            return ["delete", "pool", pool_id]
        case DriverKey(name):
            return ["delete", "driver", name]


def change_from_json(item: list[Any]) -> Change:
    """The reverse. Raises KeyError, TypeError, IndexError or ValueError when it is none."""
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
        case _:
            raise ValueError("a change of unknown kind")
    return Delete(key)
