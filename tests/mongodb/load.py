"""Commits, one after another, while something happens to the replica set."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeGuard

from pyipam.errors import StoreFailure
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, Delete, Put, Record
from tests.support.mongodb.replica_set import wait_for
from tests.support.stored_records import LEASE, POOL, puts, replace

# By how much a commit may exceed its time on a busy machine.
GRACE_SECONDS = 10.0

LARGE = replace(POOL, id="local/10.0.0.0/16")


class Load:
    """Commits one batch after another, and records the outcome of each."""

    def __init__(self, store: MongoDbStore, batches: Iterator[list[Change]]) -> None:
        self.acknowledged: list[list[Change]] = []
        self.refused: list[list[Change]] = []
        self.longest_seconds = 0.0
        self._store = store
        self._batches = batches
        self._stopping = threading.Event()
        self._undoing: list[Change] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def has_gone_on(self, count: int = 20) -> bool:
        """Wait until this many more batches have been acknowledged. Returns True."""
        wanted = len(self.acknowledged) + count
        wait_for(lambda: len(self.acknowledged) >= wanted, f"{count} more commits")
        return True

    def undo_uncertain(self, records: Sequence[Record]) -> None:
        """Undo what may have been stored of the last batch, in a commit with these records."""
        self._store.commit([*self._undoing, *puts(*records)])

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = next(self._batches)
            begin = time.monotonic()
            try:
                self._store.commit([*self._undoing, *batch], within=20.0)
            except Uncertain:
                self._undoing += [Delete(change.record.key) for change in batch if is_put(change)]
                self.refused.append(batch)
            except StoreFailure:
                self.refused.append(batch)
            else:
                self._undoing.clear()
                self.acknowledged.append(batch)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - begin)


def leases() -> Iterator[list[Change]]:
    for number in range(1 << 16):
        yield puts(replace(LEASE, pool=LARGE.id, address=f"10.0.{number >> 8}.{number & 255}"))


def blocks() -> Iterator[list[Change]]:
    for number in range(1 << 14):
        yield puts(replace(POOL, id=f"local/10.1.{number >> 6}.{(number & 63) * 4}/30"))


def is_put(change: Change) -> TypeGuard[Put]:
    """Whether the change stores a record."""
    return isinstance(change, Put)
