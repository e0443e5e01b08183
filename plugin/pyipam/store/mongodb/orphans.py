"""Leases whose pool has ended: a process that was killed wrote them late, and nobody knows of them.

A node that one of them stands in the way of deletes it. The leases of a large import come before
their pools, and look the same. So deletions are counted, before they happen, and an import only
succeeds if none was counted meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.store.mongodb.documents import Filter, StoredDocument
from pyipam.store.mongodb.writes import Write

_COUNTER: Filter = {"_id": "deleted"}


def count_deletions(database: Database[StoredDocument], session: ClientSession) -> int:
    """How many times leases without a pool were deleted so far. Raises PyMongoError."""
    return _add(database, session, 0)


def require_deletions(number: int) -> Write:
    """A write that collides if leases without a pool were deleted since this many times."""
    return Write(
        "orphans",
        (UpdateOne({**_COUNTER, "number": number}, {"$inc": {"imports": 1}}),),
        must_match=True,
    )


def one_more_deletion() -> Write:
    """A write that counts that leases without a pool are deleted in the same transaction."""
    return Write("orphans", (UpdateOne(_COUNTER, {"$inc": {"number": 1}}, upsert=True),))


def without_orphans(
    leases: Sequence[StoredDocument], database: Database[StoredDocument], session: ClientSession
) -> list[StoredDocument]:
    """The leases whose pool exists. The others are deleted. Raises PyMongoError."""
    pool_ids = _pool_ids_of(leases, database, session)
    if all(lease["pool"] in pool_ids for lease in leases):
        return list(leases)
    _add(database, session, 1)
    # The pools of an import may have come before that was counted. They cannot come after it.
    pool_ids = _pool_ids_of(leases, database, session)
    for lease in leases:
        if lease["pool"] not in pool_ids:
            same = {name: lease[name] for name in ("_id", "node", "epoch", "granted")}
            database.leases.delete_one(same, session=session)
    return [lease for lease in leases if lease["pool"] in pool_ids]


def _add(database: Database[StoredDocument], session: ClientSession, deletions: int) -> int:
    counter: StoredDocument | None = database.orphans.find_one_and_update(
        _COUNTER,
        {"$inc": {"number": deletions}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    assert counter is not None, "an upsert returns the document"
    return int(counter["number"])


def _pool_ids_of(
    leases: Sequence[StoredDocument], database: Database[StoredDocument], session: ClientSession
) -> set[str]:
    if not leases:
        return set()
    wanted: Filter = {"_id": {"$in": list({lease["pool"] for lease in leases})}}
    return set(database.pools.distinct("_id", wanted, session))
