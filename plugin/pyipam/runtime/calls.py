"""Whether calls of Docker are being answered: what can wait lets them pass."""

from __future__ import annotations

import time

_WAIT_SECONDS = 0.0002
# Under a load that never ends, a view still goes on: it then takes a moment of each ten
# milliseconds.
_MOST_WAITS = 50


class Calls:
    """Said by the loop; asked by the threads of the views, between two moments of work."""

    def __init__(self) -> None:
        self._in_progress = False

    def begin(self) -> None:
        """Calls have come."""
        self._in_progress = True

    def end(self) -> None:
        """They are answered."""
        self._in_progress = False

    def let_pass(self) -> None:
        """Wait until no call is in progress, for ten milliseconds at most."""
        for _ in range(_MOST_WAITS):
            if not self._in_progress:
                return
            time.sleep(_WAIT_SECONDS)
