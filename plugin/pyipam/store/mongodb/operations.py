"""Operations on single collections: a document is replaced where it is what is expected."""

from __future__ import annotations

from typing import NamedTuple

from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateMany, UpdateOne

from pyipam.store.mongodb.documents import Filter, StoredDocument

Operation = ReplaceOne[StoredDocument] | UpdateOne | UpdateMany | DeleteOne | DeleteMany


class KeyedOperation(NamedTuple):
    """An operation, the collection that it concerns, and whether it must match."""

    collection: str
    operation: Operation
    must_match: bool = False


def replacement(
    collection: str, replaced: Filter, document: StoredDocument | None
) -> KeyedOperation:
    """The replacement of a document, if it is there, by another, or its deletion if there is no
    other."""
    if document is None:
        return KeyedOperation(collection, DeleteOne(replaced))
    return KeyedOperation(collection, ReplaceOne(replaced, document))


def exact_replacement(
    collection: str, replaced: Filter, document: StoredDocument | None
) -> KeyedOperation:
    """The same of a document that has to be there."""
    return replacement(collection, replaced, document)._replace(must_match=True)


def upsert(collection: str, replaced: Filter, document: StoredDocument | None) -> KeyedOperation:
    """The same of a document that may not be there, and is created then."""
    if document is None:
        return KeyedOperation(collection, DeleteOne(replaced))
    return KeyedOperation(collection, ReplaceOne(replaced, document, upsert=True))
