"""Released records that rest for their scope's `reuse_delay`."""

from __future__ import annotations

import heapq

from pyipam.store.records import AggregateRecord, Key, LeaseRecord, PoolRecord

# What may rest.
Released = PoolRecord | LeaseRecord | AggregateRecord


class Resting:
    """Records that wait until what they name may be given out again.

    Times are seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Released]] = []
        self._added = 0
        # By key: when the record was released, by its own time, and when that was seen here.
        self._seen: dict[Key, tuple[float | None, float]] = {}

    def add(self, due: float, record: Released) -> None:
        """Let the record rest until `due`."""
        self._added += 1
        heapq.heappush(self._queue, (due, self._added, record))

    def first_seen(self, record: Released, now: float) -> float:
        """The time at which this release of the record was seen first: `now`, or before."""
        released, seen = self._seen.get(record.key, (None, now))
        if released != record.released:
            seen = now
        self._seen[record.key] = record.released, seen
        return seen

    def take_due(self, now: float) -> list[Released]:
        """Remove and return every record whose rest is over. Records that have been replaced in
        the meantime are among them: what they named is in use again."""
        due = []
        while self._queue and self._queue[0][0] <= now:
            record = heapq.heappop(self._queue)[2]
            if self._seen.get(record.key, (None, 0.0))[0] == record.released:
                self._seen.pop(record.key, None)
            due.append(record)
        return due

    def clear(self) -> None:
        """Let no record rest any more."""
        self._queue.clear()
