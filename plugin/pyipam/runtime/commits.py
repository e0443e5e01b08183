"""The calls of Docker as commits of the core, and what becomes of them before there is one.

dockerd enables a plugin, and starts itself, only when its announcement (`GetCapabilities`) has
been answered. So announcements are answered while the plan is still being loaded, and take effect
before anything else does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from pyipam import log
from pyipam.core.ipam import Ipam
from pyipam.errors import StoreFailure
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS

Result = TypeVar("Result")


class Commits:
    """Commits to the core, once `use` has handed it in. Until then, calls are made without a
    commit, and announcements are remembered.

    Whoever has no core, or early announcements to make up for, holds the lock; otherwise the core
    keeps its own order.
    """

    def __init__(self) -> None:
        self.ipam: Ipam | None = None
        # Driver names and engines, in the order of their announcements.
        self._early: list[tuple[str, str]] = []
        # Held while calls are made without a core, so that none is handed in meanwhile and misses
        # their announcements; and while those take effect, so that they do so once.
        self._early_lock = threading.Lock()

    def use(self, ipam: Ipam) -> None:
        """Commit to this core from now on, beginning with the announcements that came early."""
        with self._early_lock:
            self.ipam = ipam
        if self._early:
            try:
                self.commit((), COMMIT_TIMEOUT_SECONDS)
            except StoreFailure as error:
                # The next commit tries again.
                log.warning("an announced epoch could not begin yet", reason=error)

    def announce(self, driver: str, engine: str) -> None:
        """Begin an epoch: see Ipam.begin_epoch. To be called in a call of `commit`.

        Without a core, the epoch begins with the first commit.
        """
        if self.ipam is None:
            self._early.append((driver, engine))
        else:
            self.ipam.begin_epoch(driver, engine)

    def commit(self, calls: Sequence[Callable[[], Result]], within: float) -> list[Result]:
        """Make the calls as one commit: see Ipam.commit. `within` is in seconds."""
        if self.ipam is not None and not self._early:
            return self.ipam.commit(calls, within)
        with self._early_lock:
            if self.ipam is None:
                return [call() for call in calls]
            early = list(self._early)
            begin: list[Callable[[], Any]] = [
                partial(self.ipam.begin_epoch, driver, engine) for driver, engine in early
            ]
            results = self.ipam.commit([*begin, *calls], within)
            del self._early[: len(early)]
            return results[len(early) :]
