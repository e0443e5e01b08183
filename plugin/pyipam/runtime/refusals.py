"""The calls that were refused lately: in the log, and kept for the status."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from pyipam import log
from pyipam.core.clock import Clock
from pyipam.errors import PyipamError

MAX_REFUSALS_KEPT = 100


@dataclass(frozen=True)
class Refusal:
    """A call that was answered with an error, which Docker does not always show to the user.

    `time` is in seconds since the epoch.
    """

    time: float
    call: str
    message: str


class Refusals:
    """The latest refusals, oldest first. Any thread may add to them and read them.

    `count` is how many there have been since the plugin started.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: deque[Refusal] = deque(maxlen=MAX_REFUSALS_KEPT)
        self._counting = Lock()
        self.count = 0

    def __iter__(self) -> Iterator[Refusal]:
        # A copy, as another thread may add one meanwhile.
        return iter(list(self._latest))

    def add(self, call: str, error: PyipamError) -> None:
        """Log the refusal of a call, and keep it."""
        with self._counting:
            self.count += 1
        self._latest.append(Refusal(self._clock.wall(), call, str(error)))
        log.warning("refused", call=call, reason=error)
