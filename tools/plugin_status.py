"""The status of an installed plugin, as far as it says whether new networks can be made."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

_ANSWER_TIMEOUT_SECONDS = 30.0
# A plan in a database is read in the background, and the plugin reports until then that it is away.
_RECOVERY_TIMEOUT_SECONDS = 10.0
_POLL_INTERVAL_SECONDS = 0.25


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("pyipam", timeout=_ANSWER_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def read(path: Path) -> dict[str, Any]:
    """`/v1/status` of the plugin at this socket; a plan that cannot be used is waited for a while.

    Raises OSError if the socket cannot be reached from here.
    """
    end = time.monotonic() + _RECOVERY_TIMEOUT_SECONDS
    status = _get(path)
    while status["failure"] and time.monotonic() < end:
        time.sleep(_POLL_INTERVAL_SECONDS)
        status = _get(path)
    return status


def problems(status: dict[str, Any]) -> list[str]:
    """A sentence for each thing that keeps new networks from getting a subnet."""
    found = [status["failure"]] if status["failure"] else []
    found += status["settings"]["errors"]
    if status["schema"]["new_pools_refused"]:
        found += [f"schema at {error}" for error in status["schema"]["errors"]]
    return found


def _get(path: Path) -> dict[str, Any]:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/v1/status")
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{path} answers no HTTP: {error!r}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise OSError(f"{path} answers with status {answer.status}")
    status: dict[str, Any] = json.loads(content)
    return status
