"""Messages of rtnetlink: what is asked of the kernel, and what it says about routes.

See netlink(7), rtnetlink(7), and the kernel's include/uapi/linux/{netlink,rtnetlink,fib_rules}.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

# Types of messages.
_ERROR = 2
_DONE = 3
NEW_LINK = 16
DELETE_LINK = 17
DELETE_ADDRESS = 21
NEW_ROUTE = 24
DELETE_ROUTE = 25
GET_ROUTE = 26
NEW_RULE = 32
DELETE_RULE = 33
GET_RULE = 34
# Flags of messages.
_REQUEST = 0x1
_REPLACE = 0x100
_DUMP = 0x300
# Groups of reports, as a mask for bind: links, IPv4 addresses, routes and rules of both versions.
_GROUPS = sum(1 << (group - 1) for group in (1, 5, 7, 8, 11, 19))

UNICAST = 1
MAIN_TABLE = 254
_DEFAULT_TABLE = 253
LOCAL_TABLE = 255
IS_UP = 0x1
LOOPBACK_INDEX = 1

_DESTINATION = 1
_INTERFACE = 4
_GATEWAY = 5
_METRIC = 6
_NEXT_HOPS = 9
_TABLE = 15
_VIA = 18

_GO_TO_TABLE = 1
_RULE_INVERT = 0x2
_RULE_MARK = 10
_RULE_TABLE = 15
_RULE_MARK_MASK = 16
# Attributes of a rule that do not narrow what it matches: its priority, the table and how much of
# that counts, the mark, which is looked at by itself, and who made the rule.
_RULE_NOT_NARROWING = {6, 10, 13, 14, 15, 16, 18, 21}

_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_NEXT_HOP = struct.Struct("=HBBi")
_NUMBER = struct.Struct("=I")

# As much as the kernel packs into one piece of a dump: so little that no thread waits long for the
# interpreter while a piece is read.
_DUMP_PIECE_BYTES = 8192
_REPORT_BYTES = 65536
# One dump may keep the kernel busy, but not for as long as this.
_DUMP_TIMEOUT_SECONDS = 30.0

IsWatched = Callable[[int, int, int], bool]


class Message(NamedTuple):
    """A message: its type, its flags, and where its content begins and ends in the data."""

    type: int
    flags: int
    data: bytes
    begin: int
    end: int


class RouteMessage(NamedTuple):
    """What the kernel says about a route.

    The first six members tell it from every other one: IP version, table, first address, prefix
    length, type of service, metric. `interfaces` are the indexes of those through which its
    destination is reached directly: none, if it leads through gateways or nowhere. `is_new` says
    that the route is there, and not gone; `replaces`, that it takes the place of another one.
    """

    version: int
    table: int
    start: int
    length: int
    service: int
    metric: int
    interfaces: tuple[int, ...]
    is_new: bool
    replaces: bool


def open_reports() -> socket.socket:
    """A socket on which the kernel reports changes. Raises OSError."""
    reports = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        reports.setblocking(False)
        # The kernel gives as much as it may, if that is less.
        reports.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        reports.bind((0, _GROUPS))
    except BaseException:
        reports.close()
        raise
    return reports


def receive(reports: socket.socket) -> bytes:
    """What the kernel has reported; raises BlockingIOError if that is nothing."""
    return reports.recv(_REPORT_BYTES)


def dump(request: int, version: int) -> Iterator[Message]:
    """Everything that the kernel has of a kind (GET_ROUTE, GET_RULE). Raises OSError."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as asking:
        asking.settimeout(_DUMP_TIMEOUT_SECONDS)
        asking.bind((0, 0))
        content = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        length = _HEADER.size + len(content)
        asking.send(_HEADER.pack(length, request, _REQUEST | _DUMP, 1, 0) + content)
        while True:
            for message in messages(asking.recv(_DUMP_PIECE_BYTES)):
                if message.type in (_DONE, _ERROR):
                    _check_end(message)
                    return
                yield message


def _check_end(message: Message) -> None:
    (code,) = struct.unpack_from("=i", message.data, message.begin)
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def messages(data: bytes) -> Iterator[Message]:
    """The messages in what the kernel has sent at once."""
    offset, size = 0, len(data)
    while offset + _HEADER.size <= size:
        length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
        end = offset + length
        if length < _HEADER.size or end > size:
            return
        yield Message(kind, flags, data, offset + _HEADER.size, end)
        offset = (end + 3) & ~3


