"""What a deployment of MongoDB has to be to store a plan, and how its database is prepared.

Collections and indexes are created at first use, if necessary by several nodes at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from pyipam.errors import StateCorrupted, Unavailable
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.documents import StoredDocument
from pyipam.store.mongodb.error_codes import NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND

# The version of the format in which the collections are written.
DATABASE_FORMAT: Final = 2
# The format before, in which the versions of the pool set were in a collection of their own, and
# there were no aggregates.
_FORMER_FORMAT = 1
_FORMER_VERSIONS = "versions"
_CLOSED = "versions_closed"

_COLLECTIONS = (
    "format",
    "nodes",
    "marks",
    "drivers",
    "pools",
    "leases",
    "aggregates",
    "aggregate_leases",
    "orphans",
)
# MongoDB 5.0, the first version that reads snapshots outside of transactions.
_MIN_WIRE_VERSION = 13


def check_deployment(database: Database[StoredDocument], address: StoreAddress) -> None:
    """Raises Unavailable unless it is a replica set that loses nothing when it loses a member, and
    PyMongoError if it does not answer."""
    hello = database.client.admin.command("hello")
    reason = _why_unsuitable(hello)
    if reason is not None:
        raise Unavailable(f"the store {address} cannot be used: {reason}")


def _why_unsuitable(hello: Mapping[str, Any]) -> str | None:
    if "setName" not in hello:
        return (
            "it is a single server, where a crash loses what was given out; pyipam needs a "
            "replica set of three members"
        )
    if hello["maxWireVersion"] < _MIN_WIRE_VERSION:
        return "its version is too old; pyipam needs MongoDB 5.0 or newer"
    storing = len(hello.get("hosts", ())) + len(hello.get("passives", ()))
    members = storing + len(hello.get("arbiters", ()))
    if storing < members // 2 + 1:
        return (
            f"only {storing} of its {members} members store data, so no write ever reaches a "
            "majority; pyipam needs a replica set of three members that store data"
        )
    return None


def prepare_database(database: Database[StoredDocument], address: StoreAddress) -> None:
    """Create the collections and indexes, if they do not exist, and bring a database of the former
    format into the present one.

    Raises StateCorrupted if the database is in another format, or PyMongoError.
    """
    written = database.format.find_one({"_id": "pyipam"})
    if written is None:
        _create_collections(database)
        with suppress(DuplicateKeyError):
            database.format.insert_one({"_id": "pyipam", "version": DATABASE_FORMAT})
        written = database.format.find_one({"_id": "pyipam"})
    if written is not None and written.get("version") == _FORMER_FORMAT:
        _leave_former_format(database)
        written = database.format.find_one({"_id": "pyipam"})
    version = None if written is None else written.get("version")
    if version != DATABASE_FORMAT:
        raise StateCorrupted(
            f"the store {address} is in format {version}, and this program knows format "
            f"{DATABASE_FORMAT}: run the version of the plugin that the other nodes run"
        )


def _create_collections(database: Database[StoredDocument]) -> None:
    for name in _COLLECTIONS:
        _create_collection(database, name)
    database.leases.create_index(
        [("exclusive", ASCENDING)],
        unique=True,
        partialFilterExpression={"exclusive": {"$exists": True}},
    )
    _create_index_of_versions(database)


def _create_collection(database: Database[StoredDocument], name: str, **options: Any) -> None:
    try:
        database.create_collection(name, **options)
    except CollectionInvalid:
        # The client has seen that it exists.
        pass
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise


def _create_index_of_versions(database: Database[StoredDocument]) -> None:
    database.pools.create_index(
        [("stripe", ASCENDING), ("version", ASCENDING)],
        unique=True,
        partialFilterExpression={"stripe": {"$exists": True}},
    )


def _leave_former_format(database: Database[StoredDocument]) -> None:
    """Bring a database into the present format; several nodes may do so at once.

    The pools stay as they are, and their versions begin again. A plugin that works in the former
    format until now makes a version with each pool, in a collection that from one moment on refuses
    every document: it can create and delete no pool any more.
    """
    _create_collections(database)
    _create_collection(database, _CLOSED, validator={"$nor": [{}]})
    try:
        database[_CLOSED].rename(_FORMER_VERSIONS, dropTarget=True)
    except OperationFailure as error:
        # Another node has just done it.
        if error.code != NAMESPACE_NOT_FOUND:
            raise
    database.format.update_one(
        {"_id": "pyipam", "version": _FORMER_FORMAT}, {"$set": {"version": DATABASE_FORMAT}}
    )
