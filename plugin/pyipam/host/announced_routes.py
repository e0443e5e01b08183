"""Routes in the host's kernel that a routing daemon announces: `unreachable`, of a protocol number.

They lead nowhere: whatever a host has of such a prefix is reached by the longer routes of its
networks, and the rest of it is answered with an ICMP error instead of going round in circles.
See rtnetlink(7) and the kernel's include/uapi/linux/{netlink,rtnetlink}.h.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from pyipam.host.netlink import DELETE_ROUTE, GET_ROUTE, MAIN_TABLE, NEW_ROUTE, Message, messages
from pyipam.host.route import ANNOUNCED_METRIC
from pyipam.space.block import Block

# Protocols of routes (rtnetlink.h): those that BGP daemons put into the kernel.
BIRD_PROTOCOL = 12
BGP_PROTOCOL = 186

_ERROR = 2
_DONE = 3
# Flags of messages.
_REQUEST = 0x1
_ACKNOWLEDGE = 0x4
_EXCLUSIVE = 0x200
_CREATE = 0x400
_DUMP = 0x300

_ANY_PROTOCOL = 0
_UNICAST = 1
_UNREACHABLE = 7
_ANY_SCOPE = 255
_DESTINATION = 1
_METRIC = 6
_TABLE = 15

_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_CODE = struct.Struct("=i")

_SOL_NETLINK = 270
_STRICT_CHECKS = 12
_RECEIVE_BYTES = 65536
_TIMEOUT_SECONDS = 30.0
_NET_ADMIN = 12


class ForeignRoute(FileExistsError):
    """Another route of the host stands where one is to be added: same prefix, same metric. Its
    `strerror` says whose, if that is known."""


class _Found(NamedTuple):
    """A route in the main table: its destination, who made it, its type and its metric."""

    block: Block
    protocol: int
    type: int
    metric: int


def may_change_routes() -> bool:
    """Whether this process has CAP_NET_ADMIN, by what the kernel says of it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> _NET_ADMIN & 1)
    return False


