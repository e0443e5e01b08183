"""When the database is asked what other nodes change: regularly, or at once if somebody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Rounds:
    """The rounds in which one thread asks. Others wait for one that begins after they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._finished = 0
        # The last round that somebody waits for.
        self._wanted = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """The block is a round. If it raises, it does not count."""
        with self._changed:
            self._begun += 1
            number = self._begun
        yield
        with self._changed:
            self._finished = number
            self._changed.notify_all()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for this round."""
        with self._changed:
            return self._wanted >= self._begun

    def wait_until_due(self, interval: float) -> None:
        """Wait until a next round is wanted, or for that many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted > self._begun, interval)

    def wait_for_one(self, within: float) -> None:
        """Wait until a round has finished that had not begun yet, for at most that many seconds."""
        with self._changed:
            self._wanted = wanted = self._begun + 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._finished >= wanted, within)
