"""Forgetting a node: it is fenced off, and all that it holds is deleted in one commit.

Either makes the next version of every stripe, so no pool of the node can be created at the same
moment: it is stored before, and can be deleted, or the node learns that it is forgotten. It takes
the aggregates of the node from the process that serves it, so the same holds for pools in them. And
it removes the document of the node: once a minute has passed since the process last found
that document, it can write nothing without finding it again (see presence).

It is undone only once all of it was done. A node whose pools were left would go on in aggregates
that others may claim by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateMany

from pyipam.errors import StoreFailure
from pyipam.space.stripes import STRIPES
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.asking import CONNECT_TIMEOUT_SECONDS, asking
from pyipam.store.mongodb.committing import Committer
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.deployment import check_deployment, prepare_database
from pyipam.store.mongodb.documents import (
    NOTHING,
    Filter,
    aggregates_of_node,
    ids_of_node,
)
from pyipam.store.mongodb.marks import decode_numbered_mark, encode_change_of_mark
from pyipam.store.mongodb.operations import Operation
from pyipam.store.mongodb.orphans import one_more_deletion
from pyipam.store.mongodb.presence import PROOF_LASTS_SECONDS, seconds_since_seen
from pyipam.store.mongodb.session import (
    ABANDONED_AFTER_SECONDS,
    Collision,
    NotCommitted,
    OutcomeUnknown,
)
from pyipam.store.mongodb.snapshot import Wanted
from pyipam.store.mongodb.versions import changes_by_stripe, make_versions
from pyipam.store.mongodb.writes import Write, stored_mark
from pyipam.store.pool_id import NO_NODE, OTHER_NODE_PREFIX, space_of, split_node
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Delete, NodeRecord, Put

# MongoDB ends a transaction after 60 seconds (transactionLifetimeLimitSeconds).
FORGET_TIMEOUT_SECONDS = 50.0
# For how long a process that was fenced off may go on giving out addresses in pools outside of
# aggregates: it may start a write for as long as its last proof holds, and each may take this long.
LATE_WRITES_SECONDS = PROOF_LASTS_SECONDS + COMMIT_TIMEOUT_SECONDS


class _Step(NamedTuple):
    """What one commit does beside marking the node: the changes that the versions of the pool set
    list, and the operations by collection; those on the pools come after the versions."""

    changes: Sequence[Change]
    operations: Mapping[str, tuple[Operation, ...]]


# Makes the step for a node and a time, by what is known now.
_MakeStep = Callable[[str, float], _Step]


_Outcome = TypeVar("_Outcome")


class NotForgotten(Exception):
    """The node is not forgotten, or is no longer. Nothing has been done."""


class Unfinished(Exception):
    """The node was forgotten, and `pools` of its pools are left. Nothing has been done."""

    def __init__(self, pools: int) -> None:
        super().__init__()
        self.pools = pools


@dataclass(frozen=True)
class HeldByNode:
    """How much a node holds, or held, in its own space."""

    pools: int
    leases: int
    drivers: int
    aggregates: int


class Forgetting:
    """Forgets nodes of a shared plan. This process serves none of them and has no core, so what it
    learns goes no further. For one thread."""

    def __init__(self, address: StoreAddress, folder: Path) -> None:
        """Connect in the background. Certificates are kept in the folder.

        Raises Unavailable if the address cannot be used, whatever is there.
        """
        self._committer = Committer.connected(address, NO_NODE, folder)
        self._database = self._committer.database
        self._session = self._committer.session
        self._knowledge = self._committer.knowledge
        self._messages = self._committer.messages
        self._nodes: set[str] = set()

    def load(self) -> None:
        """Read the plan, as far as all nodes know it. Raises Unavailable or StateCorrupted."""
        presence, address = self._committer.presence, self._messages.address
        with asking(self._messages, CONNECT_TIMEOUT_SECONDS):
            check_deployment(self._database, address)
        with asking(self._messages, COMMIT_TIMEOUT_SECONDS):
            prepare_database(self._database, address)
            presence.register(self._session.client_session)
        self._learn()

    def nodes(self) -> Collection[str]:
        """The nodes that the loaded plan has: that have served it, or hold something in it."""
        return self._nodes

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """See the protocol of a store. Raises Unavailable."""
        with asking(self._messages, CONNECT_TIMEOUT_SECONDS):
            return seconds_since_seen(self._database)

    def held_by(self, node: str) -> HeldByNode:
        """How much a node holds in its own space. Raises Unavailable."""
        own = ids_of_node(node)
        with asking(self._messages, COMMIT_TIMEOUT_SECONDS):
            return HeldByNode(
                self._count("pools", own) + self._count("aggregates", own),
                self._count("leases", own) + self._count("aggregate_leases", own),
                self._count("drivers", {"node": node}),
                self._count("aggregates", aggregates_of_node(node)),
            )

    def is_forgotten(self, node: str) -> bool:
        """Whether a node of the loaded plan is forgotten, as far as is known."""
        return self._forgotten_since(node) is not None

    def fence_off(self, node: str, at: float) -> float:
        """Let a node get nothing any more, and its aggregates rest, since that time (UNIX, in
        seconds). What it holds besides, it keeps: its process may give out more of that for
        LATE_WRITES_SECONDS. Returns since when the node is forgotten. Raises what `forget` does."""
        self._store(node, at, self._fencing)
        since = self._forgotten_since(node)
        assert since is not None, "it was stored just now"
        return since

    def forget(self, node: str, at: float, fenced_since: float | None = None) -> HeldByNode:
        """Delete all that a node holds in its own space, and let it get nothing any more; how much
        it was. Its aggregates rest, since that time (UNIX, in seconds). All of it is one commit.

        Of a node that was fenced off, only if it has been forgotten ever since `fenced_since`; else
        NotForgotten is raised. Raises StoreFailure, or Uncertain: then it has to be done again,
        which does no harm if it was done. Raises Unavailable if the plan cannot be read again in
        between.
        """
        deleted = self._store(node, at, self._deletion, fenced_since)
        return HeldByNode(
            deleted["pools"] + deleted["aggregates"],
            deleted["leases"] + deleted["aggregate_leases"],
            deleted["drivers"],
            len(self._aggregates_at_rest(node, at)),
        )

    def undo(self, node: str) -> NodeRecord:
        """Let a node get something again that was forgotten; what else is said of it. What it held
        is gone.

        Raises NotForgotten, or Unfinished where any of its pools is left, and otherwise what
        `forget` does.
        """
        return self._until_stored(node, lambda deadline: self._undo(node, deadline))

    def close(self) -> None:
        """End the connection."""
        self._committer.close()

    def _learn(self) -> None:
        """Know everything that all nodes know as it is now. Raises Unavailable or
        StateCorrupted."""
        with asking(self._messages, COMMIT_TIMEOUT_SECONDS):
            snapshot = self._committer.presence.read_snapshot(Wanted(leases=NOTHING))
            seen = seconds_since_seen(self._database)
        self._knowledge.replace_all(snapshot)
        names = [driver.name for driver in snapshot.drivers]
        names += [space_of(pool.id) for pool in snapshot.pools]
        names += [space_of(aggregate.id) for aggregate in snapshot.aggregates]
        owners = {split_node(name)[1] for name in names} - {""}
        self._nodes = {*owners, *(mark.name for mark in snapshot.marks), *seen}

    def _learn_missed(self, node: str) -> None:
        """Know what others have changed of the pool set, and said of the node, since it was last
        read: quickly, before they change more. Raises Unavailable or StateCorrupted."""
        session = self._session.client_session
        with asking(self._messages, COMMIT_TIMEOUT_SECONDS):
            versions = self._committer.missed_versions(range(STRIPES))
            said = list(self._database.marks.find({"_id": node}, session=session))
        self._knowledge.learn([*map(decode_numbered_mark, said), *versions])

    def _count(self, collection: str, selected: Filter) -> int:
        return self._database[collection].count_documents(selected)

    def _forgotten_since(self, node: str) -> float | None:
        mark = self._knowledge.marks.get(node)
        return None if mark is None else mark.forgotten

    def _store(
        self, node: str, at: float, make_step: _MakeStep, fenced_since: float | None = None
    ) -> Mapping[str, int]:
        """Store a step and the mark of the node; how many documents were deleted, by collection.
        Raises what `forget` does."""

        def attempt(deadline: Deadline) -> Mapping[str, int]:
            # The mark is stored only in place of the one that is known.
            if fenced_since is not None and self._forgotten_since(node) != fenced_since:
                raise NotForgotten
            return self._write(self._tombstone(node, at), make_step(node, at), deadline)

        return self._until_stored(node, attempt)

    def _until_stored(self, node: str, attempt: Callable[[Deadline], _Outcome]) -> _Outcome:
        """Make an attempt to store something of a node, and again after each collision, by what is
        known then. Raises StoreFailure, Uncertain or Unavailable."""
        deadline = Deadline(FORGET_TIMEOUT_SECONDS)
        waiting_since = time.monotonic()
        while True:
            try:
                return attempt(deadline)
            except Collision:
                self._learn_missed(node)
            except NotCommitted as error:
                raise StoreFailure(self._messages.not_stored(error)) from error
            except OutcomeUnknown as error:
                doubt = self._messages.outcome_unknown(error)
                raise Uncertain(doubt, "run the command again when the database answers") from error
            if deadline.is_over:
                raise StoreFailure(self._messages.outpaced())
            if time.monotonic() - waiting_since > ABANDONED_AFTER_SECONDS:
                self._session.abort_abandoned()
                waiting_since = time.monotonic()

    def _undo(self, node: str, deadline: Deadline) -> NodeRecord:
        """Raises NotForgotten, Unfinished, Collision, NotCommitted or OutcomeUnknown."""
        mark = self._knowledge.marks.get(node)
        if mark is None or mark.forgotten is None:
            raise NotForgotten
        kept = mark._replace(forgotten=None)
        change = Delete(kept.key) if kept.draining is None else Put(kept)
        own = ids_of_node(node)
        # What its process may have written before it learned that the pools had ended; to an import
        # that runs, it looks like leases whose pools are still to come.
        late: tuple[Operation, ...] = (DeleteMany(own),)
        self._session.try_together(
            [
                Write("marks", (self._replace_mark(node, change),)),
                one_more_deletion(),
                Write("leases", late),
                Write("aggregate_leases", late),
            ],
            deadline,
            lambda: self._check_finished(own),
        )
        self._knowledge.apply(change)
        return kept

    def _check_finished(self, own: Filter) -> None:
        """Raise Unfinished where pools of a node are left. Belongs to a transaction."""
        session = self._session.client_session
        found = (
            self._database[name].count_documents(own, session=session)
            for name in ("pools", "aggregates")
        )
        pools = sum(found)
        if pools:
            raise Unfinished(pools)

    def _replace_mark(self, node: str, change: Change) -> Operation:
        """Replaces what is known to be said of a node, and nothing else."""
        known, process = self._knowledge, self._committer.presence.process
        document = encode_change_of_mark(change, process, known.next_mark_number(node))
        return ReplaceOne(stored_mark(node, known), document, upsert=True)

    def _write(self, mark: NodeRecord, step: _Step, deadline: Deadline) -> Mapping[str, int]:
        """Raises Collision, NotCommitted or OutcomeUnknown."""
        knowledge, process = self._knowledge, self._committer.presence.process
        node = mark.name
        of_pool_set = dict.fromkeys(range(STRIPES), ()) | changes_by_stripe(step.changes)
        versions = make_versions(
            knowledge.versions, process, of_pool_set, self._committer.codec, mark
        )
        # The versions come first: nobody else can make them while the rest is written.
        writes: dict[str, tuple[Operation, ...]] = {
            **step.operations,
            "pools": (*versions, *step.operations["pools"]),
            "marks": (self._replace_mark(node, Put(mark)),),
            "nodes": (DeleteOne({"_id": node}),),
        }
        deleted = self._session.try_together(
            [Write(collection, operations) for collection, operations in writes.items()], deadline
        )
        for stripe in range(STRIPES):
            knowledge.versions[stripe] += 1
        for change in (*step.changes, Put(mark)):
            knowledge.apply(change)
        return dict(zip(writes, deleted, strict=True))

    def _fencing(self, node: str, at: float) -> _Step:
        resting = _rest_of_aggregates(node, at)
        return _Step(self._aggregates_at_rest(node, at), {"pools": (), "aggregates": resting})

    def _deletion(self, node: str, at: float) -> _Step:
        space = f"{OTHER_NODE_PREFIX}{node}/"
        pools = [pool for pool in self._knowledge.pools.values() if pool.id.startswith(space)]
        own = ids_of_node(node)
        return _Step(
            [*(Delete(pool.key) for pool in pools), *self._aggregates_at_rest(node, at)],
            {
                "pools": (DeleteMany(own),),
                "drivers": (DeleteMany({"node": node}),),
                "leases": (DeleteMany(own),),
                "aggregates": (DeleteMany(own), *_rest_of_aggregates(node, at)),
                "aggregate_leases": (DeleteMany(own),),
            },
        )

    def _aggregates_at_rest(self, node: str, at: float) -> list[Put]:
        """What becomes of the aggregates of a node."""
        space = f"{OTHER_NODE_PREFIX}{node}/"
        return [
            Put(each._replace(released=_rests_since(each.released, at), forgotten=True))
            for each in self._knowledge.aggregates.values()
            if each.id.startswith(space)
        ]

    def _tombstone(self, node: str, at: float) -> NodeRecord:
        mark = self._knowledge.marks.get(node, NodeRecord(node))
        return mark._replace(forgotten=at if mark.forgotten is None else mark.forgotten)


def _rests_since(released: float | None, at: float) -> float:
    return at if released is None else released


def _rest_of_aggregates(node: str, at: float) -> tuple[Operation, ...]:
    """Lets the aggregates of the node rest, and takes them from the process that serves it."""
    own = aggregates_of_node(node)
    return (
        UpdateMany({**own, "released": None}, {"$set": {"released": at}}),
        UpdateMany(own, {"$set": {"forgotten": True}, "$unset": {"process": True}}),
    )
