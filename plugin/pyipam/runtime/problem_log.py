"""What keeps the plugin from serving, in the log: once when it begins, and once when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyipam import log
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS


class ProblemLog:
    """Logs a problem when it changes, for callers that look at it again and again."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began: float | None = None
        self._logged = ""

    def report(self, problem: str | None) -> None:
        """Log the present problem, or that the last one is over, unless that was logged already.

        Details in parentheses do not count: each member of a database words them differently.
        """
        gist = "" if problem is None else problem.partition(" (")[0]
        if gist and gist != self._logged:
            log.error("the state cannot be used", reason=problem)
        elif self._logged and not gist:
            log.info("the state can be used again")
        self._logged = gist

    def report_if_it_lasts(self, problem: str | None) -> None:
        """The same of a problem that may pass before any call is refused: calls wait for as long as
        the members of a database elect another primary, if somebody only restarts one."""
        now = self._monotonic()
        if problem is None:
            self._began = None
        elif self._began is None:
            self._began = now
        has_lasted = self._began is None or now - self._began >= COMMIT_TIMEOUT_SECONDS
        if has_lasted or self._logged:
            self.report(problem)
