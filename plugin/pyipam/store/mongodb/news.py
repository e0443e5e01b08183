"""What other nodes change, as the database tells it: a change stream, followed in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from bson.timestamp import Timestamp
from pymongo.database import Database
from pymongo.errors import OperationFailure

from pyipam.store.mongodb.documents import Document, Names
from pyipam.store.mongodb.error_codes import STREAM_INTERRUPTED
from pyipam.store.mongodb.knowledge import News
from pyipam.store.mongodb.presence import Superseded
from pyipam.store.mongodb.versions import MissedTooMuch, to_news
from pyipam.store.records import Delete, Put

_AWAIT_MILLISECONDS = 500


class Follower:
    """Follows the versions of the plan and the leases in the local pools of other nodes."""

    def __init__(
        self, database: Database[Document], names: Names, process: str, take: Callable[[News], None]
    ) -> None:
        self._database = database
        self._names = names
        self._process = process
        self._take = take
        self._token: Mapping[str, Any] | None = None
        self._transaction: object = None
        self._held_back: list[News] = []

    def follow(self, since: Timestamp, stopping: threading.Event) -> None:
        """Take in what changed since that time, or since this was called last, until told to stop.

        Raises MissedTooMuch when that can no longer be told, Superseded, or PyMongoError; after
        the latter, calling again goes on where it ended.
        """
        start: dict[str, Any] = {"start_at_operation_time": since}
        if self._token is not None:
            start = {"resume_after": self._token}
        try:
            with self._database.watch(
                [{"$match": self._filter()}], max_await_time_ms=_AWAIT_MILLISECONDS, **start
            ) as stream:
                while stream.alive and not stopping.is_set():
                    event = stream.try_next()
                    if event is None:
                        self._end_transaction()
                    else:
                        self._take_event(event)
                    self._token = stream.resume_token
        except OperationFailure as error:
            # The client has tried to resume. What cannot be resumed has a past that is gone.
            if (
                error.has_error_label("ResumableChangeStreamError")
                or error.code in STREAM_INTERRUPTED
            ):
                raise
            raise MissedTooMuch from error
        if not stopping.is_set():
            raise MissedTooMuch

    def forget_place(self) -> None:
        """Begin the next time at the time given then."""
        self._token = None
        self._held_back.clear()

    def _filter(self) -> Document:
        others = self._names.leases_of_others["_id"]
        return {
            "$or": [
                {"ns.coll": "versions"},
                {"ns.coll": "leases", "documentKey._id": others},
                {"ns.coll": "nodes", "documentKey._id": self._names.node},
                {"operationType": {"$in": ["drop", "rename", "dropDatabase", "invalidate"]}},
            ]
        }

    def _take_event(self, event: Mapping[str, Any]) -> None:
        transaction = event.get("lsid"), event.get("txnNumber")
        if transaction != self._transaction:
            self._end_transaction()
            self._transaction = transaction
        self._take_change(event)
        if "txnNumber" not in event:
            self._end_transaction()

    def _take_change(self, event: Mapping[str, Any]) -> None:
        kind = event["operationType"]
        if kind not in ("insert", "replace", "update", "delete"):
            raise MissedTooMuch
        match event["ns"]["coll"], kind:
            case "versions", "insert" | "replace":
                self._take(to_news(event["fullDocument"], self._process, self._names))
            case "leases", "insert" | "replace":
                self._held_back.append(Put(self._names.lease(event["fullDocument"])))
            case "leases", "delete":
                self._held_back.append(Delete(self._names.lease_key(event["documentKey"]["_id"])))
            case "nodes", _:
                self._check_process(event)

    def _end_transaction(self) -> None:
        """Take in the leases of a transaction: behind its version, which is written last, but
        tells of the pools that they are in."""
        for item in self._held_back:
            self._take(item)
        self._held_back.clear()

    def _check_process(self, event: Mapping[str, Any]) -> None:
        changed = event.get("updateDescription", {}).get("updatedFields", {})
        changed = event.get("fullDocument") or changed
        if changed.get("process", self._process) != self._process:
            raise Superseded
