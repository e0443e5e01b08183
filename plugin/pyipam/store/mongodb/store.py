"""A plan in a MongoDB replica set that several nodes share.

Two nodes never hold the same address: a unique index ensures it. Their blocks never overlap:
whoever creates or deletes a pool makes the next versions of the pool set, in the same transaction.
See "Sharing one plan between nodes" in docs/architecture.md.

    format    the version of the format of all this
    nodes     a document for each node: the process that serves it, and the session of that
    drivers   a document for each driver name
    pools     a document for each pool, and the last versions of the pool set (see versions)
    leases    a document for each lease
    orphans   how often leases without a pool were deleted (see orphans)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from operator import gt
from pathlib import Path

import pymongo
from bson.timestamp import Timestamp
from pymongo.errors import PyMongoError

from pyipam import log
from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.catching_up import everything_of_other_nodes, with_newer_pools
from pyipam.store.mongodb.change_stream import Follower
from pyipam.store.mongodb.committing import Committer
from pyipam.store.mongodb.connection import open_database
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.deployment import check_deployment, prepare_database
from pyipam.store.mongodb.documents import RecordCodec, leases_in
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.messages import Messages
from pyipam.store.mongodb.orphans import count_deletions, require_deletions
from pyipam.store.mongodb.presence import Presence, Superseded, seconds_since_seen
from pyipam.store.mongodb.session import Session
from pyipam.store.mongodb.versions import MissedTooMuch
from pyipam.store.pool_id import OTHER_NODE_PREFIX, is_global
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Delete, Record, key_of

_CONNECT_TIMEOUT_SECONDS = 5.0
_CLOSE_TIMEOUT_SECONDS = 0.5
_RETRY_INTERVAL_SECONDS = 0.5


class MongoDbStore:
    """The store of one node.

    Its lock guards what is known of the database, and is held for the whole of a commit. The
    methods say whether they take it; none of them may be called by who holds it.
    """

    shared = True

    def __init__(self, address: StoreAddress, node: str, folder: Path) -> None:
        """Connect in the background. Certificates are kept in the folder.

        Raises Unavailable if the address cannot be used, whatever is there.
        """
        self._database = open_database(address, folder)
        self._address = address
        self._messages = Messages(self._database, address, node)
        self._codec = RecordCodec(node)
        self._presence = Presence(self._database, self._codec)
        self._session = Session(self._database)
        self._knowledge = Knowledge(self._codec)
        self._committer = Committer(
            self._database,
            self._codec,
            self._presence,
            self._session,
            self._knowledge,
            self._messages,
        )
        self._follower = Follower(
            self._database, self._codec, self._presence, self._knowledge.add_pending
        )
        self._lock = threading.Lock()
        self._follow_since: Timestamp | None = None
        self._loaded = threading.Event()
        self._superseded = False

    # The interface of every store

    def load(self) -> list[Record]:
        """Every stored record. Raises Unavailable or StateCorrupted. Takes the lock."""
        with self._lock, self._asking(_CONNECT_TIMEOUT_SECONDS):
            check_deployment(self._database, self._address)
        with self._lock, self._asking(COMMIT_TIMEOUT_SECONDS):
            prepare_database(self._database, self._address)
            self._presence.register(self._session.client_session)
            snapshot = self._presence.read_snapshot({})
            self._knowledge.replace_all(snapshot)
            self._follow_since = snapshot.not_before
            self._loaded.set()
            return [*snapshot.drivers, *snapshot.pools, *snapshot.leases]

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Does nothing: a transaction is sent as a whole."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Store all of the changes on a majority of the members, or none of them.

        Raises StoreFailure, as Conflict or Uncertain if it is one of those. Takes the lock.
        """
        deadline = Deadline(within)
        with self._turn_to_commit(deadline):
            if changes:
                self._committer.commit(changes, deadline)

    def commit_in_parts(
        self, parts: Sequence[Sequence[Change]], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> None:
        """Store the parts one after the other, each within this many seconds. The leases of all but
        the last count once the last one has put their pools.

        Raises StoreFailure as `commit` does, also if another node has deleted one of these leases
        meanwhile. Then those that are stored are deleted, unless it is unknown whether the last
        part was stored, with which they count. Takes the lock.
        """
        *first, last = parts
        with self._asking(within):
            deletions = count_deletions(self._database, self._session.client_session)
        pools_are_sent = False
        try:
            for part in first:
                self.commit(part, within)
            deadline = Deadline(within)
            with self._turn_to_commit(deadline):
                pools_are_sent = True
                self._committer.commit(last, deadline, require_deletions(deletions))
        except StoreFailure as error:
            if not (pools_are_sent and isinstance(error, Uncertain)):
                self._delete(first, within)
            raise

    def _delete(self, parts: Sequence[Sequence[Change]], within: float) -> None:
        """Delete leases whose pools were not stored, as far as that is possible: they do not count,
        but would keep others from the addresses. Takes the lock."""
        with suppress(StoreFailure):
            for part in parts:
                self.commit([Delete(key_of(change)) for change in part], within)

    @contextmanager
    def _turn_to_commit(self, deadline: Deadline) -> Iterator[None]:
        """Inside, the lock is held, and commits are possible. Raises StoreFailure."""
        if not self._lock.acquire(timeout=deadline.seconds_left):
            raise StoreFailure(self._messages.busy())
        try:
            if not self._loaded.is_set():
                raise StoreFailure(self._messages.not_loaded())
            if self._superseded:
                raise StoreFailure(self._messages.superseded())
            yield
        finally:
            self._lock.release()

    def take_remote_changes(self) -> Sequence[Change]:
        """What other nodes changed in pools, and in leases in their local spaces. Takes the lock
        if there is anything."""
        if not self._knowledge.pending_count:
            return ()
        with self._lock:
            return self._knowledge.learn_pending()

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> list[Record]:
        """Every record of the global space. Raises Unavailable. Takes the lock."""
        deadline = Deadline(within)
        with self._lock, self._asking(deadline.seconds_left):
            snapshot = self._presence.read_snapshot(leases_in("global"))
            pools = [pool for pool in snapshot.pools if is_global(pool.id)]
            self._knowledge.replace_global_space(replace(snapshot, pools=pools))
            return [*pools, *snapshot.leases]

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """See the protocol. Requires no lock."""
        with self._asking(_CONNECT_TIMEOUT_SECONDS):
            return seconds_since_seen(self._database)

    def withdraw(self) -> bool:
        """Remove this node, whose records were deleted; whether it is gone for good, which it is
        not if another process has begun to serve it. Raises Unavailable. Takes the lock."""
        with self._lock, self._asking(COMMIT_TIMEOUT_SECONDS):
            # Those of pools that ended without them: see orphans.
            self._database.leases.delete_many(leases_in(f"{OTHER_NODE_PREFIX}{self._codec.node}"))
            return self._presence.withdraw()

    def problem(self) -> str | None:
        """Why commits would fail now, as far as is known. Requires no lock."""
        if self._superseded:
            return self._messages.superseded()
        if self._database.client.topology_description.has_writable_server():
            return None
        return self._messages.no_answer(self._messages.no_primary())

    def run_background_work(self, stopping: threading.Event) -> None:
        """Follow what other nodes change, through fail-overs, until the event is set. Takes the
        lock for moments."""
        while not stopping.is_set():
            if not self._loaded.wait(_RETRY_INTERVAL_SECONDS) or self._follow_since is None:
                continue
            try:
                self._follow(self._follow_since, stopping)
            except Superseded:
                self._superseded = True
                log.error("another process serves this node", reason=self._messages.superseded())
                return
            except (PyMongoError, StateCorrupted) as error:
                if not stopping.is_set():
                    reason = self._messages.reason_of(error)
                    log.debug("cannot follow what other nodes change", reason=reason)
                    stopping.wait(_RETRY_INTERVAL_SECONDS)

    def close(self) -> None:
        """End the connection. Nothing is committed afterwards. Requires no lock."""
        self._loaded.clear()
        self._session.end()
        # The client tells the server, which may not answer.
        with pymongo.timeout(_CLOSE_TIMEOUT_SECONDS):
            self._database.client.close()

    # Following other nodes

    def _follow(self, since: Timestamp, stopping: threading.Event) -> None:
        try:
            self._follower.follow(since, stopping)
        except MissedTooMuch:
            self._catch_up()

    def _catch_up(self) -> None:
        """Replace the pending changes by all that other nodes hold. Takes the lock, but not while
        it waits for the database."""
        with self._lock:
            before = dict(self._knowledge.pools)
        with pymongo.timeout(COMMIT_TIMEOUT_SECONDS):
            snapshot = self._presence.read_snapshot(self._codec.leases_of_other_nodes)
        with self._lock:
            if any(map(gt, self._knowledge.versions, snapshot.versions)):
                return
            snapshot = with_newer_pools(snapshot, before, self._knowledge.pools)
            self._knowledge.replace_pending(everything_of_other_nodes(self._knowledge, snapshot))
            self._follower.restart()
            self._follow_since = snapshot.not_before

    @contextmanager
    def _asking(self, within: float) -> Iterator[None]:
        """Give what is asked of the database in the block this many seconds. Raises Unavailable."""
        try:
            with pymongo.timeout(within):
                yield
        except Superseded:
            raise Unavailable(self._messages.superseded()) from None
        except PyMongoError as error:
            raise Unavailable(self._messages.no_answer(self._messages.reason_of(error))) from error
