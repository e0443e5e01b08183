"""This process as the one that serves its node, and what it reads: all of it as it was at one
moment, and never before what it knows to have been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

from bson.timestamp import Timestamp
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

from pyipam import log
from pyipam.errors import StateCorrupted
from pyipam.store.mongodb.connection import pause
from pyipam.store.mongodb.documents import Document, Names
from pyipam.store.mongodb.error_codes import SNAPSHOT_UNAVAILABLE
from pyipam.store.mongodb.session import end_sessions
from pyipam.store.records import DriverRecord, LeaseRecord, PoolRecord

Answer = TypeVar("Answer")


class Superseded(Exception):
    """Another process has begun to serve this node."""


@dataclass(frozen=True)
class Contents:
    """The database at one moment."""

    version: int
    pools: list[PoolRecord]
    leases: list[LeaseRecord]
    drivers: list[DriverRecord]


class Presence:
    """The document of this node, which names the process that serves it."""

    def __init__(self, database: Database[Document], names: Names) -> None:
        self.process = uuid4().hex
        self._database = database
        self._names = names
        self._touches = 0

    def register(self, session: ClientSession) -> None:
        """Let this process, which commits in the session, be the one that serves the node; what
        the former one has left unfinished is ended. Raises PyMongoError."""
        nodes, node = self._database.nodes, self._names.node
        former = nodes.find_one({"_id": node})
        if former is not None and former.get("process", self.process) != self.process:
            try:
                end_sessions(self._database, [former["session"]])
            except OperationFailure as error:
                # It ends by itself, in a minute.
                log.warning("cannot end what the last process left", reason=error.details)
        registration = {
            "process": self.process,
            "session": session.session_id["id"],
            "touches": self._touches,
        }
        nodes.update_one({"_id": node}, {"$set": registration}, upsert=True)

    def touch(self) -> Timestamp:
        """Write something, so that what is read next is the present: a member that has just
        become the primary learns what is present by writing. When that was, as the database
        counts time. Raises Superseded or PyMongoError."""
        self._touches += 1
        with self._database.client.start_session() as session:
            done = self._database.nodes.update_one(
                {"_id": self._names.node, "process": self.process},
                {"$max": {"touches": self._touches}},
                session=session,
            )
            if not done.matched_count:
                raise Superseded
            assert session.operation_time is not None
            return session.operation_time

    def read(self, collection: str, wanted: Document) -> Contents:
        """Everything, but of one collection only what a filter lets pass; as it was at one
        moment after the last touch. Raises StateCorrupted, Superseded or PyMongoError."""
        return self._at_one_moment(lambda session: self._contents({collection: wanted}, session))

    def _at_one_moment(self, read: Callable[[ClientSession], Answer]) -> Answer:
        while True:
            with self._database.client.start_session(snapshot=True) as session:
                try:
                    node = self._database.nodes.find_one({"_id": self._names.node}, session=session)
                    if node is not None and node["process"] != self.process:
                        raise Superseded
                    if node is not None and node["touches"] >= self._touches:
                        return read(session)
                except OperationFailure as error:
                    # A collection that was made a moment ago.
                    if error.code != SNAPSHOT_UNAVAILABLE:
                        raise
            pause()

    def _contents(self, wanted: dict[str, Document], session: ClientSession) -> Contents:
        newest = self._database.versions.find_one(sort=[("version", -1)], session=session)
        pools = self._records("pools", wanted, self._names.pool, session)
        ids = {pool.id for pool in pools}
        leases = self._records("leases", wanted, self._names.lease, session)
        return Contents(
            0 if newest is None else newest["version"],
            pools,
            [lease for lease in leases if lease.pool in ids],
            self._records("drivers", wanted, self._names.driver, session),
        )

    def _records(
        self,
        collection: str,
        wanted: dict[str, Document],
        to_record: Callable[[Document], Answer],
        session: ClientSession,
    ) -> list[Answer]:
        records = []
        found = self._database[collection].find(wanted.get(collection), session=session)
        for document in found:
            try:
                records.append(to_record(document))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise StateCorrupted(
                    f"the store is corrupted: document {document['_id']!r} of {collection} in the "
                    f"database {self._database.name} cannot be read ({error!r}). Nothing is given "
                    "out from it. Restore the database from a backup; see docs/operations.md"
                ) from error
        return records
