"""What every store can do."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from pyipam.store.records import Change, Record

# How many seconds a commit may take. dockerd gives up after 30, and then forgets what it was given.
COMMIT_TIMEOUT_SECONDS = 20.0


class Store(Protocol):
    """The verbs. One behavioural suite runs over every implementation.

    In a store that several nodes share, what belongs to another node carries its name: a pool of
    its local space is of the space `local@NODE`, its driver name is `driver@NODE`.
    """

    @property
    def shared(self) -> bool:
        """Whether other nodes commit to the same plan."""

    def load(self) -> Iterable[Record]:
        """Every stored record. Raises StateDamaged when anything cannot be read."""

    def begin(self, changes: Sequence[Change]) -> None:
        """Begin to make durable, without waiting, what the next commit will consist of. Nobody is
        told whether that went well, and nothing is stored before the commit says so."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Make the batch durable, whole or not at all, in so many seconds.

        Raises StoreFailure, and then nothing of it is stored: as Conflict when other nodes' records
        stand in the way, as Uncertain when nobody can tell whether it is stored.
        """

    def news(self) -> Sequence[Change]:
        """What other nodes are known to have changed since this was asked last. Asks nobody."""

    def reread(self, within: float = COMMIT_TIMEOUT_SECONDS) -> Iterable[Record]:
        """Every record of the global space as other nodes have left it. Raises Unavailable when
        that cannot be had in so many seconds."""

    def problem(self) -> str | None:
        """Why nothing can be committed now, as far as is known; None where nothing is known to
        be wrong. Asks nobody, and waits for nobody."""

    def maintain(self, stopping: threading.Event) -> None:
        """Do what no commit waits for, until told to stop. For a thread of its own."""

    def close(self) -> None:
        """Bring the store to rest. Nothing is committed afterwards."""
