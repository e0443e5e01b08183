"""The commands that go to the database: recorded as they are sent, and sent once more, as a network
that held them back would deliver them."""

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
    """Keeps what is sent while it is recording."""

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
        """Only what is sent counts."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Only what is sent counts."""


# Heard by every client that is made after it is registered.
RECORDER = Recorder()
monitoring.register(RECORDER)


def names_of(commands: list[Document]) -> list[str]:
    """What the commands are called: the first member of each."""
    return [next(iter(command)) for command in commands]


def deliver(command: Mapping[str, Any], place: Place) -> Document:
    """Bring a command to a member, as it was sent; what the member says."""
    body = b"\0\0\0\0\0" + bson.encode(command)
    with socket.create_connection((place.host, place.port), timeout=10) as connection:
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
