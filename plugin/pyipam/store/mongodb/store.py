"""A plan in a MongoDB replica set that several nodes share.

Two nodes never hold the same address: a unique index ensures it. Their blocks never overlap:
whoever creates or deletes a pool, or claims an aggregate, makes the next versions of the pool set,
in the same transaction. What a node does inside its aggregates concerns no other node, which does
not even read it. See "Sharing one plan between nodes" in docs/architecture.md.

    format            the version of the format of all this
    nodes             a document for each node: the process that serves it, and the session of that
    marks             what operators said of nodes: a document for each of those
    drivers           a document for each driver name
    pools             a document for each pool outside of aggregates, and the last versions of the
                      pool set (see versions)
    leases            a document for each lease in those pools
    aggregates        a document for each aggregate, and for each pool in one
    aggregate_leases  a document for each lease in an aggregate
    orphans           how often leases without a pool were deleted (see orphans)
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
from pyipam.errors import StateCorrupted, StoreFailure
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.asking import CONNECT_TIMEOUT_SECONDS, asking
from pyipam.store.mongodb.catching_up import (
    everything_of_other_nodes,
    global_pool_differences,
)
from pyipam.store.mongodb.change_stream import Follower
from pyipam.store.mongodb.committing import Committer, Connect
from pyipam.store.mongodb.connection import open_database
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.deployment import check_deployment, prepare_database
from pyipam.store.mongodb.documents import ids_in
from pyipam.store.mongodb.fencing import Fenced, Forgotten
from pyipam.store.mongodb.lost_pools import give_up_lost_pools
from pyipam.store.mongodb.orphans import count_deletions, require_deletions
from pyipam.store.mongodb.presence import seconds_since_seen
from pyipam.store.mongodb.snapshot import Wanted, pools_in_aggregates
from pyipam.store.mongodb.versions import MissedTooMuch
from pyipam.store.pool_id import is_global
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Delete, NodeKey, Put, Record, key_of

_RETRY_INTERVAL_SECONDS = 0.5


class MongoDbStore:
    """The store of one node.

    Its lock guards what is known of the database, and is held for the whole of a commit. The
    methods say whether they take it; none of them may be called by who holds it.
    """

    shared = True

    def __init__(
        self, address: StoreAddress, node: str, folder: Path, connect: Connect = open_database
    ) -> None:
        """Connect in the background. Certificates are kept in the folder.

        Raises Unavailable if the address cannot be used, whatever is there.
        """
        self._address = address
        self._committer = Committer.connected(address, node, folder, connect)
        self._database = self._committer.database
        self._messages = self._committer.messages
        self._codec = self._committer.codec
        self._presence = self._committer.presence
        self._session = self._committer.session
        self._knowledge = self._committer.knowledge
        self._follower = Follower(
            self._database, self._codec, self._presence, self._knowledge.add_pending
        )
        self._lock = threading.Lock()
        self._follow_since: Timestamp | None = None
        self._loaded = threading.Event()
        # Why this process commits nothing any more, if it does not.
        self._fenced: Fenced | None = None

    # The interface of every store

    def load(self) -> list[Record]:
        """Every stored record. Raises Unavailable or StateCorrupted. Takes the lock."""
        with self._lock, asking(self._messages, CONNECT_TIMEOUT_SECONDS):
            check_deployment(self._database, self._address)
        with self._lock, asking(self._messages, COMMIT_TIMEOUT_SECONDS):
            prepare_database(self._database, self._address)
            self._presence.register(self._session.client_session)
            wanted = Wanted(leases={}, in_aggregates=self._codec.in_own_aggregates)
            snapshot = self._presence.read_snapshot(wanted)
            snapshot = give_up_lost_pools(
                self._committer, snapshot, Deadline(COMMIT_TIMEOUT_SECONDS)
            )
            self._knowledge.replace_all(snapshot)
            self._follow_since = snapshot.not_before
            self._loaded.set()
            return [
                *snapshot.marks,
                *snapshot.drivers,
                *snapshot.aggregates,
                *snapshot.pools,
                *snapshot.leases,
            ]

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Does nothing: a transaction is sent as a whole."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Store all of the changes on a majority of the members, or none of them.

        Raises StoreFailure, as Conflict or Uncertain if it is one of those. Takes the lock.
        """
        deadline = Deadline(within)
        with self._turn_to_commit(deadline):
            if changes:
                self._check_forgotten(changes)
                self._committer.commit(changes, deadline)

    def _check_forgotten(self, changes: Sequence[Change]) -> None:
        """Raise StoreFailure if this node was forgotten before it was loaded: then all that it may
        do is to say something of nodes."""
        if self._is_forgotten() and not all(
            isinstance(key_of(change), NodeKey) for change in changes
        ):
            raise StoreFailure(self._messages.forgotten())

    def _is_forgotten(self) -> bool:
        mark = self._knowledge.marks.get(self._codec.node)
        return mark is not None and mark.forgotten is not None

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
        with asking(self._messages, within):
            deletions = count_deletions(self._database, self._session.client_session)
        pools_are_sent = False
        with self._lock:
            self._knowledge.expect(last)
        try:
            for part in first:
                self.commit(part, within)
            deadline = Deadline(within)
            with self._turn_to_commit(deadline):
                self._check_forgotten(last)
                pools_are_sent = True
                self._committer.commit(last, deadline, require_deletions(deletions))
        except StoreFailure as error:
            if not (pools_are_sent and isinstance(error, Uncertain)):
                self._delete(first, within)
            raise
        finally:
            with self._lock:
                self._knowledge.expect(())

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
            if self._fenced is not None:
                raise StoreFailure(self._messages.fenced(self._fenced))
            yield
        except Fenced as reason:
            self._note_fenced(reason)
            raise StoreFailure(self._messages.fenced(reason)) from None
        finally:
            self._lock.release()

    def _note_fenced(self, reason: Fenced) -> None:
        """Commit nothing any more. That this node was forgotten counts for what it announces, too,
        before the change stream says so. Requires no lock."""
        self._fenced = reason
        if isinstance(reason, Forgotten):
            self._knowledge.add_pending(Put(reason.mark))

    def take_remote_changes(self) -> Sequence[Change]:
        """What other nodes changed in pools, and in leases in their local spaces. Takes the lock
        if there is anything."""
        if not self._knowledge.pending_count:
            return ()
        with self._lock:
            return self._knowledge.learn_pending()

    def await_remote_changes(self, within: float) -> bool:
        """See the protocol. Requires no lock."""
        if self._fenced is None:
            self._follower.ask(within)
        return self._knowledge.pending_count > 0

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> list[Record]:
        """Every record of the global space. Raises Unavailable. Takes the lock."""
        deadline = Deadline(within)
        with self._lock, asking(self._messages, deadline.seconds_left):
            snapshot = self._presence.read_snapshot(Wanted(leases=ids_in("global")))
            pools = [pool for pool in snapshot.pools if is_global(pool.id)]
            self._knowledge.replace_global_space(replace(snapshot, pools=pools))
            return [*pools, *snapshot.leases]

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """See the protocol. Requires no lock."""
        with asking(self._messages, CONNECT_TIMEOUT_SECONDS):
            return seconds_since_seen(self._database)

    def pools_in_aggregates(self) -> Mapping[str, int]:
        """See the protocol. Requires no lock."""
        with asking(self._messages, CONNECT_TIMEOUT_SECONDS):
            return pools_in_aggregates(self._database)

    def problem(self) -> str | None:
        """Why commits would fail now, as far as is known. Requires no lock."""
        if self._fenced is not None:
            return self._messages.fenced(self._fenced)
        if self._is_forgotten():
            return self._messages.forgotten()
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
            except Fenced as reason:
                self._note_fenced(reason)
                why = self._messages.fenced(reason)
                log.error("this process no longer serves its node", reason=why)
                return
            except (PyMongoError, StateCorrupted) as error:
                if not stopping.is_set():
                    why = self._messages.reason_of(error)
                    log.debug("cannot follow what other nodes change", reason=why)
                    stopping.wait(_RETRY_INTERVAL_SECONDS)

    def close(self) -> None:
        """End the connection. Nothing is committed afterwards. Requires no lock."""
        self._loaded.clear()
        self._committer.close()

    # Following other nodes

    def _follow(self, since: Timestamp, stopping: threading.Event) -> None:
        try:
            self._follower.follow(since, stopping)
        except MissedTooMuch:
            self._catch_up()

    def _catch_up(self) -> None:
        """Replace the pending changes by all that other nodes hold. Takes the lock, but not while
        it waits for the database.

        Nothing is replaced, and all of it has to be read again, where something newer has become
        known meanwhile: that may be in the snapshot or not. Most changes of pools make versions,
        which tell; those of claims in the global space make none, nor does the repair of one.
        """
        with self._lock:
            edition = self._knowledge.global_pools_edition
        with pymongo.timeout(COMMIT_TIMEOUT_SECONDS):
            wanted = Wanted(leases=self._codec.leases_of_other_nodes)
            snapshot = self._presence.read_snapshot(wanted)
        with self._lock:
            knowledge = self._knowledge
            is_older = any(map(gt, knowledge.versions, snapshot.versions))
            if is_older or knowledge.global_pools_edition != edition:
                return
            knowledge.replace_pending(
                everything_of_other_nodes(knowledge, snapshot),
                global_pool_differences(knowledge, snapshot),
            )
            self._follower.restart()
            self._follow_since = snapshot.not_before
