"""The on-link routes of the host, read from the kernel and kept up to date by what it reports.

See "Routes of the host" in docs/architecture.md.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
from collections.abc import Iterable, Sequence

from pyipam import log
from pyipam.host import netlink, report_filter
from pyipam.host.netlink import Message, RouteMessage, read_route
from pyipam.host.route import HostRoutes, NoRoutes, Route, RouteChange
from pyipam.host.route_table import RouteTable
from pyipam.space.block import Block

# How long `watch` waits at most for the routes to be read. A table of a million routes takes some
# seconds; then they count as soon as they are known.
_FIRST_READING_SECONDS = 2.0


def open_host_routes() -> HostRoutes:
    """The routes of the network namespace that the process is in; none, with a warning in the log,
    where the kernel does not tell them."""
    try:
        return KernelRoutes(netlink.open_reports())
    except OSError as error:
        return NoRoutes(_warn(error))


def routes_over(blocks: Iterable[Block]) -> list[Route]:
    """The routes of this host that overlap the blocks now; none where the kernel does not tell
    them."""
    try:
        routes = KernelRoutes(netlink.open_reports())
    except OSError:
        return []
    with contextlib.closing(routes):
        routes.watch(blocks)
        return sorted({change.route for change in routes.take_changes() if change.times > 0})


def _warn(error: OSError) -> str:
    failure = (
        f"the routes of the host cannot be read ({error.strerror or error}), so automatic blocks "
        "may overlap them; Docker refuses such blocks for IPv4 only"
    )
    log.warning("the operator must act", reason=failure)
    return failure


class KernelRoutes:
    """Implements HostRoutes over a socket on which the kernel reports changes.

    All routes are read at the start, when others are to be watched, and when reports were lost:
    in a thread of its own, while the calls go on with what is known. The lock guards what is known
    and what is watched; that thread takes it to put what it has read in place. If other routes are
    to be watched meanwhile, all are read again.
    """

    def __init__(self, reports: socket.socket) -> None:
        self.failure: str | None = None
        self._reports = reports
        self._poll = select.poll()
        self._poll.register(reports, select.POLLIN)
        self._lock = threading.Lock()
        self._closed = False
        # What follows needs the lock.
        self._watched: tuple[Block, ...] | None = None
        self._blocks: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        self._table = RouteTable({4: frozenset(), 6: frozenset()}, _name_of)
        # While all routes are being read: what was reported since that began.
        self._meanwhile: list[Message] | None = None
        self._must_read_again = False
        self._was_read = threading.Event()

    def watch(self, blocks: Iterable[Block]) -> None:
        blocks = tuple(blocks)
        with self._lock:
            if blocks == self._watched:
                return
            self._watched = blocks
            self._blocks = {
                version: [block[1:] for block in blocks if block.version == version]
                for version in (4, 6)
            }
            # Without the filter, more is reported than is needed.
            with contextlib.suppress(OSError):
                report_filter.attach(self._reports, blocks)
            self._was_read.clear()
            self._begin_reading()
        self._was_read.wait(_FIRST_READING_SECONDS)

    def take_changes(self) -> Sequence[RouteChange]:
        with self._lock:
            self._take_reports()
            changes = self._table.changes
            if not changes:
                return ()
            taken = [RouteChange(route, count) for route, count in changes.items()]
            changes.clear()
            return taken

    def keep_up(self) -> None:
        with self._lock:
            self._take_reports()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._reports.close()

    # What the kernel reports. Needs the lock.

    def _take_reports(self) -> None:
        while not self._closed and self._poll.poll(0):
            try:
                data = netlink.receive(self._reports)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self._fail(error)
                    return
                # More was reported than there was room for, and is lost.
                self._begin_reading()
                continue
            for message in netlink.messages(data):
                if self._meanwhile is not None:
                    self._meanwhile.append(message)
                self._take(self._table, message)

    def _take(self, table: RouteTable, message: Message) -> None:
        if message.type in (netlink.NEW_ROUTE, netlink.DELETE_ROUTE):
            route = read_route(message, self._is_watched)
            if route is not None:
                table.take(route)
        elif message.type in (netlink.NEW_LINK, netlink.DELETE_LINK):
            if not netlink.is_link_up(message):
                table.drop_ipv4_routes(netlink.index_of_link(message))
        elif message.type == netlink.DELETE_ADDRESS:
            # With its last address, an interface silently loses its other IPv4 routes.
            if table.has_ipv4_routes(netlink.index_of_link(message)):
                self._begin_reading()
        elif message.type in (netlink.NEW_RULE, netlink.DELETE_RULE):
            self._begin_reading()

    def _is_watched(self, version: int, start: int, length: int) -> bool:
        width = 32 if version == 4 else 128
        for watched_start, watched_length in self._blocks[version]:
            shift = width - min(length, watched_length)
            if start >> shift == watched_start >> shift:
                return True
        return False

    # All routes, read again

    def _begin_reading(self) -> None:
        """Read all routes in a thread. Needs the lock."""
        if self._meanwhile is not None:
            self._must_read_again = True
            return
        self._meanwhile = []
        threading.Thread(target=self._read_until_current, name="routes", daemon=True).start()

    def _read_until_current(self) -> None:
        while not self._closed:
            try:
                tables, found = self._read_all()
            except OSError as error:
                with self._lock:
                    self._fail(error)
                    self._meanwhile = None
                    self._must_read_again = False
                    self._was_read.set()
                return
            with self._lock:
                self._take_reports()
                self._replace(tables, found)
                if not self._must_read_again:
                    self._meanwhile = None
                    self._was_read.set()
                    return
                self._must_read_again = False
                self._meanwhile = []

    def _read_all(self) -> tuple[dict[int, frozenset[int]], list[RouteMessage]]:
        """Which tables count, by IP version, and what of their routes is watched."""
        tables = {}
        found = []
        for version in (4, 6):
            tables[version] = _tables(version)
            for message in netlink.dump(netlink.GET_ROUTE, version):
                if message.type == netlink.NEW_ROUTE:
                    route = read_route(message, self._is_watched)
                    if route is not None:
                        # The flag says something else in a dump.
                        found.append(route._replace(replaces=False))
        return tables, found

    def _replace(self, tables: dict[int, frozenset[int]], found: list[RouteMessage]) -> None:
        before = self._table
        after = RouteTable(tables, _name_of)
        for told in found:
            after.take(told)
        for message in self._meanwhile or ():
            self._take(after, message)
        # What was not told of before, and what is different now.
        after.changes = before.changes
        after.changes.update(after.routes)
        after.changes.subtract(before.routes)
        for route in [route for route, count in after.changes.items() if not count]:
            del after.changes[route]
        self._table = after
        self.failure = None

    def _fail(self, error: OSError) -> None:
        if self.failure is None:
            self.failure = _warn(error)


def _tables(version: int) -> frozenset[int]:
    try:
        return netlink.tables_for_all(netlink.dump(netlink.GET_RULE, version))
    except OSError:
        # A kernel without policy routing has the usual tables only.
        return netlink.tables_for_all(iter(()))


def _name_of(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"interface {index}"
