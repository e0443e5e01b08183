"""The versions of the plan: who creates or deletes a pool makes the next one.

The last versions lie in a ring of documents. A version takes the place of the one that is a whole
round older, and only if that is what lies there: so of several nodes that saw the same version,
one makes the next, and the others must learn first. Whoever missed some reads those alone; whoever
missed a round reads every pool anew. Nothing grows, and nothing must be tidied up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne

from pyipam.store.mongodb.documents import Document, Names
from pyipam.store.mongodb.knowledge import PlanNews
from pyipam.store.records import Change, Delete, PoolKey, PoolRecord, Put

ROUND = 8192
# More than these are not written into one document: everybody reads every pool anew instead.
_LARGEST = 1000


class MissedTooMuch(Exception):
    """What was missed can no longer be told: every pool is to be read anew."""


def make_version(
    version: int, writer: str, changes: Sequence[Change], names: Names
) -> ReplaceOne[Document]:
    """The write that makes this version, and fails with a duplicate key where it was made."""
    document: Document = {"version": version, "writer": writer, "puts": [], "deletes": []}
    if len(changes) > _LARGEST:
        document["reread"] = True
        changes = ()
    for change in changes:
        match change:
            case Put(PoolRecord() as pool):
                document["puts"].append(names.pool_document(pool))
            case Delete(PoolKey(pool_id)):
                document["deletes"].append(names.stored_id(pool_id))
    replaced = {"_id": version % ROUND, "version": version - ROUND}
    return ReplaceOne(replaced, document, upsert=True)


def versions_after(version: int) -> Document:
    """The filter of the versions that somebody at this one has missed."""
    return {"version": {"$gt": version}}


def to_news(document: Document, writer: str, names: Names) -> PlanNews:
    """What a version changed, as others are to be told; nothing, if they made it themselves.

    Raises MissedTooMuch where it does not say.
    """
    version: int = document["version"]
    if document["writer"] == writer:
        return PlanNews(version, ())
    if document.get("reread"):
        raise MissedTooMuch
    puts: list[Any] = [Put(names.pool(pool)) for pool in document["puts"]]
    deletes = [Delete(PoolKey(names.known_id(stored))) for stored in document["deletes"]]
    return PlanNews(version, (*deletes, *puts))


def check_unbroken(version: int, missed: Sequence[PlanNews]) -> None:
    """Raises MissedTooMuch unless these are the versions that follow."""
    if missed and missed[0].version != version + 1:
        raise MissedTooMuch
