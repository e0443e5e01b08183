"""The calls that were refused lately: in the log, and kept for the status."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from pyipam import log
from pyipam.core.clock import Clock
from pyipam.errors import PyipamError
from pyipam.runtime.latest import Latest


@dataclass(frozen=True)
class Refusal:
    """A call that was answered with an error, which Docker does not always show to the user.

    `time` is in seconds since the epoch.
    """

    time: float
    call: str
    message: str


class Refusals(Latest[Refusal]):
    """The latest refusals. `count` is how many there have been since the plugin started."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._counting = Lock()
        self.count = 0

    def add(self, call: str, error: PyipamError) -> None:
        """Log the refusal of a call, and keep it."""
        with self._counting:
            self.count += 1
            number = self.count
        self.keep(number, Refusal(self._clock.wall(), call, str(error)))
        log.warning("refused", call=call, reason=error)
