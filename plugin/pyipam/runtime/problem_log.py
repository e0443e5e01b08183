"""What keeps the plugin from serving, in the log: once when it begins, and once when it is over."""

from __future__ import annotations

from pyipam import log


class ProblemLog:
    """Logs a problem when it changes, for callers that look at it again and again."""

    def __init__(self) -> None:
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