class AnnouncedRoutes:
    """The `unreachable` routes of one protocol number and of ANNOUNCED_METRIC in the main table.

    No other route is ever changed. Whoever changes them needs CAP_NET_ADMIN. To be closed.
    """

    def __init__(self, protocol: int) -> None:
        """Open a socket of netlink. `protocol` is from 1 to 255. Raises OSError."""
        self._protocol = protocol
        self._sequence = 0
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        try:
            self._socket.settimeout(_TIMEOUT_SECONDS)
            self._socket.bind((0, 0))
            # The kernel then leaves out of a dump what was not asked for, where it knows how: a
            # host may have the routes of the whole internet. What comes is looked at in any case.
            with contextlib.suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, _STRICT_CHECKS, 1)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. The routes stay."""
        self._socket.close()

    def blocks(self) -> set[Block]:
        """The destinations of the routes that are there. Raises OSError."""
        return {
            found.block
            for found in self._dump(self._protocol, _UNREACHABLE)
            if found.metric == ANNOUNCED_METRIC
        }

    def add(self, block: Block) -> None:
        """Add a route. That it is there already is fine. Raises ForeignRoute where another one has
        its place, and OSError."""
        flags = _CREATE | _EXCLUSIVE
        try:
            self._change(NEW_ROUTE, flags, block, 0)
        except FileExistsError as error:
            protocols = self._protocols_of(block)
            if self._protocol not in protocols:
                whose = f" of proto {protocols[0]}" if protocols else ""
                reason = f"the kernel has another route{whose} of this prefix and metric"
                raise ForeignRoute(error.errno, reason) from None

    def delete(self, block: Block) -> None:
        """Delete a route. That it is gone already is fine. Raises OSError."""
        try:
            self._change(DELETE_ROUTE, 0, block, _ANY_SCOPE if block.version == 4 else 0)
        except ProcessLookupError:
            return

    def learned(self, within: Iterable[Block]) -> set[Block]:
        """The destinations inside these blocks that a BGP daemon has put into the kernel: somebody
        else announces them. Raises OSError."""
        around = tuple(within)
        return {
            found.block
            for protocol in (BGP_PROTOCOL, BIRD_PROTOCOL)
            for found in self._dump(protocol, _UNICAST)
            if any(found.block.is_inside(block) for block in around)
        }

    def _change(self, kind: int, flags: int, block: Block, scope: int) -> None:
        content = _ROUTE.pack(
            _family(block.version),
            block.length,
            0,
            0,
            MAIN_TABLE,
            self._protocol,
            scope,
            _UNREACHABLE,
            0,
        )
        destination = block.start.to_bytes(block.width // 8, "big")
        content += _attribute(_DESTINATION, destination)
        content += _attribute(_METRIC, _NUMBER.pack(ANNOUNCED_METRIC))
        self._send(kind, _REQUEST | _ACKNOWLEDGE | flags, content)
        for message in self._answers():
            _raise_error(message)

    def _protocols_of(self, block: Block) -> list[int]:
        """Whose the unreachable routes of a block are that have ANNOUNCED_METRIC."""
        return [
            found.protocol
            for found in self._dump(_ANY_PROTOCOL, _UNREACHABLE)
            if (found.block, found.metric) == (block, ANNOUNCED_METRIC)
        ]

    def _dump(self, protocol: int, kind: int) -> Iterator[_Found]:
        """The routes of a protocol, or any, and of a type in the main table, in both versions."""
        for version in (4, 6):
            wanted = (0, 0, 0, 0, MAIN_TABLE, protocol, 0, kind, 0)
            content = _ROUTE.pack(_family(version), *wanted[1:])
            self._send(GET_ROUTE, _REQUEST | _DUMP, content)
            for message in self._answers():
                if message.type != NEW_ROUTE:
                    # A namespace that has never had a route has no table either.
                    with contextlib.suppress(FileNotFoundError):
                        _raise_error(message)
                    continue
                found = _read(message)
                if found is None or found.type != kind:
                    continue
                if protocol in (_ANY_PROTOCOL, found.protocol):
                    yield found

    def _send(self, kind: int, flags: int, content: bytes) -> None:
        self._sequence += 1
        length = _HEADER.size + len(content)
        self._socket.send(_HEADER.pack(length, kind, flags, self._sequence, 0) + content)

    def _answers(self) -> Iterator[Message]:
        """The messages of one answer, up to and with the one that ends it."""
        while True:
            data = self._socket.recv(_RECEIVE_BYTES)
            for message in messages(data):
                if _HEADER.unpack_from(data, message.begin - _HEADER.size)[3] != self._sequence:
                    # The rest of an answer that was not read to its end.
                    continue
                yield message
                if message.type in (_DONE, _ERROR):
                    return


def _family(version: int) -> int:
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def _attribute(name: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, name) + value + bytes(-size % 4)


def _raise_error(message: Message) -> None:
    """Raise OSError if a message ends an answer with an error."""
    (code,) = _CODE.unpack_from(message.data, message.begin)
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def _read(message: Message) -> _Found | None:
    """What a message says of a route; None if it is not in the main table."""
    data = message.data
    family, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(data, message.begin)
    start = metric = 0
    offset = message.begin + _ROUTE.size
    while offset + _ATTRIBUTE.size <= message.end:
        size, name = _ATTRIBUTE.unpack_from(data, offset)
        if size < _ATTRIBUTE.size:
            break
        value = data[offset + _ATTRIBUTE.size : offset + size]
        if name == _DESTINATION:
            start = int.from_bytes(value, "big")
        elif name == _METRIC:
            (metric,) = _NUMBER.unpack(value)
        elif name == _TABLE:
            (table,) = _NUMBER.unpack(value)
        offset += (size + 3) & ~3
    if table != MAIN_TABLE:
        return None
    return _Found(
        Block(4 if family == socket.AF_INET else 6, start, length), protocol, kind, metric
    )
