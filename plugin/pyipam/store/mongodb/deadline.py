"""Until when a commit may take."""

from __future__ import annotations

import time

# A client that is given no time waits without limit.
_MIN_SECONDS = 0.001


class Deadline:
    """The moment at which a commit has to have ended, on the monotonic clock."""

    def __init__(self, within: float) -> None:
        """`within` is in seconds from now."""
        self._end = time.monotonic() + within

    @property
    def seconds_left(self) -> float:
        """The seconds until then, always more than zero."""
        return max(self._end - time.monotonic(), _MIN_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether that time has come."""
        return time.monotonic() >= self._end
