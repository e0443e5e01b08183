"""The versions of the pool set.

The pool set is all pools of all nodes that share the database. Whoever creates or deletes a pool
makes its next version, in the transaction that does so. A node can only make the version after the
one that it knows: of several nodes that try at once, one succeeds, and the others first have to
learn what it changed. This is how no two blocks ever overlap.

The collection `versions` is a ring: a version replaces the one VERSIONS_KEPT before it, so it never
grows. A node that has missed a few versions reads just those; a node that has missed more than the
ring holds reads all pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pymongo
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.store.mongodb.documents import RecordCodec, StoredDocument
from pyipam.store.records import Change, Delete, PoolKey, PoolRecord, Put

# Part of the database's format: every node must know the same number.
VERSIONS_KEPT: Final = 8192
# A version with more changes does not list them, so that it fits into a document.
_MAX_CHANGES_LISTED: Final = 1000


class MissedTooMuch(Exception):
    """What changed can no longer be determined: the current pools have to be read instead."""


@dataclass(frozen=True)
class PoolSetVersion:
    """A version of the pool set: the changes of pools that lead to it from the one before."""

    number: int
    changes: tuple[Change, ...]


def make_version(
    number: int, writer: str, changes: Sequence[Change], codec: RecordCodec
) -> ReplaceOne[StoredDocument]:
    """The write that makes this version. It fails with a duplicate key if another process was
    first. `writer` is the process that makes it."""
    document: StoredDocument = {"version": number, "writer": writer, "puts": [], "deletes": []}
    if len(changes) > _MAX_CHANGES_LISTED:
        document["reread"] = True
        changes = ()
    for change in changes:
        match change:
            case Put(PoolRecord() as pool):
                document["puts"].append(codec.encode_pool(pool))
            case Delete(PoolKey(pool_id)):
                document["deletes"].append(codec.encode_id(pool_id))
    replaced = {"_id": number % VERSIONS_KEPT, "version": number - VERSIONS_KEPT}
    return ReplaceOne(replaced, document, upsert=True)


def decode_version(document: StoredDocument, reader: str, codec: RecordCodec) -> PoolSetVersion:
    """The version in a document, without changes if the reading process made it itself.

    Raises MissedTooMuch if the document does not list its changes.
    """
    number: int = document["version"]
    if document["writer"] == reader:
        return PoolSetVersion(number, ())
    if document.get("reread"):
        raise MissedTooMuch
    deletes = [Delete(PoolKey(codec.decode_id(stored_id))) for stored_id in document["deletes"]]
    puts = [Put(codec.decode_pool(pool)) for pool in document["puts"]]
    return PoolSetVersion(number, (*deletes, *puts))


def read_versions_after(
    known: int,
    database: Database[StoredDocument],
    session: ClientSession,
    reader: str,
    codec: RecordCodec,
) -> list[PoolSetVersion]:
    """The versions after the one that is known, in order.

    Raises MissedTooMuch if the ring no longer holds all of them, or PyMongoError.
    """
    found = database.versions.find({"version": {"$gt": known}}, session=session)
    documents = list(found.sort("version", pymongo.ASCENDING))
    if documents and documents[0]["version"] != known + 1:
        raise MissedTooMuch
    return [decode_version(document, reader, codec) for document in documents]


def read_newest_version(database: Database[StoredDocument], session: ClientSession) -> int:
    """The number of the newest version; 0 if there has never been a pool. Raises PyMongoError."""
    newest = database.versions.find_one(sort=[("version", pymongo.DESCENDING)], session=session)
    return 0 if newest is None else int(newest["version"])
