"""Time, handed in: a test moves it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Two clocks, both in seconds: the wall clock for records and people, the monotonic one for
    waiting; and how to wait for so many."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
