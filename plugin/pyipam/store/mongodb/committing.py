"""The way of a commit: what is checked, what is written, and what is learned from a collision.

What this process knows of other nodes may be outdated. So the database decides: every write names
what it replaces, and a write that finds something else is a collision. What is learned from it is
handed to the core, which decides again. See "Sharing one plan between nodes" in
docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from pyipam.errors import StoreFailure
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.mongodb.catching_up import pool_differences
from pyipam.store.mongodb.conflicts import CollisionSearch
from pyipam.store.mongodb.connection import pause
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.documents import NO_LEASES, RecordCodec, StoredDocument
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.messages import Messages
from pyipam.store.mongodb.presence import Presence, Superseded
from pyipam.store.mongodb.session import Collision, NotCommitted, OutcomeUnknown, Session
from pyipam.store.mongodb.versions import (
    MissedTooMuch,
    PoolSetRead,
    StripeVersion,
    changes_by_stripe,
    make_versions,
    read_versions_after,
    stripes_of_pool,
)
from pyipam.store.mongodb.writes import (
    ChangesByKey,
    Write,
    last_of_each_key,
    make_fence,
    make_writes,
    pool_set_changes,
    with_versions,
)
from pyipam.store.records import Change, Delete, LeaseRecord, Put


@dataclass(frozen=True)
class Committer:
    """Commits changes on behalf of one node. Every method requires the lock of the store."""

    database: Database[StoredDocument]
    codec: RecordCodec
    presence: Presence
    session: Session
    knowledge: Knowledge
    messages: Messages

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, condition: Write | None = None
    ) -> None:
        """Store all of the changes, or none of them. Raises StoreFailure, as Conflict or Uncertain
        if it is one of those. A `condition` is a write that has to match in the same transaction.
        """
        effective = last_of_each_key(changes)
        while True:
            self._check_pending(effective)
            try:
                self._write(effective, deadline, condition)
                return
            except Collision:
                self._raise_conflict(self._learn_from_collision(effective, deadline))
                # There is nothing to learn: what was in the way is gone, or the condition fails.
                if condition is not None:
                    raise StoreFailure(self.messages.conflict()) from None
            except NotCommitted as error:
                raise StoreFailure(self.messages.not_stored(error)) from error
            except OutcomeUnknown as error:
                self.knowledge.doubt(effective)
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

    def _write(self, changes: ChangesByKey, deadline: Deadline, condition: Write | None) -> None:
        """Write the changes, and know them. Raises Collision, NotCommitted or OutcomeUnknown."""
        knowledge = self.knowledge
        writes = make_writes(changes, knowledge, self.codec)
        if condition is not None:
            writes.append(condition)
        of_pool_set = changes_by_stripe(pool_set_changes(changes, knowledge))
        if of_pool_set:
            process = self.presence.process
            versions = make_versions(knowledge.versions, process, of_pool_set, self.codec)
            writes = with_versions(writes, versions)
        elif knowledge.in_doubt:
            writes.insert(0, make_fence(self.codec.node))
        if len(writes) > 1 or len(writes[0].operations) > 1:
            self.session.write_together(writes, deadline)
        else:
            self.session.write_alone(writes[0], deadline)
        for stripe in of_pool_set:
            knowledge.versions[stripe] += 1
        knowledge.clear_doubts()
        for change in changes.values():
            knowledge.apply(change)

    # What is learned

    def _learn_from_collision(self, changes: ChangesByKey, deadline: Deadline) -> list[Change]:
        """Learn what was in the way of the changes, and what else is new there.

        The leases come last: by then the pool of each is known, or it has ended with its pool.
        """
        learned = self.knowledge.learn_pending()
        search = CollisionSearch(
            self.database, self.session.client_session, self.codec, self.knowledge, changes
        )
        try:
            with pymongo.timeout(deadline.seconds_left):
                leases = search.leases()
                pools = search.pools()
                versions = self._missed_versions(self._stripes_of(changes, leases))
        except Superseded:
            raise StoreFailure(self.messages.superseded()) from None
        except PyMongoError as error:
            raise StoreFailure(self.messages.lost_after_collision(error)) from error
        learned += self.knowledge.learn([*pools, *versions, *leases])
        return learned

    def _stripes_of(self, changes: ChangesByKey, leases: Sequence[Put | Delete]) -> set[int]:
        """The stripes in which something may be to learn: those whose next versions were to be
        made, and those of the leases in the way, whose pools may not be known."""
        stripes = set(changes_by_stripe(pool_set_changes(changes, self.knowledge)))
        for change in leases:
            if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
                stripes.update(stripes_of_pool(change.record.pool))
        return stripes

    def _missed_versions(self, stripes: Iterable[int]) -> Sequence[StripeVersion | PoolSetRead]:
        """The versions of these stripes after the known ones. If they can no longer be determined,
        all differences instead. Raises Superseded or PyMongoError."""
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
            snapshot = self.presence.read_snapshot(NO_LEASES)
            differences = pool_differences(self.knowledge.pools, snapshot)
            return [PoolSetRead(snapshot.versions, tuple(differences))]
