"""The floor: the plugin's own server with a handler that only appends a line and syncs it.

What the plugin costs more than this is the cost of what it decides and writes; the floor itself is
waitress, Falcon, the socket and the disk. `python -m bench.floor SOCKET FILE [ROOM]` serves it,
over a file that grows with each line, or over one with ROOM bytes allocated in advance.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

import falcon

from pyipam.driver_names import MAIN_DRIVER
from pyipam.errors import PyipamError
from pyipam.files import write_all
from pyipam.runtime.calls import Calls
from pyipam.runtime.meters import CallMeter
from pyipam.runtime.route_news import RouteNews
from pyipam.serving import loop
from pyipam.settings import Alias

_LINE = b"-" * 99 + b"\n"
# A valid answer to either call.
_ANSWER = b'{"Address":"100.64.0.2/12","PoolID":"local/10.0.0.0/24","Data":{}}'
_BACKLOG = 1024
_CALLS = ("RequestAddress", "ReleaseAddress", "RequestPool", "ReleasePool")


class WithoutPlan:
    """What the server needs from a plugin besides its commits, for one that has no plan."""

    has_shared_plan = False
    calls = Calls()
    # Nothing is counted.
    meters: Mapping[str, CallMeter] = MappingProxyType({})
    is_loading = False
    route_news = RouteNews()

    def wait_until_loaded(self, seconds: float) -> None:
        """Return at once: nothing has to be loaded."""

    def look_ahead(self) -> None:
        """Do nothing: the next call is like this one."""

    def note_refusal(self, call: str, error: PyipamError) -> None:
        """Never called: no call is refused."""
        raise AssertionError(call) from error

    def start_threads(self) -> None:
        """Do nothing: there is no background work."""


class Lines(WithoutPlan):
    """A file that lines are appended to, in place of a plugin: one sync for each commit.

    If there is room, the lines are written over zeros that are already on the disk, as in the
    plugin's journal. At the end of the room, they start over at the beginning of the file.
    """

    def __init__(self, path: Path, room: int = 0) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        write_all(self._descriptor, bytes(room))
        os.fsync(self._descriptor)
        self._room = room
        self._end = 0
        self.due = 0

    def commit(self, calls: Sequence[Callable[[], None]], _within: float) -> None:
        """Make the calls, and sync their lines with one sync."""
        self.due = 0
        for call in calls:
            call()
        lines = _LINE * self.due
        if self._room and self._end + len(lines) > self._room:
            self._end = 0
        os.pwrite(self._descriptor, lines, self._end)
        os.fdatasync(self._descriptor)
        self._end += len(lines)


class Append:
    """The handler."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def on_post(self, _: falcon.Request, response: falcon.Response) -> None:
        self._lines.due += 1
        response.data = _ANSWER


def serve(path: Path, resource: object, plugin: loop.ServedPlugin) -> None:
    """Serve every call of Docker's driver with one resource, until SIGTERM. `plugin` makes the
    commits."""
    signal.signal(signal.SIGTERM, _stop)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(_BACKLOG)

    def make_app(_alias: Alias) -> falcon.App[Any, Any]:
        app = falcon.App(media_type=falcon.MEDIA_JSON)
        for call in _CALLS:
            app.add_route(f"/IpamDriver.{call}", resource)
        return app

    loop.serve(plugin, {Alias(MAIN_DRIVER): listener}, make_app)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main(socket_path: str, file: str, room: str = "0") -> None:
    """Serve the floor at a socket, over a file with so many bytes of room."""
    lines = Lines(Path(file), int(room))
    serve(Path(socket_path), Append(lines), lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
