"""What one process commits, in one logical session.

The server numbers what comes in a session, and refuses what is older than what it has seen there.
So when it is not known whether a commit reached the database, the next one makes sure that it can
no longer take effect: provided that the next one writes something, which the `fence` is for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pymongo
from bson.errors import BSONError
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern

from pyipam.store.mongodb.connection import MAJORITY, pause
from pyipam.store.mongodb.documents import Document
from pyipam.store.mongodb.error_codes import DUPLICATE_KEY, WRITE_REFUSED
from pyipam.store.mongodb.writes import Write

_TIME_TO_ABORT = 0.5
_STUCK_AFTER = 1.0
_LEAST_TIME = 0.001


class Collision(Exception):
    """A condition of the writes does not hold. Nothing of them is stored."""


class NotCommitted(Exception):
    """The database did not take the writes. Nothing of them is stored. The cause says why."""


class Unknown(Exception):
    """Nobody knows whether the writes are stored. The cause says why."""


class Deadline:
    """Until when a commit may go on."""

    def __init__(self, within: float) -> None:
        self._end = time.monotonic() + within

    @property
    def left(self) -> float:
        """Seconds, more than zero: a client that is given none waits for ever."""
        return max(self._end - time.monotonic(), _LEAST_TIME)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end


class Session:
    """Writes, all of them or none, one after another."""

    def __init__(self, database: Database[Document], node: str) -> None:
        self._database = database
        self._node = node
        self._session: ClientSession = database.client.start_session(causal_consistency=True)

    @property
    def client_session(self) -> ClientSession:
        """For reads that must see what the last write saw."""
        return self._session

    def write_alone(self, write: Write, deadline: Deadline) -> None:
        """One operation, in one round trip. Raises Collision, NotCommitted or Unknown."""
        try:
            with pymongo.timeout(deadline.left):
                self._write(write)
        except ServerSelectionTimeoutError as error:
            # Only raised when nothing was sent.
            raise NotCommitted from error
        except BulkWriteError as error:
            if _is_collision(error):
                raise Collision from error
            raise Unknown from error
        except OperationFailure as error:
            raise (NotCommitted if error.code in WRITE_REFUSED else Unknown) from error
        except PyMongoError as error:
            raise Unknown from error

    def write_together(self, writes: Sequence[Write], fence: bool, deadline: Deadline) -> None:
        """All the operations, in one transaction; with a fence, one that surely writes something.

        Raises Collision, NotCommitted or Unknown.
        """
        stuck_since = time.monotonic()
        while True:
            try:
                self._attempt(writes, fence, deadline)
                return
            except _Transient as error:
                if deadline.is_over:
                    raise NotCommitted from error.__cause__
            if time.monotonic() - stuck_since > _STUCK_AFTER:
                self._end_abandoned()
                stuck_since = time.monotonic()
            pause()

    def end(self) -> None:
        """Tell the server that nothing more comes, if it can be told at once."""
        with suppress(PyMongoError), pymongo.timeout(_TIME_TO_ABORT):
            self._session.end_session()

    def _attempt(self, writes: Sequence[Write], fence: bool, deadline: Deadline) -> None:
        with self._transaction(deadline):
            if fence:
                self._database.nodes.update_one(
                    {"_id": self._node}, {"$inc": {"fence": 1}}, upsert=True, session=self._session
                )
            for write in writes:
                self._write(write)
        self._finish(deadline)

    @contextmanager
    def _transaction(self, deadline: Deadline) -> Iterator[None]:
        """One that is open when the block ends, and ended when the block fails."""
        self._session.start_transaction(ReadConcern("majority"), MAJORITY)
        try:
            with pymongo.timeout(deadline.left):
                yield
        except BaseException as error:
            self._abort()
            if isinstance(error, BSONError):
                # It is too large for a document.
                raise NotCommitted from error
            if not isinstance(error, PyMongoError):
                raise
            if _is_collision(error):
                raise Collision from error
            if error.has_error_label("TransientTransactionError"):
                raise _Transient from error
            # It was not asked to commit.
            raise NotCommitted from error

    def _write(self, write: Write) -> None:
        result = self._database[write.collection].bulk_write(
            list(write.operations), session=self._session
        )
        found = result.matched_count + result.deleted_count
        if write.strict and found != len(write.operations):
            raise Collision

    def _finish(self, deadline: Deadline) -> None:
        while True:
            try:
                with pymongo.timeout(deadline.left):
                    self._session.commit_transaction()
                return
            except PyMongoError as error:
                if error.has_error_label("UnknownTransactionCommitResult"):
                    if deadline.is_over:
                        raise Unknown from error
                elif error.has_error_label("TransientTransactionError"):
                    raise _Transient from error
                else:
                    raise Unknown from error
            pause()

    def _abort(self) -> None:
        # Lets others go on at once. The next transaction of the session ends this one anyway.
        with suppress(PyMongoError), pymongo.timeout(_TIME_TO_ABORT):
            self._session.abort_transaction()

    def _end_abandoned(self) -> None:
        """A process that was killed, or a host that went down, in the middle of a transaction
        leaves behind what nobody else can write, for a minute. End what such a one has left."""
        idle = {
            "type": "idleSession",
            "transaction.timeInactiveMicros": {"$gt": int(_STUCK_AFTER * 1_000_000)},
        }
        with suppress(PyMongoError), pymongo.timeout(_STUCK_AFTER):
            ours = set(self._database.nodes.distinct("session"))
            found = self._database.client.admin.aggregate(
                [{"$currentOp": {"idleSessions": True}}, {"$match": idle}]
            )
            end_sessions(
                self._database,
                [item["lsid"]["id"] for item in found if item["lsid"]["id"] in ours],
            )


class _Transient(Exception):
    """The transaction did not come about, through no fault of what it was to write."""


def end_sessions(database: Database[Document], sessions: Sequence[Any]) -> None:
    """Let nothing that was begun in these sessions go on."""
    if sessions:
        database.client.admin.command({"killSessions": [{"id": session} for session in sessions]})


def _is_collision(error: PyMongoError) -> bool:
    if isinstance(error, BulkWriteError):
        return any(item["code"] == DUPLICATE_KEY for item in error.details["writeErrors"])
    return isinstance(error, DuplicateKeyError)
