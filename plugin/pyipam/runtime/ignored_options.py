"""Options of networks that neither pyipam nor Docker knows: in the log, and kept for the status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyipam import log
from pyipam.core.clock import Clock

MAX_OPTIONS_KEPT = 100
_MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class IgnoredOption:
    """An option that had no effect, and the pool whose network was the last to have it.

    `time` is in seconds since the epoch.
    """

    time: float
    name: str
    pool: str


class IgnoredOptions:
    """The latest ones, each name once, oldest first. Any thread may add to them and read them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: dict[str, IgnoredOption] = {}

    def __iter__(self) -> Iterator[IgnoredOption]:
        # A copy, as another thread may add one meanwhile.
        return iter(list(self._latest.values()))

    def add(self, names: Iterable[str], pool: str) -> None:
        """Log the options that the network of a pool has, and keep them."""
        for name in (name[:_MAX_NAME_CHARACTERS] for name in names):
            self._latest.pop(name, None)
            self._latest[name] = IgnoredOption(self._clock.wall(), name, pool)
            log.warning("option ignored", option=name, pool=pool)
        while len(self._latest) > MAX_OPTIONS_KEPT:
            del self._latest[next(iter(self._latest))]
