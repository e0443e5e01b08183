"""Commands to the database: recorded when they are sent, and sent again later, as a network that
delays them would do."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import bson
from pymongo import monitoring

from tests.support.mongodb.replica_set import Document, Place

_OP_MSG = 2013


class Recorder(monitoring.CommandListener):
    """Keeps the commands that are sent while it is recording."""

    def __init__(self) -> None:
        self._recordings: list[list[Document]] = []

    @contextmanager
    def recording(self) -> Iterator[list[Document]]:
        """The commands that are sent from here on, until the block ends."""
        commands: list[Document] = []
        self._recordings.append(commands)
        try:
            yield commands
        finally:
            self._recordings.remove(commands)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        for commands in self._recordings:
            commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Does nothing: only what is sent is recorded."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Does nothing: only what is sent is recorded."""


# Used by every client that is created after this.
RECORDER = Recorder()
monitoring.register(RECORDER)


def names_of(commands: list[Document]) -> list[str]:
    """The names of the commands: the first key of each."""
    return [next(iter(command)) for command in commands]


def deliver(command: Mapping[str, Any], place: Place) -> Document:
    """Send a command to a member, as it was recorded. Returns the reply."""
    body = b"\0\0\0\0\0" + bson.encode(command)
    with socket.create_connection((place.host, place.port), timeout=60) as connection:
        connection.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body)
        (size,) = struct.unpack("<i", _exactly(connection, 4))
        reply = _exactly(connection, size - 4)
    return bson.decode(reply[17:])


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        assert part, "the member has closed the connection"
        found += part
    return found
