"""The process that serves a node: at most one at a time, named in a document of that node."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from itertools import count
from uuid import uuid4

import pymongo
from bson.timestamp import Timestamp
from pymongo import UpdateMany, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

from pyipam import log
from pyipam.store.mongodb.connection import pause
from pyipam.store.mongodb.documents import (
    Filter,
    RecordCodec,
    StoredDocument,
    aggregates_of_node,
)
from pyipam.store.mongodb.error_codes import SNAPSHOT_UNAVAILABLE
from pyipam.store.mongodb.fencing import Forgotten, Removed, Superseded
from pyipam.store.mongodb.marks import MARKS, decode_mark
from pyipam.store.mongodb.session import end_sessions
from pyipam.store.mongodb.snapshot import Snapshot, Wanted, read_snapshot
from pyipam.store.mongodb.writes import Write
from pyipam.store.pool_id import NO_NODE

# How often a node says that it lives, and how long that may take.
BEAT_SECONDS = 30.0
_BEAT_TIMEOUT_SECONDS = 5.0
# By the clock of the database: those of the nodes may differ.
_SEEN = {"$currentDate": {"seen": True}}
# For how long after a proof that this process serves its node a single write may go without the
# condition that it still does. The aggregates of a forgotten node rest for longer.
PROOF_LASTS_SECONDS = 60.0


def now() -> float:
    """Seconds since the host was started. Unlike the monotonic clock, this goes on while the host
    is suspended: afterwards, another node may have what this one had."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Presence:
    """This process in the document of its node. Requires no lock."""

    def __init__(self, database: Database[StoredDocument], codec: RecordCodec) -> None:
        self.process = uuid4().hex
        self._database = database
        self._codec = codec
        self._touches = count(1)
        self._last_beat = now()
        self._proven_at = float("-inf")

    # The proof that the database still has this process as the one that serves the node

    def is_proven_lately(self) -> bool:
        """Whether it was proven so lately that nobody can have what the node had."""
        return now() - self._proven_at < PROOF_LASTS_SECONDS

    def prove(self, at: float) -> None:
        """Know that it was proven by what was asked of the database at this time (see `now`)."""
        self._proven_at = max(self._proven_at, at)

    def make_fence(self) -> Write:
        """A write that has to find this process as the one that serves the node, and always changes
        a document: in a transaction with it, no earlier commit of the same session whose outcome is
        unknown can take effect any more."""
        own = {"_id": self._codec.node, "process": self.process}
        return Write("nodes", (UpdateOne(own, {"$inc": {"fence": 1}}),), must_match=True)

    def take_over(self, nodes: Collection[str]) -> Write:
        """A write that ends that other processes serve these nodes, until they start again: what
        they know of the nodes does not hold any more."""
        named: Filter = {"_id": {"$in": sorted(nodes)}}
        return Write("nodes", (UpdateMany(named, {"$set": {"process": self.process}}),))

    def check(self, session: ClientSession | None = None) -> None:
        """Raises Fenced if this process no longer serves the node, or PyMongoError."""
        only: Filter = {"_id": self._codec.node}
        node = self._database.nodes.find_one(only, session=session)
        if node is not None and node.get("process") == self.process:
            return
        mark = self._database.marks.find_one(only | MARKS, session=session)
        if mark is not None and mark["forgotten"] is not None:
            raise Forgotten(decode_mark(mark))
        raise Removed if node is None else Superseded

    # The document of the node

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
        began = now()
        nodes.update_one({"_id": node}, {"$set": registration, **_SEEN}, upsert=True)
        self._last_beat = began
        self.prove(began)
        # From here on no other process can claim an aggregate for the node.
        kept: Filter = {**aggregates_of_node(node), "forgotten": {"$ne": True}}
        self._database.aggregates.update_many(kept, {"$set": {"process": self.process}})

    def beat(self) -> None:
        """Let others see that this node lives, if the last time is long enough ago. Raises Fenced
        or PyMongoError."""
        began = now()
        if began - self._last_beat < BEAT_SECONDS:
            return
        self._last_beat = began
        with pymongo.timeout(_BEAT_TIMEOUT_SECONDS):
            own = {"_id": self._codec.node, "process": self.process}
            if self._database.nodes.update_one(own, _SEEN).matched_count:
                self.prove(began)
            else:
                self.check()

    def read_snapshot(self, wanted: Wanted) -> Snapshot:
        """The present state of the database, with what is wanted of it.

        Raises StateCorrupted, Fenced or PyMongoError.
        """
        touch = next(self._touches)
        not_before = self._touch(touch)
        while True:
            with self._database.client.start_session(snapshot=True) as session:
                try:
                    if self._is_touched(touch, session):
                        return read_snapshot(
                            self._database, session, self._codec, wanted, not_before
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
                self.check(session)
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
    present = database.client.admin.command("hello")["localTime"]
    return {
        # A plugin of an older version does not say that it lives.
        str(node["_id"]): (present - node["seen"]).total_seconds() if "seen" in node else None
        for node in nodes
    }
