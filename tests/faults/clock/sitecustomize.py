"""Python imports this at startup if the folder is on its path: a wall clock that can be set.

The file named by WALL_CLOCK_FILE holds by how many seconds the clock is ahead.
"""

import os
import time
from pathlib import Path

_AHEAD = Path(os.environ["WALL_CLOCK_FILE"])
_real_time = time.time


def _wall_time() -> float:
    return _real_time() + float(_AHEAD.read_text())


time.time = _wall_time
