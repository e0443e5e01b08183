"""The history of a running plugin: commits noted while they are made, and written afterwards.

A commit only puts what it changed into a queue. A thread of its own makes lines of that and writes
them, without a sync, so that neither the disk nor the work keeps a call waiting. What cannot be
written is dropped and counted, and an entry says how many there were.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

from pyipam import log
from pyipam.core.clock import Clock
from pyipam.core.subnet import record_before
from pyipam.core.transaction import Commit
from pyipam.history.entries import LOST, Entry, entry_of, to_line
from pyipam.history.segments import append_lines

_WRITE_INTERVAL_SECONDS = 0.5
# At a thousand commits a second, what a disk that answers no more may keep waiting for a minute.
MAX_PENDING_COMMITS = 60_000
_LINES_AT_A_TIME = 100


class History:
    """What was held when. `note` is for the thread of the commits; any thread may write.

    Looking through all of it takes a while: who does so holds `reading`, so that other views are
    answered meanwhile.
    """

    def __init__(self, folder: Path, clock: Clock, pause: Callable[[], None]) -> None:
        """Write to this folder. `pause` lets the calls of Docker be answered first."""
        self.folder = folder
        self.dropped = 0
        self._clock = clock
        self._pause = pause
        self._pending: deque[Commit] = deque()
        self.reading = threading.Lock()
        self._writing = threading.Lock()
        self._counting = threading.Lock()
        # Dropped since the last entry that says so.
        self._lost = 0
        self._failure = ""

    def note(self, commit: Commit) -> None:
        """Take note of a commit, to be written a moment later."""
        if len(self._pending) < MAX_PENDING_COMMITS:
            self._pending.append(commit)
        else:
            self._drop(len(commit.changes))

    def moment(self, seconds: float) -> float:
        """The UNIX time to ask for what was given out then (see HistoryFilter): of now and later,
        nothing else is known than what is given out now."""
        return seconds if seconds < self._clock.wall() else math.inf

    def run(self, stopping: threading.Event) -> None:
        """Write what is noted, until the event is set. Blocks."""
        while not stopping.wait(_WRITE_INTERVAL_SECONDS):
            self.write()

    def write(self) -> None:
        """Write what has been noted so far. Never raises: what cannot be written is dropped."""
        with self._writing:
            noted = chain.from_iterable(self._take(len(self._pending)))
            while lines := list(islice(noted, _LINES_AT_A_TIME)):
                self._append(lines)
                self._pause()

    def _take(self, count: int) -> Iterator[Iterator[bytes]]:
        for _ in range(count):
            yield _lines_of(self._pending.popleft())

    def _append(self, lines: list[bytes]) -> None:
        lost = self._lost
        said = [to_line(Entry(round(self._clock.wall(), 3), LOST, lost=lost))] if lost else []
        try:
            append_lines(self.folder, [*said, *lines])
        except OSError as error:
            self._drop(len(lines))
            self._report(error.strerror or str(error))
        else:
            self._drop(0, said=lost)
            self._report("")

    def _drop(self, count: int, said: int = 0) -> None:
        with self._counting:
            self.dropped += count
            self._lost += count - said

    def _report(self, failure: str) -> None:
        """Log that entries are lost, when that begins."""
        if failure and failure != self._failure:
            log.warning("the history could not be written", folder=self.folder, reason=failure)
        self._failure = failure


def _lines_of(commit: Commit) -> Iterator[bytes]:
    for change, before in zip(commit.changes, commit.before, strict=True):
        entry = entry_of(commit.time, change, record_before(before))
        if entry is not None:
            yield to_line(entry)
