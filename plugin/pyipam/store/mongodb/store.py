"""State in a MongoDB replica set that several nodes share.

Two nodes never hold the same address: a unique index keeps every exclusive one. Nor do blocks
overlap: whoever creates or deletes a pool makes the next version of the plan, in one transaction,
out of the one that it decided upon. What this process knows of others is a hint; the database
decides, and a conflict tells what was not known.

    format    the version of all this
    nodes     the process that serves each node, and its session
    drivers   the driver names and their epochs
    pools     a document for each pool      versions  what the last versions of the plan changed
    leases    a document for each lease
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pymongo
from bson.timestamp import Timestamp
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from pyipam import log
from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.conflicts import find_leases, find_pools
from pyipam.store.mongodb.connection import (
    check_deployment,
    open_database,
    pause,
    prepare,
    reason_of,
    why_no_primary,
)
from pyipam.store.mongodb.documents import GLOBAL, Names
from pyipam.store.mongodb.knowledge import Knowledge, News, PlanNews
from pyipam.store.mongodb.news import Follower
from pyipam.store.mongodb.presence import Contents, Presence, Superseded
from pyipam.store.mongodb.session import Collision, Deadline, NotCommitted, Session, Unknown
from pyipam.store.mongodb.versions import (
    MissedTooMuch,
    check_unbroken,
    make_version,
    to_news,
    versions_after,
)
from pyipam.store.mongodb.writes import Batch, Write, leases_in
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Delete, PoolKey, PoolRecord, Put, Record

_LOOK_EVERY = 0.5
_SECONDS_TO_FIND_IT = 5.0
_SECONDS_TO_CLOSE = 0.5
_OTHERS = "local@"


class MongoDbStore:
    """The store of one node. See the module for its collections."""

    shared = True

    def __init__(self, address: StoreAddress, node: str, folder: Path) -> None:
        """Connect in the background; certificates are kept in the folder.

        Raises Unavailable where the address cannot be one, whatever the database is.
        """
        self._address = address
        self._names = Names(node)
        self._database = open_database(address, folder)
        self._presence = Presence(self._database, self._names)
        self._lock = threading.Lock()
        self._session = Session(self._database, node)
        self._knowledge = Knowledge(self._names)
        self._news: deque[News] = deque()
        self._since: Timestamp | None = None
        self._loaded = threading.Event()
        self._superseded = False
        self._follower = Follower(
            self._database, self._names, self._presence.process, self._news.append
        )

    # The verbs

    def load(self) -> list[Record]:
        """Every stored record. Raises Unavailable, or StateCorrupted for another format."""
        with self._lock, self._asking(_SECONDS_TO_FIND_IT):
            check_deployment(self._database, self._address)
        with self._lock, self._asking(COMMIT_TIMEOUT_SECONDS):
            prepare(self._database, self._address)
            self._presence.register(self._session.client_session)
            self._since = self._presence.touch()
            contents = self._presence.read("leases", {})
            self._knowledge = Knowledge(self._names, contents.version)
            for pool in contents.pools:
                self._knowledge.note(Put(pool))
            for lease in contents.leases:
                self._knowledge.note(Put(lease))
            self._news.clear()
            self._loaded.set()
            return [*contents.drivers, *contents.pools, *contents.leases]

    def prewrite(self, changes: Sequence[Change]) -> None:
        """A transaction is sent as a whole."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Store the batch on a majority of the members. Raises StoreFailure, as Conflict or
        Uncertain where it is one of those."""
        deadline = Deadline(within)
        if not self._lock.acquire(timeout=deadline.left):
            raise StoreFailure(f"the change was not stored: {self._address} is busy; try again")
        try:
            self._check_may_commit()
            if changes:
                self._commit(Batch(changes), deadline)
        finally:
            self._lock.release()

    def take_remote_changes(self) -> Sequence[Change]:
        """What others changed in pools, and in leases of their local pools."""
        if not self._news:
            return ()
        with self._lock:
            return self._learn_news()

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> list[Record]:
        """Every record of the global space. Raises Unavailable."""
        deadline = Deadline(within)
        with self._lock, self._asking(deadline.left):
            self._presence.touch()
            contents = self._presence.read("leases", leases_in("global"))
            pools = [pool for pool in contents.pools if pool.id.startswith(GLOBAL)]
            self._knowledge.use_global_space(contents.version, pools, contents.leases)
            return [*pools, *contents.leases]

    def problem(self) -> str | None:
        """Why nothing can be committed now, as far as is known."""
        if self._superseded:
            return self._why_superseded()
        if self._database.client.topology_description.has_writable_server():
            return None
        return self._why_silent(why_no_primary(self._database, self._address))

    def run_background_work(self, stopping: threading.Event) -> None:
        """Follow what others change, through fail-overs."""
        while not stopping.is_set():
            if not self._loaded.wait(_LOOK_EVERY) or self._since is None:
                continue
            try:
                self._follow(self._since, stopping)
            except Superseded:
                self._superseded = True
                log.error("another process serves this node", reason=self._why_superseded())
                return
            except (PyMongoError, StateCorrupted) as error:
                if not stopping.is_set():
                    reason = self._reason(error)
                    log.debug("cannot follow what other nodes change", reason=reason)
                    stopping.wait(_LOOK_EVERY)

    def close(self) -> None:
        """End the connection. What was committed stays as it is."""
        self._loaded.clear()
        self._session.end()
        # It says goodbye to the server, for as long as it is let.
        with pymongo.timeout(_SECONDS_TO_CLOSE):
            self._database.client.close()

    # Committing

    def _check_may_commit(self) -> None:
        if not self._loaded.is_set():
            raise StoreFailure(f"nothing is stored in {self._address} before it was read whole")
        if self._superseded:
            raise StoreFailure(self._why_superseded())

    def _commit(self, batch: Batch, deadline: Deadline) -> None:
        while True:
            if self._news and batch.plan_changes(self._knowledge):
                self._raise_conflict(self._learn_news())
            try:
                self._store(batch, deadline)
                return
            except Collision:
                self._raise_conflict(self._learn(batch, deadline))
            except NotCommitted as error:
                raise StoreFailure(
                    f"the change could not be stored in {self._address} ({self._cause(error)}); "
                    "nothing has been done. Try again when the database answers"
                ) from error
            except Unknown as error:
                self._knowledge.doubt(batch.changes)
                raise Uncertain(
                    f"it is not known whether the change was stored in {self._address} "
                    f"({self._cause(error)}); if it was, it is taken back. Try again when the "
                    "database answers"
                ) from error
            if deadline.is_over:
                raise StoreFailure(
                    f"the change could not be stored in {self._address}: others were always "
                    "faster; nothing has been done. Try again"
                )
            pause()

    def _store(self, batch: Batch, deadline: Deadline) -> None:
        """Write the batch, and know it from then on. Raises Collision, NotCommitted, Unknown."""
        knowledge = self._knowledge
        writes = batch.writes(knowledge, self._names)
        plan_changes = batch.plan_changes(knowledge)
        if plan_changes:
            version = knowledge.version + 1
            next_version = make_version(version, self._presence.process, plan_changes, self._names)
            # Last: from here until the commit nobody else can make a version.
            writes.append(Write("versions", (next_version,)))
        if knowledge.in_doubt or len(writes) > 1 or len(writes[0].operations) > 1:
            # A version is a write that surely changes something.
            fence = knowledge.in_doubt and not plan_changes
            self._session.write_together(writes, fence, deadline)
        else:
            self._session.write_alone(writes[0], deadline)
        if plan_changes:
            knowledge.version += 1
        knowledge.settle()
        for change in batch.changes.values():
            knowledge.note(change)

    # Learning

    def _raise_conflict(self, learned: Sequence[Change]) -> None:
        if learned:
            raise Conflict(
                f"other nodes that share {self._address} changed the plan at the same moment; "
                "nothing has been done. Try again",
                tuple(learned),
            )

    def _learn_news(self) -> list[Change]:
        waiting = [self._news.popleft() for _ in range(len(self._news))]
        return list(self._knowledge.learn(waiting))

    def _learn(self, batch: Batch, deadline: Deadline) -> list[Change]:
        """What stood in the way of the batch, and what else is new there.

        In the session of the write that failed, so that it is seen what that has seen. What was
        missed comes last: the pool of each lease is then known, or has ended with it.
        """
        session = self._session.client_session
        try:
            with pymongo.timeout(deadline.left):
                where = self._database, self._names, self._knowledge, batch, session
                leases = find_leases(*where)
                pools = find_pools(*where)
                missed = self._missed(session)
        except Superseded:
            raise StoreFailure(self._why_superseded()) from None
        except PyMongoError as error:
            raise StoreFailure(
                f"the change was not stored in {self._address}: it collided with another, and "
                f"then the database was lost ({self._reason(error)}). Try again"
            ) from error
        learned = self._learn_news()
        learned += self._knowledge.learn([*pools, *missed, *leases])
        return learned

    def _missed(self, session: ClientSession) -> list[News]:
        """The versions since the one that is known; instead, where they are gone, what every
        pool is now."""
        version = self._knowledge.version
        found = self._database.versions.find(versions_after(version), session=session)
        try:
            documents = list(found.sort("version", pymongo.ASCENDING))
            missed = [to_news(item, self._presence.process, self._names) for item in documents]
            check_unbroken(version, missed)
        except MissedTooMuch:
            self._presence.touch()
            contents = self._presence.read("leases", {"_id": {"$in": []}})
            return [PlanNews(contents.version, tuple(self._differences(contents)))]
        return list(missed)

    # What was missed

    def _differences(self, contents: Contents) -> list[Change]:
        """What makes the pools that are known those that are stored. Nobody else changes the local
        ones of this node: what was read of them may be older than what is known."""
        known = {pool.id: pool for pool in self._knowledge.pools.values() if not _is_own(pool)}
        stored = {pool.id: pool for pool in contents.pools if not _is_own(pool)}
        return [
            *(Delete(PoolKey(pool_id)) for pool_id in known.keys() - stored.keys()),
            *(Put(pool) for pool in stored.values() if known.get(pool.id) != pool),
        ]

    def _follow(self, since: Timestamp, stopping: threading.Event) -> None:
        try:
            self._follower.follow(since, stopping)
        except MissedTooMuch:
            self._catch_up()

    def _catch_up(self) -> None:
        """Tell the core all that others hold, where it can no longer be told what they changed."""
        with self._lock:
            before = dict(self._knowledge.pools)
        with pymongo.timeout(COMMIT_TIMEOUT_SECONDS):
            since = self._presence.touch()
            contents = self._presence.read("leases", self._names.leases_of_others)
        with self._lock:
            if contents.version >= self._knowledge.version:
                self._news.clear()
                self._news.extend(self._anew(self._without_changed(contents, before)))
                self._follower.forget_place()
                self._since = since

    def _without_changed(self, contents: Contents, before: Mapping[str, PoolRecord]) -> Contents:
        """The contents, with what is known of the pools that this node has changed since."""
        known = self._knowledge.pools
        changed = {key for key, pool in known.items() if before.get(key) is not pool}
        read = (pool for pool in contents.pools if pool.id not in changed)
        return replace(contents, pools=[*read, *(known[key] for key in changed)])

    def _anew(self, contents: Contents) -> list[News]:
        """Everything that others hold. Their local pools are dropped, with all leases, and put
        again: nobody remembers which of these leases were told."""
        known = [pool_id for pool_id in self._knowledge.pools if pool_id.startswith(_OTHERS)]
        theirs = [pool for pool in contents.pools if pool.id.startswith(_OTHERS)]
        return [
            *(Delete(PoolKey(pool_id)) for pool_id in known),
            *self._differences(contents),
            *(Put(pool) for pool in theirs),
            *(Put(lease) for lease in contents.leases),
            PlanNews(contents.version, ()),
        ]

    # Saying what is wrong

    @contextmanager
    def _asking(self, within: float) -> Iterator[None]:
        try:
            with pymongo.timeout(within):
                yield
        except Superseded:
            raise Unavailable(self._why_superseded()) from None
        except PyMongoError as error:
            raise Unavailable(self._why_silent(self._reason(error))) from error

    def _why_silent(self, reason: str) -> str:
        return (
            f"the store {self._address} does not answer ({reason}); nothing can be given out until "
            "it does"
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, PyMongoError):
            return reason_of(error, self._database, self._address)
        return str(error)

    def _cause(self, error: Exception) -> str:
        return self._reason(error.__cause__) if isinstance(error.__cause__, Exception) else "?"

    def _why_superseded(self) -> str:
        return (
            f"another process has begun to serve the node {self._names.node!r} in "
            f"{self._address}: give each host a NODE_NAME of its own, then disable and enable "
            "the plugin"
        )


def _is_own(pool: PoolRecord) -> bool:
    return pool.id.startswith("local/")
