"""The process that serves a node: at most one at a time, named in a document of that node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from uuid import uuid4

import pymongo
from bson.timestamp import Timestamp
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

from pyipam import log
from pyipam.store.mongodb.connection import pause
from pyipam.store.mongodb.documents import Filter, RecordCodec, StoredDocument
from pyipam.store.mongodb.error_codes import SNAPSHOT_UNAVAILABLE
from pyipam.store.mongodb.session import end_sessions
from pyipam.store.mongodb.snapshot import Snapshot, read_snapshot
from pyipam.store.pool_id import NO_NODE

# How often a node says that it lives, and how long that may take.
BEAT_SECONDS = 30.0
_BEAT_TIMEOUT_SECONDS = 5.0
# By the clock of the database: those of the nodes may differ.
_SEEN = {"$currentDate": {"seen": True}}


class Superseded(Exception):
    """Another process has begun to serve this node."""


class Presence:
    """This process in the document of its node. Requires no lock."""

    def __init__(self, database: Database[StoredDocument], codec: RecordCodec) -> None:
        self.process = uuid4().hex
        self._database = database
        self._codec = codec
        self._touches = count(1)
        self._last_beat = time.monotonic()

    def register(self, session: ClientSession) -> None:
        """Let this process, which commits in the session, be the one that serves the node, and
        abort what the one before it has left unfinished. Raises PyMongoError."""
        nodes, node = self._database.nodes, self._codec.node
        former = nodes.find_one({"_id": node})
        if former is not None and former.get("process", self.process) != self.process:
            try:
                end_sessions(self._database, [former["session"]])
            except OperationFailure as error:
                # The server aborts it after a minute anyway.
                log.warning(
                    "cannot abort what the last process of this node left unfinished",
                    reason=error.details,
                )
        registration = {
            "process": self.process,
            "session": session.session_id["id"],
            "touches": 0,
        }
        nodes.update_one({"_id": node}, {"$set": registration, **_SEEN}, upsert=True)
        self._last_beat = time.monotonic()

    def beat(self) -> None:
        """Let others see that this node lives, if the last time is long enough ago. Raises
        PyMongoError."""
        if time.monotonic() - self._last_beat < BEAT_SECONDS:
            return
        self._last_beat = time.monotonic()
        with pymongo.timeout(_BEAT_TIMEOUT_SECONDS):
            own = {"_id": self._codec.node, "process": self.process}
            self._database.nodes.update_one(own, _SEEN)

    def withdraw(self) -> bool:
        """Remove the node, which holds nothing any more; whether no other process serves it by
        now. Raises PyMongoError."""
        node: Filter = {"_id": self._codec.node}
        self._database.nodes.delete_one({**node, "process": self.process})
        return self._database.nodes.find_one(node) is None

    def read_snapshot(self, leases: Filter) -> Snapshot:
        """The present state of the database, with the leases that the filter selects.

        Raises StateCorrupted, Superseded or PyMongoError.
        """
        touch = next(self._touches)
        not_before = self._touch(touch)
        while True:
            with self._database.client.start_session(snapshot=True) as session:
                try:
                    if self._is_touched(touch, session):
                        return read_snapshot(
                            self._database, session, self._codec, leases, not_before
                        )
                except OperationFailure as error:
                    # A collection was created a moment ago.
                    if error.code != SNAPSHOT_UNAVAILABLE:
                        raise
            pause()

    def _touch(self, touch: int) -> Timestamp:
        """Write to the node's document. Returns the time of that, as the database counts it.

        A member that has just become the primary may not know yet what is the latest state; having
        acknowledged a write, it does.
        """
        with self._database.client.start_session() as session:
            done = self._database.nodes.update_one(
                {"_id": self._codec.node, "process": self.process},
                {"$max": {"touches": touch}},
                session=session,
            )
            if not done.matched_count:
                raise Superseded
            assert session.operation_time is not None
            return session.operation_time

    def _is_touched(self, touch: int, session: ClientSession) -> bool:
        """Whether a snapshot session reads what was there at a touch, or later. Raises Superseded
        or PyMongoError."""
        node = self._database.nodes.find_one({"_id": self._codec.node}, session=session)
        if node is None:
            return False
        if node["process"] != self.process:
            raise Superseded
        return bool(node["touches"] >= touch)


def seconds_since_seen(database: Database[StoredDocument]) -> Mapping[str, float | None]:
    """For how long each node was not seen: see Store.seconds_since_seen. Raises PyMongoError."""
    nodes = list(database.nodes.find({"_id": {"$ne": NO_NODE}}, {"seen": True}))
    now = database.client.admin.command("hello")["localTime"]
    return {
        # A plugin of an older version does not say that it lives.
        str(node["_id"]): (now - node["seen"]).total_seconds() if "seen" in node else None
        for node in nodes
    }
