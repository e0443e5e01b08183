"""TinyDB stores that run checkpoints in the thread that commits, so a test knows when they run."""

from __future__ import annotations

from collections.abc import Sequence

from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change
from pyipam.store.tinydb.store import TinyDbStore


class EagerStore(TinyDbStore):
    """Runs a checkpoint that a commit makes due, before the commit returns."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        super().commit(changes, within)
        self.checkpoint_if_due()


class PrewritingStore(EagerStore):
    """Prewrites every commit."""

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        self.prewrite(changes)
        super().commit(changes, within)
