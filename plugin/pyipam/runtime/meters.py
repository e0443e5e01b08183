"""How many calls there were, how they ended, and how long they took: counted for /metrics.

Integers in lists, and nothing else: a call adds to three of them. What reads them makes metrics of
them (api/metrics.py).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from pyipam.errors import (
    Exhausted,
    InUse,
    InvalidRequest,
    NotHeld,
    NotManaged,
    PyipamError,
    Unavailable,
)

# The upper bounds of the durations that are counted together, in seconds. A call that waits for one
# disk takes about a millisecond; dockerd gives up after 30 seconds.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)

# The calls that are counted: those that may have to wait for the store.
COUNTED_CALLS = (
    "GetCapabilities",
    "RequestPool",
    "ReleasePool",
    "RequestAddress",
    "ReleaseAddress",
)

ANSWERED = "ok"
INVALID = "invalid"
# A call to which the program had no answer, because of a fault of its own.
FAILED = "internal_error"
_REFUSED: tuple[tuple[type[PyipamError], str], ...] = (
    (InvalidRequest, INVALID),
    (NotManaged, "not_managed"),
    (NotHeld, "not_held"),
    (InUse, "in_use"),
    (Exhausted, "exhausted"),
    (Unavailable, "unavailable"),
)
OUTCOMES = (ANSWERED, *(outcome for _, outcome in _REFUSED), FAILED)


def outcome_of(error: PyipamError) -> str:
    """In a word, why a call was refused: one of OUTCOMES."""
    return next((outcome for kind, outcome in _REFUSED if isinstance(error, kind)), FAILED)


@dataclass(slots=True)
class CallMeter:
    """The calls of one name: how many there were of each outcome, how long all of them took
    together (seconds), and how many took no longer than each of BOUNDS but longer than the one
    before; the last number counts those that took longer than all."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    seconds: float = 0.0
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def add(self, outcome: str, seconds: float) -> None:
        """Count a call. For the thread that answers calls of this name."""
        self.outcomes[outcome] += 1
        self.seconds += seconds
        self.durations[bisect_left(BOUNDS, seconds)] += 1