def read_route(message: Message, is_watched: IsWatched) -> RouteMessage | None:
    """Read a message about a route; None if `is_watched` does not want its destination, given as
    IP version, first address and prefix length. Most of a large table is passed over so."""
    kind, flags, data, begin, end = message
    family, length, _, service, table, _, _, route_type, _ = _ROUTE.unpack_from(data, begin)
    if not length or table == LOCAL_TABLE:
        return None
    version = 4 if family == socket.AF_INET else 6
    start = -1
    interface = metric = 0
    direct = route_type == UNICAST
    hops: tuple[int, ...] | None = None
    offset = begin + _ROUTE.size
    while offset + 4 <= end:
        size, name = _ATTRIBUTE.unpack_from(data, offset)
        if size < 4:
            break
        if name == _DESTINATION:
            start = int.from_bytes(data[offset + 4 : offset + size], "big")
            if not is_watched(version, start, length):
                return None
        elif name == _TABLE:
            (table,) = _NUMBER.unpack_from(data, offset + 4)
        elif name == _INTERFACE:
            (interface,) = _NUMBER.unpack_from(data, offset + 4)
        elif name == _METRIC:
            (metric,) = _NUMBER.unpack_from(data, offset + 4)
        elif name in (_GATEWAY, _VIA):
            direct = False
        elif name == _NEXT_HOPS:
            hops = _direct_hops(data, offset + 4, offset + size)
        offset += (size + 3) & ~3
    if start < 0:
        return None
    if hops is None:
        hops = (interface,) if direct and interface else ()
    is_new, replaces = kind == NEW_ROUTE, bool(flags & _REPLACE)
    return RouteMessage(
        version, table, start, length, service, metric, hops, is_new, is_new and replaces
    )


def _direct_hops(data: bytes, offset: int, end: int) -> tuple[int, ...]:
    """The interfaces of the next hops that are reached without a gateway."""
    found = []
    while offset + _NEXT_HOP.size <= end:
        size, _, _, interface = _NEXT_HOP.unpack_from(data, offset)
        if size < _NEXT_HOP.size:
            break
        names = {name for name, _ in _attributes(data, offset + _NEXT_HOP.size, offset + size)}
        if not names & {_GATEWAY, _VIA}:
            found.append(interface)
        offset += (size + 3) & ~3
    return tuple(found)


def _attributes(data: bytes, offset: int, end: int) -> Iterator[tuple[int, int]]:
    """The names of the attributes, each with where its value begins."""
    while offset + 4 <= end:
        size, name = _ATTRIBUTE.unpack_from(data, offset)
        if size < 4:
            return
        yield name, offset + 4
        offset += (size + 3) & ~3


def index_of_link(message: Message) -> int:
    """The index of the interface that a message about a link or an address is about."""
    (index,) = _NUMBER.unpack_from(message.data, message.begin + 4)
    return int(index)


def is_link_up(message: Message) -> bool:
    """Whether the interface of a message about a link is there and up. When it goes down, the
    kernel drops its IPv4 routes without a word about them."""
    (flags,) = _NUMBER.unpack_from(message.data, message.begin + 8)
    return message.type == NEW_LINK and bool(flags & IS_UP)


def tables_for_all(rules: Iterator[Message]) -> frozenset[int]:
    """The tables in which every packet without a mark is looked up, by a dump of the rules: main,
    and such as a VPN adds for itself."""
    tables = {MAIN_TABLE, _DEFAULT_TABLE}
    for message in rules:
        table = _table_for_all(message)
        if table is not None and table != LOCAL_TABLE:
            tables.add(table)
    return frozenset(tables)


def _table_for_all(message: Message) -> int | None:
    """The table that the rule leads every packet without a mark to, or None."""
    data = message.data
    # struct fib_rule_hdr is laid out as struct rtmsg.
    _, to_length, from_length, service, table, _, _, action, flags = _ROUTE.unpack_from(
        data, message.begin
    )
    values = dict(_attributes(data, message.begin + _ROUTE.size, message.end))
    if action != _GO_TO_TABLE or to_length or from_length or service:
        return None
    if values.keys() - _RULE_NOT_NARROWING:
        return None

    def number(name: int, default: int) -> int:
        return int(_NUMBER.unpack_from(data, values[name])[0]) if name in values else default

    mark = number(_RULE_MARK, 0)
    matches = not mark & number(_RULE_MARK_MASK, 0xFFFFFFFF if mark else 0)
    if matches == bool(flags & _RULE_INVERT):
        return None
    return number(_RULE_TABLE, table)
