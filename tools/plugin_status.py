"""The status of an installed plugin, as far as it says whether new networks can be made."""

import time
from pathlib import Path

from pyipam.cli.client import Answer, Client, Source

# A plan in a database is read in the background, and the plugin reports until then that it is away.
_RECOVERY_TIMEOUT_SECONDS = 10.0
_POLL_INTERVAL_SECONDS = 0.25


def read(path: Path) -> Answer:
    """`/v1/status` of the plugin at this socket; a plan that cannot be used is waited for a while.

    Raises CommandRefused if the socket cannot be reached from here.
    """
    client = Client(Source(str(path), path))
    end = time.monotonic() + _RECOVERY_TIMEOUT_SECONDS
    status: Answer = client.get("status")
    while status["failure"] and time.monotonic() < end:
        time.sleep(_POLL_INTERVAL_SECONDS)
        status = client.get("status")
    return status
