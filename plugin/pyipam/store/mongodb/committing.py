"""The way of a commit: what is checked, what is written, and what is learned from a collision.

What this process knows of other nodes may be outdated. So the database decides: every write names
what it replaces, and a write that finds something else is a collision. What is learned from it is
handed to the core, which decides again. See "Sharing one plan between nodes" in
docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from pyipam.errors import StoreFailure
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.catching_up import aggregate_differences, pool_differences
from pyipam.store.mongodb.conflicts import CollisionSearch
from pyipam.store.mongodb.connection import open_database, pause
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.documents import NOTHING, RecordCodec, StoredDocument
from pyipam.store.mongodb.fencing import Altered
from pyipam.store.mongodb.knowledge import Knowledge, RemoteChange
from pyipam.store.mongodb.messages import Messages
from pyipam.store.mongodb.presence import Presence, now
from pyipam.store.mongodb.session import Collision, NotCommitted, OutcomeUnknown, Session
from pyipam.store.mongodb.snapshot import Wanted
from pyipam.store.mongodb.versions import (
    MissedTooMuch,
    PoolSetRead,
    StripeVersion,
    changes_by_stripe,
    make_versions,
    read_versions_after,
    stripes_of_key,
    stripes_of_pool,
)
from pyipam.store.mongodb.writes import (
    ChangesByKey,
    Write,
    aggregates_concerned,
    last_of_each_key,
    make_writes,
    nodes_replaced,
    pool_set_changes,
    with_versions,
)
from pyipam.store.pool_id import NO_NODE
from pyipam.store.records import AggregateKey, Change, Delete, LeaseRecord, Put, key_of

_CLOSE_TIMEOUT_SECONDS = 0.5

# How the database at an address is connected to; the folder is for certificates.
Connect = Callable[[StoreAddress, Path], Database[StoredDocument]]


class _Prepared(NamedTuple):
    """What a commit writes: the stripes of which it makes versions, and whether it proves that this
    process still serves its node."""

    writes: list[Write]
    stripes: Iterable[int]
    is_proof: bool


@dataclass(frozen=True)
class Committer:
    """Commits changes on behalf of one node. Every method requires the lock of the store, but for
    `connected` and `close`."""

    database: Database[StoredDocument]
    codec: RecordCodec
    presence: Presence
    session: Session
    knowledge: Knowledge
    messages: Messages

    @classmethod
    def connected(
        cls, address: StoreAddress, node: str, folder: Path, connect: Connect = open_database
    ) -> Committer:
        """One that connects in the background. Certificates are kept in the folder.

        Raises Unavailable if the address cannot be used, whatever is there.
        """
        database = connect(address, folder)
        codec = RecordCodec(node)
        return cls(
            database,
            codec,
            Presence(database, codec),
            Session(database),
            Knowledge(codec),
            Messages(database, address, node),
        )

    def close(self) -> None:
        """End the connection. Nothing is committed afterwards."""
        self.session.end()
        # The client tells the server, which may not answer.
        with pymongo.timeout(_CLOSE_TIMEOUT_SECONDS):
            self.database.client.close()

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, condition: Write | None = None
    ) -> None:
        """Store all of the changes, or none of them. Raises StoreFailure, as Conflict or Uncertain
        if it is one of those, or Fenced. A `condition` is a write that has to match in the same
        transaction.
        """
        effective = last_of_each_key(changes)
        while True:
            self._check_pending(effective)
            prepared = self._prepare(effective, condition)
            try:
                self._write(prepared, effective, deadline)
                return
            except Collision:
                self._raise_conflict(self._learn_from_collision(effective, prepared, deadline))
                # There is nothing to learn: what was in the way is gone, or the condition fails.
                if condition is not None:
                    raise StoreFailure(self.messages.conflict()) from None
            except NotCommitted as error:
                raise StoreFailure(self.messages.not_stored(error)) from error
            except OutcomeUnknown as error:
                self.knowledge.doubt(effective.values())
                raise Uncertain(self.messages.outcome_unknown(error)) from error
            if deadline.is_over:
                raise StoreFailure(self.messages.outpaced())
            pause()

    # What is checked

    def _check_pending(self, changes: ChangesByKey) -> None:
        """Raise Conflict if versions of the pool set are to be made, and those of other nodes in
        the same stripes are pending: the write would collide with them."""
        if self.knowledge.pending_count:
            stripes = changes_by_stripe(pool_set_changes(changes, self.knowledge))
            if self.knowledge.is_pending_in(stripes):
                self._raise_conflict(self.knowledge.learn_pending())

    def _raise_conflict(self, learned: Sequence[Change]) -> None:
        """Raise Conflict if anything was learned."""
        if learned:
            raise Conflict(self.messages.conflict(), tuple(learned))

    # What is written

    def _prepare(self, changes: ChangesByKey, condition: Write | None) -> _Prepared:
        knowledge, process = self.knowledge, self.presence.process
        writes = make_writes(changes, knowledge, self.codec, process)
        if condition is not None:
            writes.append(condition)
        of_pool_set = changes_by_stripe(pool_set_changes(changes, knowledge))
        is_proof = bool(aggregates_concerned(changes, knowledge))
        if (
            any(isinstance(key, AggregateKey) for key in changes)
            or not (is_proof or self.presence.is_proven_lately())
            or knowledge.in_doubt
        ):
            writes.insert(0, self.presence.make_fence())
            is_proof = True
        replaced = nodes_replaced(changes) if self.codec.node == NO_NODE else ()
        if replaced:
            writes.insert(0, self.presence.take_over(replaced))
        if of_pool_set:
            versions = make_versions(knowledge.versions, process, of_pool_set, self.codec)
            writes = with_versions(writes, versions)
        return _Prepared(writes, of_pool_set, is_proof)

    def _write(self, prepared: _Prepared, changes: ChangesByKey, deadline: Deadline) -> None:
        """Write the changes, and know them. Raises Collision, NotCommitted, OutcomeUnknown or
        Fenced."""
        knowledge, writes = self.knowledge, prepared.writes
        began = now()
        if len(writes) > 1 or len(writes[0].operations) > 1:
            self.session.write_together(writes, deadline)
        else:
            self.session.write_alone(writes[0], deadline)
        if prepared.is_proof:
            self.presence.prove(began)
        elif not self.presence.is_proven_lately():
            self._prove_late(deadline)
        for stripe in prepared.stripes:
            knowledge.versions[stripe] += 1
        knowledge.clear_doubts()
        for change in changes.values():
            knowledge.apply(change)

    def _prove_late(self, deadline: Deadline) -> None:
        """Prove that this process still serves its node, after writes which did not have to find
        that: the host was suspended meanwhile, or the process stopped, and others may have what was
        written. Raises Fenced or OutcomeUnknown."""
        began = now()
        try:
            with pymongo.timeout(deadline.seconds_left):
                self.presence.check(self.session.client_session)
        except PyMongoError as error:
            raise OutcomeUnknown from error
        self.presence.prove(began)

    # What is learned

    def _learn_from_collision(
        self, changes: ChangesByKey, prepared: _Prepared, deadline: Deadline
    ) -> list[Change]:
        """Learn what was in the way of the changes, and what else is new there. Raises Fenced if it
        was that this process no longer serves its node."""
        learned = self.knowledge.learn_pending()
        try:
            with pymongo.timeout(deadline.seconds_left):
                for found in self._news_of_collision(changes, prepared):
                    learned += self.knowledge.learn(found)
                if not learned:
                    self._check_lost(self._search(changes))
        except PyMongoError as error:
            # What was learned until then has to be told: it counts as known from now on.
            if not learned:
                raise StoreFailure(self.messages.lost_after_collision(error)) from error
        return learned

    def _news_of_collision(
        self, changes: ChangesByKey, prepared: _Prepared
    ) -> Iterator[Sequence[RemoteChange]]:
        """What was in the way of the changes, and what else is new there, each part to be learned
        before the next one is asked for. Raises Fenced or PyMongoError.

        The leases come last: by then the pool of each is known, or it has ended with its pool.
        """
        if prepared.is_proof:
            self.presence.check(self.session.client_session)
        search = self._search(changes)
        yield search.marks()
        leases = search.leases()
        yield from self._news_of_pools(search, self._stripes_of(changes, leases))
        yield leases

    def _news_of_pools(
        self, search: CollisionSearch, stripes: Set[int]
    ) -> Iterator[Sequence[RemoteChange]]:
        """The missed versions of some stripes, and what has become of the pools of the global space
        that were to be changed.

        A pool as it is stored is newer than the versions that are known. Those that have led there
        would take it back when they arrive, so they are learned first, until it is read after them.
        """
        while True:
            pools = search.pools()
            of_pools = {stripe for change in pools for stripe in stripes_of_key(key_of(change))}
            versions = self.missed_versions(stripes | of_pools)
            yield versions
            if not (pools and versions):
                yield pools
                return

    def _search(self, changes: ChangesByKey) -> CollisionSearch:
        return CollisionSearch(
            self.database,
            self.session.client_session,
            self.codec,
            self.presence.process,
            self.knowledge,
            changes,
        )

    def _check_lost(self, search: CollisionSearch) -> None:
        """Raise Fenced if this process does not have what the changes depend on: they would collide
        for ever. Raises PyMongoError."""
        lost = search.lost()
        if lost is not None:
            # Another process of the node may have begun a moment ago, or an operator forgotten it.
            self.presence.check(self.session.client_session)
            raise Altered(lost)

    def _stripes_of(self, changes: ChangesByKey, leases: Sequence[Put | Delete]) -> set[int]:
        """The stripes in which something may be to learn: those whose next versions were to be
        made, those of the aggregates that have to be this node's, and those of the leases in the
        way, whose pools may not be known."""
        stripes = set(changes_by_stripe(pool_set_changes(changes, self.knowledge)))
        for key in aggregates_concerned(changes, self.knowledge):
            stripes.update(stripes_of_key(key))
        for change in leases:
            if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
                stripes.update(stripes_of_pool(change.record.pool))
        return stripes

    def missed_versions(self, stripes: Iterable[int]) -> Sequence[StripeVersion | PoolSetRead]:
        """The versions of these stripes after the known ones. If they can no longer be determined,
        all differences instead. Raises Fenced or PyMongoError."""
        known = {stripe: self.knowledge.versions[stripe] for stripe in stripes}
        try:
            return read_versions_after(
                known,
                self.database,
                self.session.client_session,
                self.presence.process,
                self.codec,
            )
        except MissedTooMuch:
            snapshot = self.presence.read_snapshot(Wanted(leases=NOTHING))
            differences = [
                *pool_differences(self.knowledge, snapshot),
                *aggregate_differences(self.knowledge, snapshot),
            ]
            return [PoolSetRead(snapshot.versions, tuple(differences))]
