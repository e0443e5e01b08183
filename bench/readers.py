"""Calls while somebody looks: RequestAddress at c=1, with and without a reader of a view.

`python -m bench.readers SOCKET PATH...` reads a view every 50 ms, in a process of its own, until it
is ended; one after the other, if there are several.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from bench import servers
from bench.client import Connection
from bench.latency import REQUEST_ADDRESS, turn
from bench.samples import Samples
from bench.servers import Server

INTERVAL_SECONDS = 0.05
NOBODY = "nobody"


def measure(
    server: Server, views: Mapping[str, Sequence[str]], rounds: int, calls: int
) -> dict[str, Samples]:
    """The calls of each round: while nobody reads, and while each view (its paths by its name) is
    read, in turns."""
    found = {name: Samples() for name in (NOBODY, *views)}
    with Connection(server.socket) as connection:
        for _ in range(rounds):
            found[NOBODY].add(*turn(connection, REQUEST_ADDRESS, calls))
            for name, paths in views.items():
                with _reader(server.socket, paths):
                    found[name].add(*turn(connection, REQUEST_ADDRESS, calls))
    return found


@contextmanager
def _reader(path: Path, views: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.readers", str(path), *views]
    with subprocess.Popen(command, cwd=servers.ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            # It has read each view once.
            assert process.stdout.readline() == b"reading\n"
            yield
        finally:
            process.send_signal(signal.SIGTERM)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def main(arguments: Sequence[str]) -> None:
    """Read the views at the socket, over and over."""
    path, *views = arguments
    connection = _Connection(path)
    for number, view in enumerate(cycle(views), start=1):
        connection.request("GET", view)
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status
        if number == len(views):
            os.write(1, b"reading\n")
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
