"""The connection to a replica set: what is asked of it, what it must be, and what went wrong.

Everything is written to a majority of the members, journaled, and read from the primary as a
majority has it. Collections and indexes are made at first use, by several nodes at once if need
be; a document names the version of the format.
"""

from __future__ import annotations

import os
import random
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import ASCENDING, MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import (
    ConfigurationError,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from pyipam.errors import StateCorrupted, Unavailable
from pyipam.store.mongodb.address import StoreAddress, client_options
from pyipam.store.mongodb.documents import Document
from pyipam.store.mongodb.error_codes import ACCESS_DENIED, NAMESPACE_EXISTS

FORMAT = 1
COLLECTIONS = ("format", "nodes", "drivers", "pools", "leases", "versions")
MAJORITY = WriteConcern("majority", j=True)
_SNAPSHOTS_SINCE = 13  # the wire version of MongoDB 5.0
_LARGEST_PAUSE = 0.02

# A member that hangs is found out after the two together, and what waits for it is interrupted.
_TIMING = {"connectTimeoutMS": 3000, "heartbeatFrequencyMS": 2000, "maxPoolSize": 8}


def open_database(address: StoreAddress, folder: Path) -> Database[Document]:
    """The database at the address. Nothing is asked of it yet. Raises Unavailable."""
    # The client bounds every wait but the one for a name (resolv.conf(5): ten seconds a server).
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")
    try:
        options: dict[str, Any] = dict(client_options(address, folder))
        options |= {name: value for name, value in _TIMING.items() if not _has(address, name)}
        client = _client(address, options)
    except (ConfigurationError, InvalidURI, ValueError, TypeError, UserWarning) as error:
        raise Unavailable(f"the store {address} cannot be used: {_text(error, address)}") from None
    except OSError as error:
        raise Unavailable(
            f"the store {address} cannot be used: {error.strerror or error}"
        ) from error
    return client.get_database(
        address.database,
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=MAJORITY,
    )


def _client(address: StoreAddress, options: dict[str, Any]) -> MongoClient[Document]:
    with warnings.catch_warnings():
        # What it does not understand it would leave out: an option that was to protect something.
        warnings.simplefilter("error", UserWarning)
        return MongoClient(address.url, appname="pyipam", **options)


def check_deployment(database: Database[Document], address: StoreAddress) -> None:
    """Raises Unavailable unless it is a replica set that can lose a member and nothing else."""
    hello = database.client.admin.command("hello")
    reason = _why_unsuitable(hello)
    if reason is not None:
        raise Unavailable(f"the store {address} cannot be used: {reason}")


def _why_unsuitable(hello: Mapping[str, Any]) -> str | None:
    if "setName" not in hello:
        return "it is a single server, where a crash loses what was given out; pyipam needs a " + (
            "replica set of three members"
        )
    if hello["maxWireVersion"] < _SNAPSHOTS_SINCE:
        return "its version is too old; pyipam needs MongoDB 5.0 or newer"
    bearing = len(hello.get("hosts", ())) + len(hello.get("passives", ()))
    members = bearing + len(hello.get("arbiters", ()))
    if bearing < members // 2 + 1:
        return (
            f"only {bearing} of its {members} members store anything, so no write ever reaches a "
            "majority; pyipam needs a replica set of three members that do"
        )
    return None


def prepare(database: Database[Document], address: StoreAddress) -> None:
    """Make the collections and indexes, if they are not there. Raises StateCorrupted where the
    format is not this program's."""
    written = database.format.find_one({"_id": "pyipam"})
    if written is None:
        _make_collections(database)
        with suppress(DuplicateKeyError):
            database.format.insert_one({"_id": "pyipam", "version": FORMAT})
        written = database.format.find_one({"_id": "pyipam"})
    version = None if written is None else written.get("version")
    if version != FORMAT:
        raise StateCorrupted(
            f"the store {address} is of format {version}, this program knows format {FORMAT}: "
            "run the version of the plugin that the other nodes run"
        )


def _make_collections(database: Database[Document]) -> None:
    for name in COLLECTIONS:
        try:
            database.create_collection(name)
        except PyMongoError as error:
            if not _exists_already(error):
                raise
    database.leases.create_index(
        [("exclusive", ASCENDING)],
        unique=True,
        partialFilterExpression={"exclusive": {"$exists": True}},
    )
    database.versions.create_index([("version", ASCENDING)], unique=True)


def _exists_already(error: PyMongoError) -> bool:
    if isinstance(error, OperationFailure):
        return error.code == NAMESPACE_EXISTS
    return type(error).__name__ == "CollectionInvalid"


def pause() -> None:
    """Let another transaction, which stands in the way, come to its end."""
    time.sleep(random.uniform(0.001, _LARGEST_PAUSE))


def reason_of(error: PyMongoError, database: Database[Document], address: StoreAddress) -> str:
    """Why the database did not do what it was asked, in a few words that show no secret."""
    if isinstance(error, ServerSelectionTimeoutError):
        return why_no_primary(database, address)
    if isinstance(error, OperationFailure) and error.code in ACCESS_DENIED:
        return (
            f"{_text(error, address)}: STORE_CREDENTIALS_PATH must name a file with a username and "
            "a password that may read and write there; an upgrade of the plugin forgets it"
        )
    return _text(error, address)


def why_no_primary(database: Database[Document], address: StoreAddress) -> str:
    """What is known of each member, none of which is known to be the primary."""
    servers = database.client.topology_description.server_descriptions().values()
    states = sorted(
        _text(server.error, address) if server.error else f"{host}:{port} is no primary"
        for server in servers
        for host, port in [server.address]
    )
    return f"no primary can be reached: {'; '.join(states)}"


def _has(address: StoreAddress, option: str) -> bool:
    return f"{option}=".lower() in address.url.lower()


def _text(error: Exception, address: StoreAddress) -> str:
    text = str(error).partition(" (configured timeouts")[0].partition(", full error:")[0]
    for secret in (address.url, address.password):
        if secret:
            text = text.replace(secret, "***")
    return text
