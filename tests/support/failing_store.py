"""A store that a test can make fail."""

from __future__ import annotations

from collections.abc import Sequence

from pyipam.errors import StoreFailure
from pyipam.store.memory import MemoryStore
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change


class FailingStore(MemoryStore):
    """A store in memory whose commits fail while `fail` is true."""

    fail = False

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        if self.fail:
            raise StoreFailure("the disk is full")
        super().commit(changes, within)
