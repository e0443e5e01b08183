"""A TinyDB store that checkpoints in the committing thread, so that a test knows when it does."""

from __future__ import annotations

from collections.abc import Sequence

from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change
from pyipam.store.tinydb.store import TinyDbStore


class EagerStore(TinyDbStore):
    """Checkpoints as soon as one is due, before the commit returns."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        super().commit(changes, within)
        if self._due.is_set():
            self._due.clear()
            self.checkpoint()


class BeginningStore(EagerStore):
    """Is told of every commit in advance, and begins it."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        self.prewrite(changes)
        super().commit(changes, within)
