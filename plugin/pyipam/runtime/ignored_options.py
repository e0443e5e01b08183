"""Options of networks that neither pyipam nor Docker knows: in the log, and kept for the status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyipam import log
from pyipam.core.clock import Clock
from pyipam.runtime.latest import Latest

_MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class IgnoredOption:
    """An option that had no effect, and the pool whose network was the last to have it.

    `time` is in seconds since the epoch.
    """

    time: float
    name: str
    pool: str


class IgnoredOptions(Latest[IgnoredOption]):
    """The latest ones, each name once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def add(self, names: Iterable[str], pool: str) -> None:
        """Log the options that the network of a pool has, and keep them."""
        for name in (name[:_MAX_NAME_CHARACTERS] for name in names):
            self.keep(name, IgnoredOption(self._clock.wall(), name, pool))
            log.warning("option ignored", option=name, pool=pool)
