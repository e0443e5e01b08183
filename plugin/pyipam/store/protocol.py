"""The interface of every store.

A store keeps records durably and knows no policy. One behavioural suite runs over every
implementation: see "The stores" in docs/architecture.md.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pyipam.store.records import Change, Record

# dockerd gives up after 30 seconds, and then does not know what a later answer gave it.
COMMIT_TIMEOUT_SECONDS = 20.0


class Store(Protocol):
    """Pools, leases and driver names, each under its key.

    In a store that several nodes share, what belongs to another node carries the name of that
    node: a pool in its local space is in the space `local@NODE`, its driver name is `driver@NODE`
    (see pool_id).

    A store is loaded once, completely, before anything is committed. `commit` and `prewrite` may
    be called by several threads; a prewrite concerns the next commit, whoever makes it.
    """

    @property
    def shared(self) -> bool:
        """Whether other nodes commit to the same plan."""

    def load(self) -> Iterable[Record]:
        """Every stored record; each pool before the leases in it.

        Raises StateCorrupted if anything stored cannot be read, and Unavailable if the disk or
        the database does not answer. Either may be raised during the iteration.
        """

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Start writing what the next commit is expected to consist of, without waiting for it.

        Only an optimization: errors are not reported, and nothing counts as stored until `commit`
        is called with the same changes and returns.
        """

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Store all of the changes, in order, durably; or none of them. `within` is in seconds.

        Raises StoreFailure if none of them was stored: as Conflict if records of other nodes are
        in the way. Raises Uncertain if it cannot be determined whether they were stored.
        """

    def commit_in_parts(
        self, parts: Sequence[Sequence[Change]], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> None:
        """Store the changes of all parts, durably, or none of them: more than a commit may take.
        The last part puts the pools of leases that the others put. `within` is in seconds, for
        each part.

        Raises StoreFailure, Uncertain or Unavailable.
        """

    def take_remote_changes(self) -> Sequence[Change]:
        """The changes of other nodes that have arrived since the last call. Does no I/O."""

    def await_remote_changes(self, within: float) -> bool:
        """Wait until all that other nodes committed before this call has arrived, for at most that
        many seconds; whether there is anything to take."""

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> Iterable[Record]:
        """Every record of the global space, as other nodes have left it; nothing if the store is
        not shared. `within` is in seconds. Raises Unavailable if that takes longer."""

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """The nodes that share the store, and for how many seconds each of them was not seen; None
        if that is not known. Empty if the store is not shared. Raises Unavailable."""

    def pools_in_aggregates(self) -> Mapping[str, int]:
        """How many pools each node that shares the store has in its aggregates, of which the others
        learn nothing. Empty if the store is not shared. Raises Unavailable."""

    def problem(self) -> str | None:
        """Why commits would fail now, in one sentence, as far as is known; None if no reason is
        known. Does no I/O."""

    def run_background_work(self, stopping: threading.Event) -> None:
        """Do the work that no commit waits for, until the event is set. Blocks: it is called in a
        thread of its own."""

    def close(self) -> None:
        """Finish background work and release what the store holds. No commit may follow."""
