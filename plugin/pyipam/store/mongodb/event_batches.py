"""The events of a change stream as the database sends them: in batches.

The stream of the client library hands out one event after the other, and waits for more as soon as
none is left. While others are busy, that is a round trip for nearly every event, in each node. Here
the caller sees where a batch ends, and decides when to ask for the next. Nothing is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from pyipam.store.mongodb.documents import StoredDocument

# An event, as the manual of MongoDB describes it under "Change Events".
Event = Mapping[str, Any]
# Where a stream begins, as an option of the stage $changeStream: a time, or the token of another
# stream, which it continues.
Start = Mapping[str, Any]

# What the cursor of a stream over a whole database belongs to.
_COLLECTION = "$cmd.aggregate"
_CLOSE_TIMEOUT_SECONDS = 0.5
# How long the database waits for something to happen, in milliseconds. It cannot not wait.
_SHORTEST_WAIT = 1


class EventBatches:
    """A change stream over a database. It ends with the block.

    For one thread. Requires no lock. Opening it and `next` raise PyMongoError.
    """

    def __init__(
        self, database: Database[StoredDocument], stages: Sequence[StoredDocument], start: Start
    ) -> None:
        """`stages` are those of the pipeline after $changeStream, which begins at `start`."""
        self._database = database
        self._session = database.client.start_session()
        pipeline = [{"$changeStream": start}, *stages]
        opened = self._run({"aggregate": 1, "pipeline": pipeline, "cursor": {}})
        self._unread: Sequence[Event] = opened["firstBatch"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(PyMongoError), pymongo.timeout(_CLOSE_TIMEOUT_SECONDS):
            if self.is_open:
                self._database.command(
                    {"killCursors": _COLLECTION, "cursors": [self._id]}, session=self._session
                )
            self._session.end_session()

    @property
    def is_open(self) -> bool:
        """Whether more may come. A stream ends by itself if the database is dropped."""
        return self._id != 0

    @property
    def resume_token(self) -> Mapping[str, Any]:
        """What another stream needs to continue after the last batch."""
        return self._resume_token

    def next(self) -> Sequence[Event]:
        """What has happened since the last batch; nothing if nothing has."""
        if self._unread:
            events, self._unread = self._unread, ()
            return events
        more = {"getMore": self._id, "collection": _COLLECTION, "maxTimeMS": _SHORTEST_WAIT}
        found: Sequence[Event] = self._run(more)["nextBatch"]
        return found

    def _run(self, command: StoredDocument) -> StoredDocument:
        answer = self._database.command(command, session=self._session)
        cursor: StoredDocument = answer["cursor"]
        self._id: int = cursor["id"]
        self._resume_token: Mapping[str, Any] = cursor["postBatchResumeToken"]
        return cursor
