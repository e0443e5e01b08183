"""The versions of the pool set.

The pool set is all aggregates of all nodes that share the database, and all pools outside of them.
It has a version in each stripe of the address space (see `pyipam.space.stripes`). Whoever creates
or deletes a pool, or changes an aggregate, makes the next version of every stripe that it touches,
in the transaction that does so. A node can only make the version after the one that it knows: of
several nodes that try at once, one succeeds, and the others first have to learn what it changed.
Pools that overlap have a stripe in common: this is how no two blocks ever overlap. Pools of
different stripes are created side by side. Pools in aggregates make no version: their node alone
creates them, and nobody else knows them.

Whoever forgets a node makes the next version of every stripe, which says so: so the process of that
node learns it before it can make another one.

The last versions of a stripe are a ring of documents: a version replaces the one VERSIONS_KEPT
before it, so it never grows. A node that has missed a few versions reads just those; a node that
has missed more than the ring holds reads all pools. The documents are in the collection of the
pools, where their ids are numbers, so that a pool and its versions are written in one round trip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pymongo
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.space.stripes import STRIPES, stripes_of
from pyipam.store.mongodb.documents import (
    Filter,
    RecordCodec,
    StoredDocument,
)
from pyipam.store.mongodb.fencing import Forgotten
from pyipam.store.mongodb.marks import decode_mark, encode_mark
from pyipam.store.pool_id import parse_subnet_id, subnet_id_of
from pyipam.store.records import (
    AggregateKey,
    AggregateRecord,
    Change,
    Delete,
    Key,
    NodeRecord,
    PoolKey,
    PoolRecord,
    Put,
    key_of,
)

# Of each stripe. Part of the database's format: every node must know the same number.
VERSIONS_KEPT: Final = 512
# A version with more changes does not list them, so that it fits into a document.
_MAX_CHANGES_LISTED: Final = 1000

# The number of a version of each stripe.
Versions = tuple[int, ...]
NO_VERSIONS: Final[Versions] = (0,) * STRIPES

# The documents of the collection of pools that are versions, and those that are pools.
VERSION_IDS: Final = {"$gte": 0}
POOL_IDS: Final = {"$type": "string"}


class MissedTooMuch(Exception):
    """What changed can no longer be determined: the current pools have to be read instead."""


@dataclass(frozen=True)
class StripeVersion:
    """A version of one stripe: the changes of pools and aggregates there that lead to it from the
    one before.

    `together` are the versions that the same transaction made, by stripe, this one included: a
    change of what touches several stripes is listed in the version of each.
    """

    stripe: int
    number: int
    together: Mapping[int, int]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class PoolSetRead:
    """The versions of all stripes at a moment at which all pools were read, and the changes that
    lead there from what was known."""

    versions: Versions
    changes: tuple[Change, ...] = ()


def stripes_of_pool(pool_id: str) -> tuple[int, ...]:
    """The stripes that a pool, or an aggregate, touches, in ascending order."""
    return stripes_of(parse_subnet_id(subnet_id_of(pool_id))[1])


def stripes_of_key(key: Key) -> tuple[int, ...]:
    """The same of the key of either."""
    assert isinstance(key, PoolKey | AggregateKey)
    return stripes_of_pool(key.id)


def changes_by_stripe(changes: Iterable[Change]) -> dict[int, list[Change]]:
    """Changes of pools and aggregates, by each stripe that they touch, in ascending order of the
    stripes."""
    found: defaultdict[int, list[Change]] = defaultdict(list)
    for change in changes:
        for stripe in stripes_of_key(key_of(change)):
            found[stripe].append(change)
    return dict(sorted(found.items()))


def make_versions(
    known: Sequence[int],
    writer: str,
    changes: Mapping[int, Sequence[Change]],
    codec: RecordCodec,
    forgotten: NodeRecord | None = None,
) -> list[ReplaceOne[StoredDocument]]:
    """The writes that make the next version of each stripe that is changed. They fail with a
    duplicate key if another process was first. `known` are the versions that the changes were
    decided on, `writer` is the process that makes them, and `forgotten` what they say of the node
    that they forget, if they do."""
    together = {stripe: known[stripe] + 1 for stripe in changes}
    versions = (
        StripeVersion(stripe, number, together, tuple(changes[stripe]))
        for stripe, number in together.items()
    )
    documents = (_version_document(version, writer, codec) for version in versions)
    said = {} if forgotten is None else {"forgotten": encode_mark(forgotten)}
    return [_next_in_ring(document | said) for document in documents]


def _version_document(version: StripeVersion, writer: str, codec: RecordCodec) -> StoredDocument:
    stripe, number, changes = version.stripe, version.number, version.changes
    document: StoredDocument = {"stripe": stripe, "version": number, "writer": writer}
    if len(version.together) > 1:
        document["together"] = [list(item) for item in version.together.items()]
    document |= {"puts": [], "deletes": []}
    if len(changes) > _MAX_CHANGES_LISTED:
        document["reread"] = True
        changes = ()
    for change in changes:
        match change:
            case Put(PoolRecord() as pool):
                document["puts"].append(codec.encode_pool(pool))
            case Delete(PoolKey(pool_id)):
                document["deletes"].append(codec.encode_id(pool_id))
            case Put(AggregateRecord() as aggregate):
                document.setdefault("claimed", []).append(codec.encode_aggregate(aggregate))
            case Delete(AggregateKey(aggregate_id)):
                document.setdefault("released", []).append(codec.encode_aggregate_id(aggregate_id))
    return document


def _next_in_ring(document: StoredDocument) -> ReplaceOne[StoredDocument]:
    stripe, number = document["stripe"], document["version"]
    slot = stripe * VERSIONS_KEPT + number % VERSIONS_KEPT
    return ReplaceOne({"_id": slot, "version": number - VERSIONS_KEPT}, document, upsert=True)


def decode_version(document: StoredDocument, reader: str, codec: RecordCodec) -> StripeVersion:
    """The version in a document, without changes if the reading process made it itself.

    Raises MissedTooMuch if the document does not list its changes, and Forgotten if it forgets the
    node of that process.
    """
    stripe, number = document["stripe"], document["version"]
    together = dict(document.get("together", [[stripe, number]]))
    if document["writer"] == reader:
        return StripeVersion(stripe, number, together, ())
    forgotten = document.get("forgotten")
    if forgotten is not None and forgotten["_id"] == codec.node:
        raise Forgotten(decode_mark(forgotten))
    if document.get("reread"):
        raise MissedTooMuch
    return StripeVersion(stripe, number, together, tuple(_changes_in(document, codec)))


def _changes_in(document: StoredDocument, codec: RecordCodec) -> Iterator[Change]:
    for stored_id in document["deletes"]:
        yield Delete(PoolKey(codec.decode_id(stored_id)))
    for stored_id in document.get("released", ()):
        yield Delete(AggregateKey(codec.decode_aggregate_id(stored_id)))
    for pool in document["puts"]:
        yield Put(codec.decode_pool(pool))
    for aggregate in document.get("claimed", ()):
        yield Put(codec.decode_aggregate(aggregate))


def read_versions_after(
    known: Mapping[int, int],
    database: Database[StoredDocument],
    session: ClientSession,
    reader: str,
    codec: RecordCodec,
) -> list[StripeVersion]:
    """The versions after those that are known of some stripes, those of each stripe in order.

    Raises MissedTooMuch if the ring of one no longer holds all of them, Forgotten, or PyMongoError.
    """
    if not known:
        return []
    newer: Filter = {
        "$or": [{"stripe": stripe, "version": {"$gt": number}} for stripe, number in known.items()]
    }
    found = database.pools.find(newer, session=session)
    documents = list(found.sort([("stripe", pymongo.ASCENDING), ("version", pymongo.ASCENDING)]))
    expected = dict(known)
    for document in documents:
        expected[document["stripe"]] += 1
        if document["version"] != expected[document["stripe"]]:
            raise MissedTooMuch
    return [decode_version(document, reader, codec) for document in documents]


def read_newest_versions(database: Database[StoredDocument], session: ClientSession) -> Versions:
    """The newest version of each stripe; 0 where there has never been a pool. Raises
    PyMongoError."""
    found = database.pools.aggregate(
        [
            {"$match": {"_id": VERSION_IDS}},
            {"$group": {"_id": "$stripe", "newest": {"$max": "$version"}}},
        ],
        session=session,
    )
    newest = {document["_id"]: int(document["newest"]) for document in found}
    return tuple(newest.get(stripe, 0) for stripe in range(STRIPES))
