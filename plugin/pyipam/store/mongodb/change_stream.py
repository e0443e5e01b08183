"""What other nodes change, as a change stream of the database reports it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bson.timestamp import Timestamp
from pymongo.database import Database
from pymongo.errors import OperationFailure

from pyipam.store.mongodb.documents import Filter, RecordCodec, StoredDocument
from pyipam.store.mongodb.error_codes import STREAM_INTERRUPTED
from pyipam.store.mongodb.event_batches import Event, EventBatches, Start
from pyipam.store.mongodb.fencing import Superseded
from pyipam.store.mongodb.knowledge import RemoteChange
from pyipam.store.mongodb.marks import decode_numbered_mark
from pyipam.store.mongodb.presence import Presence
from pyipam.store.mongodb.rounds import Rounds
from pyipam.store.mongodb.versions import VERSION_IDS, MissedTooMuch, decode_version
from pyipam.store.records import Delete, Put

# How often the database is asked. It could also be waited for, but every write anywhere wakes every
# stream that waits, on the primary, whether it concerns the stream or not. With many nodes, that
# costs more than the writes. What a commit collides with is read at once (see committing), and who
# would be refused asks at once.
_INTERVAL_SECONDS = 0.5
# A first batch may have been waiting here; another one has what happened before it was asked for,
# but for the end of its last transaction.
_MAX_BATCHES = 3


class Follower:
    """Follows the versions of the pool set, the leases in the local pools of other nodes outside of
    aggregates, and what is said of nodes.

    For one thread, but for `ask`. Requires no lock.
    """

    def __init__(
        self,
        database: Database[StoredDocument],
        codec: RecordCodec,
        presence: Presence,
        deliver: Callable[[RemoteChange], None],
    ) -> None:
        """`presence` is the one of this process, which shows meanwhile that the node lives. Each
        change is passed to `deliver`."""
        self._database = database
        self._codec = codec
        self._presence = presence
        self._process = presence.process
        self._deliver = deliver
        self._rounds = Rounds()
        self._resume_token: Mapping[str, Any] | None = None
        self._transaction: object = None
        # The changes of leases in the present transaction.
        self._held_back: list[RemoteChange] = []

    def follow(self, since: Timestamp, stopping: threading.Event) -> None:
        """Deliver what changes after that time, or, if this was called before, after it returned;
        until the event is set.

        Raises MissedTooMuch if the database no longer knows what changed, Fenced, or
        PyMongoError. After the last, calling it again resumes the stream.
        """
        start: Start = {"startAtOperationTime": since}
        if self._resume_token is not None:
            start = {"resumeAfter": self._resume_token}
        try:
            with EventBatches(self._database, [{"$match": self._followed()}], start) as batches:
                while batches.is_open and not stopping.is_set():
                    with self._rounds.one():
                        self._handle_next(batches)
                    self._presence.beat()
                    self._rounds.wait_until_due(_INTERVAL_SECONDS)
        except OperationFailure as error:
            if (
                error.has_error_label("ResumableChangeStreamError")
                or error.code in STREAM_INTERRUPTED
            ):
                raise
            # The position of the stream is no longer in the oplog.
            raise MissedTooMuch from error
        if not stopping.is_set():
            raise MissedTooMuch

    def ask(self, within: float) -> None:
        """Let the database be asked now, and wait until everything is delivered that had happened
        before, for at most that many seconds. For any thread."""
        self._rounds.wait_for_one(within)

    def restart(self) -> None:
        """Start the next time at the time that is passed then."""
        self._resume_token = None
        self._held_back.clear()

    def _followed(self) -> Filter:
        return {
            "$or": [
                {
                    "ns.coll": "pools",
                    "documentKey._id": VERSION_IDS,
                    "fullDocument.writer": {"$ne": self._process},
                },
                {"ns.coll": "leases", "documentKey._id": self._codec.leases_of_other_nodes["_id"]},
                {"ns.coll": "nodes", "documentKey._id": self._codec.node},
                {"ns.coll": "marks"},
                {"operationType": {"$in": ["drop", "rename", "dropDatabase", "invalidate"]}},
            ]
        }

    def _handle_next(self, batches: EventBatches) -> None:
        """Handle what has happened, or at least begin to: it is only worth further round trips if
        somebody waits for it."""
        for _ in range(_MAX_BATCHES):
            events = batches.next()
            self._handle_batch(events)
            self._resume_token = batches.resume_token
            if not (events and batches.is_open and self._rounds.is_awaited):
                return

    def _handle_batch(self, events: Sequence[Event]) -> None:
        for event in events:
            self._handle(event)
        if not events:
            self._end_transaction()

    def _handle(self, event: Event) -> None:
        transaction = event.get("lsid"), event.get("txnNumber")
        if transaction != self._transaction:
            self._end_transaction()
            self._transaction = transaction
        self._handle_change(event)
        if "txnNumber" not in event:
            self._end_transaction()

    def _handle_change(self, event: Event) -> None:
        operation = event["operationType"]
        if operation not in ("insert", "replace", "update", "delete"):
            raise MissedTooMuch
        match event["ns"]["coll"], operation:
            case "pools", "insert" | "replace":
                self._deliver(decode_version(event["fullDocument"], self._process, self._codec))
            case "leases", "insert" | "replace":
                self._held_back.append(Put(self._codec.decode_lease(event["fullDocument"])))
            case "leases", "delete":
                key = self._codec.decode_lease_key(event["documentKey"]["_id"])
                self._held_back.append(Delete(key))
            case "marks", "insert" | "replace" if event["fullDocument"]["writer"] != self._process:
                self._deliver(decode_numbered_mark(event["fullDocument"]))
            case "nodes", _:
                self._check_process(event)

    def _end_transaction(self) -> None:
        """Deliver the leases of a transaction after its versions of the pool set, which are written
        last, but name the pools that the leases are in."""
        for change in self._held_back:
            self._deliver(change)
        self._held_back.clear()

    def _check_process(self, event: Event) -> None:
        changed = event.get("updateDescription", {}).get("updatedFields", {})
        changed = event.get("fullDocument") or changed
        if changed.get("process", self._process) != self._process:
            raise Superseded
