"""The logical session in which one process commits.

The server numbers the writes of a session and refuses one with a lower number than the last that
it has seen. So if the outcome of a commit is unknown, the next commit ensures that the first can
no longer take effect, provided that the next one writes something (see `make_fence` in presence).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.documents import StoredDocument
from pyipam.store.mongodb.error_codes import DUPLICATE_KEY, WRITE_REFUSED
from pyipam.store.mongodb.writes import Write

_ABORT_TIMEOUT_SECONDS = 0.5
# A transaction that has been idle for so long was abandoned by its process.
ABANDONED_AFTER_SECONDS = 1.0

# What has to hold in the transaction of some writes. It raises if it does not, or PyMongoError.
Check = Callable[[], None]


class Collision(Exception):
    """A condition of the writes does not hold. None of them is stored."""


class NotCommitted(Exception):
    """The database did not accept the writes. None of them is stored. The cause says why."""


class OutcomeUnknown(Exception):
    """It cannot be determined whether the writes are stored. The cause says why."""


class Session:
    """Commits writes, each time all of them or none. Every method requires the lock of the store,
    but for `end`."""

    def __init__(self, database: Database[StoredDocument]) -> None:
        self._database = database
        self._session: ClientSession = database.client.start_session(causal_consistency=True)

    @property
    def client_session(self) -> ClientSession:
        """For reads that have to see what the last write saw."""
        return self._session

    def write_alone(self, write: Write, deadline: Deadline) -> None:
        """Commit one operation, in one round trip. Raises Collision, NotCommitted or
        OutcomeUnknown."""
        try:
            with pymongo.timeout(deadline.seconds_left):
                self._write(write)
        except ServerSelectionTimeoutError as error:
            # It is raised only if nothing was sent.
            raise NotCommitted from error
        except BulkWriteError as error:
            if _is_collision(error):
                raise Collision from error
            raise OutcomeUnknown from error
        except OperationFailure as error:
            raise (NotCommitted if error.code in WRITE_REFUSED else OutcomeUnknown) from error
        except PyMongoError as error:
            raise OutcomeUnknown from error

    def write_together(self, writes: Sequence[Write], deadline: Deadline) -> list[int]:
        """Commit all the operations in one transaction; how many documents each write deleted.
        Raises Collision, NotCommitted or OutcomeUnknown."""
        waiting_since = time.monotonic()
        while True:
            try:
                return self._attempt(writes, deadline)
            except _TransientFailure as error:
                if deadline.is_over:
                    raise NotCommitted from error.__cause__
            if time.monotonic() - waiting_since > ABANDONED_AFTER_SECONDS:
                self.abort_abandoned()
                waiting_since = time.monotonic()
            pause()

    def try_together(
        self, writes: Sequence[Write], deadline: Deadline, check: Check | None = None
    ) -> list[int]:
        """The same in one attempt: another transaction in the way is a collision, too. The `check`
        reads in the same transaction before anything is written; what it raises ends that."""
        try:
            return self._attempt(writes, deadline, check)
        except _TransientFailure as error:
            raise Collision from error

    def end(self) -> None:
        """Tell the server that the session ends, if it can be told at once. Requires no lock."""
        with suppress(PyMongoError), pymongo.timeout(_ABORT_TIMEOUT_SECONDS):
            self._session.end_session()

    def _attempt(
        self, writes: Sequence[Write], deadline: Deadline, check: Check | None = None
    ) -> list[int]:
        with self._transaction(deadline):
            if check is not None:
                check()
            deleted = [self._write(write) for write in writes]
        self._commit_transaction(deadline)
        return deleted

    @contextmanager
    def _transaction(self, deadline: Deadline) -> Iterator[None]:
        """A transaction that is open when the block ends, and is aborted if the block fails."""
        self._session.start_transaction(ReadConcern("majority"), MAJORITY)
        try:
            with pymongo.timeout(deadline.seconds_left):
                yield
        except BaseException as error:
            self._abort_transaction()
            if isinstance(error, BSONError):
                # Something is too large for a document.
                raise NotCommitted from error
            if not isinstance(error, PyMongoError):
                raise
            if _is_collision(error):
                raise Collision from error
            if error.has_error_label("TransientTransactionError"):
                raise _TransientFailure from error
            # The commit was never requested.
            raise NotCommitted from error

    def _write(self, write: Write) -> int:
        """Send a write; how many documents it deleted."""
        result = self._database[write.collection].bulk_write(
            list(write.operations), session=self._session
        )
        found = result.matched_count + result.upserted_count + result.deleted_count
        if write.must_match and found != len(write.operations):
            raise Collision
        return int(result.deleted_count)

    def _commit_transaction(self, deadline: Deadline) -> None:
        while True:
            try:
                with pymongo.timeout(deadline.seconds_left):
                    self._session.commit_transaction()
                return
            except PyMongoError as error:
                if error.has_error_label("UnknownTransactionCommitResult"):
                    if deadline.is_over:
                        raise OutcomeUnknown from error
                elif error.has_error_label("TransientTransactionError"):
                    raise _TransientFailure from error
                else:
                    raise OutcomeUnknown from error
            pause()

    def _abort_transaction(self) -> None:
        # So that others need not wait. The next transaction of the session aborts this one anyway.
        with suppress(PyMongoError), pymongo.timeout(_ABORT_TIMEOUT_SECONDS):
            self._session.abort_transaction()

    def abort_abandoned(self) -> None:
        """Abort the transactions of processes that were killed, or whose hosts went down: until
        the server aborts them, after a minute, nobody can write what they have written."""
        abandoned = {
            "type": "idleSession",
            "transaction.timeInactiveMicros": {"$gt": int(ABANDONED_AFTER_SECONDS * 1_000_000)},
        }
        with suppress(PyMongoError), pymongo.timeout(ABANDONED_AFTER_SECONDS):
            of_nodes = set(self._database.nodes.distinct("session"))
            found = self._database.client.admin.aggregate(
                [{"$currentOp": {"idleSessions": True}}, {"$match": abandoned}]
            )
            end_sessions(
                self._database,
                [item["lsid"]["id"] for item in found if item["lsid"]["id"] in of_nodes],
            )


class _TransientFailure(Exception):
    """The transaction failed for a reason outside of its writes, and may succeed if repeated."""


def end_sessions(database: Database[StoredDocument], session_ids: Sequence[Any]) -> None:
    """Abort everything that was started in these sessions. Raises PyMongoError."""
    if session_ids:
        database.client.admin.command({"killSessions": [{"id": found} for found in session_ids]})


def _is_collision(error: PyMongoError) -> bool:
    if isinstance(error, BulkWriteError):
        return any(item["code"] == DUPLICATE_KEY for item in error.details["writeErrors"])
    return isinstance(error, DuplicateKeyError)
