"""Released records that rest for their scope's `reuse_delay`."""

from __future__ import annotations

import heapq

from pyipam.store.records import LeaseRecord, PoolRecord


class Resting:
    """Records that wait until what they name may be given out again.

    Times are seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, PoolRecord | LeaseRecord]] = []
        self._added = 0

    def add(self, due: float, record: PoolRecord | LeaseRecord) -> None:
        """Let the record rest until `due`."""
        self._added += 1
        heapq.heappush(self._queue, (due, self._added, record))

    def take_due(self, now: float) -> list[PoolRecord | LeaseRecord]:
        """Remove and return every record whose rest is over. Records that have been replaced in
        the meantime are among them: what they named is in use again."""
        due = []
        while self._queue and self._queue[0][0] <= now:
            due.append(heapq.heappop(self._queue)[2])
        return due

    def clear(self) -> None:
        """Forget every record."""
        self._queue.clear()
