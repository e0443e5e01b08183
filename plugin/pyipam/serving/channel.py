"""Waitress's connections, for answers that are computed some time before they are sent.

dockerd sends the same few heads of requests again and again, and gets the same few heads of
answers back. So a head that came before is not read again, and one that was written in the same
second is not written again.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from waitress.buffers import OverflowableBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import FixedStreamReceiver
from waitress.task import ErrorTask, WSGITask

from pyipam.api.app import REFUSALS, refusal_body
from pyipam.api.engine import ENGINE, engine_of
from pyipam.errors import InvalidRequest, PyipamError

_LOOK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_MOST_HEADS = 256
_LONGEST_HEAD = 1024
# dockerd sends a request as a whole, and gives up the call that waits for a connection after 30.
SECONDS_WITHOUT_PROGRESS = 10.0

# The expressions of waitress try again from each byte of a line that is none, and of blanks: a
# head of some kilobytes would keep them busy for minutes, and everybody waiting.
_LONG_LINE = 256
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^ ]+( HTTP/[0-9]\.[0-9])?")
_MANY_BLANKS = b" " * 256
_TABS_TO_BLANKS = bytes.maketrans(b"\t", b" ")


@dataclass(frozen=True)
class _Reply:
    """An answer that was computed and is not sent yet."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def _refused(status: str, error: PyipamError) -> _Reply:
    return _Reply(status, [("Content-Type", "application/json")], refusal_body(error))


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request, read from its head and its body."""

    # What the bytes of a head say; nothing in it is changed afterwards.
    _known: ClassVar[dict[bytes, dict[str, Any]]] = {}
    # By server, what does not differ between requests with this head; None where it is forgotten.
    environments: dict[object, dict[str, Any]] | None = None

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.begun = time.monotonic()

    def parse_header(self, head: bytes) -> None:
        """Read the head, or remember what the very same bytes said before."""
        known = self._known.get(head)
        if known is None:
            before = set(vars(self))
            self._read_header(head)
            if len(head) <= _LONGEST_HEAD and not self.chunked and not self.expect_continue:
                self._remember(head, before)
            return
        self.__dict__.update(known)
        if self.content_length > 0:
            buffer = OverflowableBuffer(self.adj.inbuf_overflow)
            self.body_rcv = FixedStreamReceiver(self.content_length, buffer)

    def _read_header(self, head: bytes) -> None:
        line, _, fields = head.partition(b"\r\n")
        if len(line) > _LONG_LINE and not _REQUEST_LINE.fullmatch(line.rstrip()):
            raise ParsingError("Start line is invalid")
        if _MANY_BLANKS in fields.translate(_TABS_TO_BLANKS, b"\r\n"):
            raise ParsingError(f"{len(_MANY_BLANKS)} blanks in a row")
        try:
            super().parse_header(head)
        except ValueError as error:
            raise ParsingError(str(error)) from error

    @classmethod
    def count_known(cls) -> int:
        """How many heads are remembered."""
        return len(cls._known)

    def _remember(self, head: bytes, before: set[str]) -> None:
        if len(self._known) >= _MOST_HEADS:
            self._known.clear()
        said = vars(self).keys() - before - {"body_rcv"} | {"headers"}
        self._known[head] = {name: getattr(self, name) for name in said} | {"environments": {}}


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """A request that waitress could not read: refused in the words that Docker reads."""

    def execute(self) -> None:
        error = self.request.error
        reply = _refused(
            f"{error.code} {error.reason}",
            InvalidRequest(f"the request cannot be read: {error.reason} ({error.body})"),
        )
        self.status = reply.status
        self.response_headers.extend(reply.headers)
        self.set_close_on_finish()
        self.content_length = len(reply.body)
        self.write(reply.body)


# Nothing of a request is kept for the next one.
_OF_ONE_REQUEST = dict.fromkeys(("wsgi.input", "waitress.client_disconnected"))


class _Task(WSGITask):  # type: ignore[misc]
    """A request whose answer may be computed some time before it is sent. `refusals` are the
    calls that were refused while it was, to be noted once the answer counts."""

    reply: _Reply | None = None
    refusals: Sequence[tuple[str, PyipamError]] = ()

    def get_environment(self) -> dict[str, Any]:
        environments, server = self.request.environments, self.channel.server
        environment: dict[str, Any]
        if environments is None:
            environment = super().get_environment()
        else:
            if server not in environments:
                environments[server] = {**super().get_environment(), **_OF_ONE_REQUEST}
            environment = environments[server].copy()
            environment["wsgi.input"] = self.request.get_body_stream()
            environment["waitress.client_disconnected"] = self.channel.check_client_disconnected
        environment[ENGINE] = self.channel.engine
        return environment

    def compute(self) -> None:
        """Run the application, and keep its answer."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started.append((status, headers))

        environment = self.get_environment()
        environment[REFUSALS] = self.refusals = []
        body = self.channel.server.application(environment, start_response)
        self.reply = _Reply(*started[-1], b"".join(body))

    def execute(self) -> None:
        """Send the answer; in a thread, compute it first."""
        if self.reply is None:
            super().execute()
            return
        self.complete = True
        self.channel.write_at_once(self._head(self.reply) + self.reply.body)
        self.wrote_header = True
        self.content_bytes_written = len(self.reply.body)

    def _head(self, reply: _Reply) -> bytes:
        # What a request says about the connection decides what its answer says.
        if self.version != "1.1" or "CONNECTION" in self.request.headers:
            return self._written_head(reply)
        known = _heads_of(int(self.start_time))
        key = (reply.status, tuple(reply.headers), len(reply.body))
        if key not in known:
            known[key] = self._written_head(reply)
        return known[key]

    def _written_head(self, reply: _Reply) -> bytes:
        self.status = reply.status
        self.response_headers.extend(reply.headers)
        self.content_length = len(reply.body)
        head: bytes = self.build_response_header()
        return head


@lru_cache(maxsize=1)
def _heads_of(_second: int) -> dict[tuple[object, ...], bytes]:
    """The heads of answers that were written in this second, whose date they bear."""
    return {}


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection. `engine` is the run of the engine that made it: see api.engine."""

    parser_class = Request
    error_task_class = _ErrorTask
    prepared: _Task | None = None
    _unsent = 0
    _unsent_since = 0.0

    def __init__(self, server: Any, connection: socket.socket, *rest: Any, **named: Any) -> None:
        # Here, as a client that is gone is not a client any more when its call is answered.
        self.engine = engine_of(connection)
        super().__init__(server, connection, *rest, **named)

    def prepare(self) -> None:
        """Compute the answer to the request that is waiting, to be sent by `service`. Anew, when
        the answer did not become true."""
        request = self.requests[0]
        if self.prepared is not None:
            request.get_body_stream().seek(0)
        if not request.error:
            self.prepared = _Task(self, request)
            self.prepared.compute()

    def refusals(self) -> Sequence[tuple[str, PyipamError]]:
        """The calls that were refused while the answer was computed, and why."""
        return () if self.prepared is None else self.prepared.refusals

    def is_left(self) -> bool:
        """Whether the client has closed the connection."""
        try:
            return not self.connected or self.socket.recv(1, _LOOK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def drop_requests(self) -> None:
        """Answer nothing of what has come."""
        with self.requests_lock:
            self.requests.clear()
        self.server.pull_trigger()

    def refuse(self, error: PyipamError) -> None:
        """Send this instead of an answer that did not become true, or was not even computed."""
        request = self.requests[0]
        if not request.error:
            self.prepared = self.prepared or _Task(self, request)
            self.prepared.reply = _refused("503 Service Unavailable", error)

    def task_class(self, channel: Channel, request: Any) -> _Task:
        """What `service` sends: the prepared answer, if there is one."""
        task, self.prepared = self.prepared, None
        return task or _Task(channel, request)

    def write_at_once(self, data: bytes) -> None:
        """Send the data in one system call; what is not taken waits as waitress lets it wait."""
        if not self.connected:
            raise ClientDisconnected
        sent = 0 if self.total_outbufs_len else self.send(data, do_close=False)
        if sent < len(data):
            self.write_soon(data[sent:])

    def _flush_outbufs_below_high_watermark(self) -> None:
        # A thread may wait here until the client has read. The loop is what sends to it.
        if threading.get_ident() != self.server.loop_thread:
            super()._flush_outbufs_below_high_watermark()

    def makes_no_progress(self, now: float) -> bool:
        """Whether a request has not come whole, or no byte of an answer was taken, for too long.
        To be asked every few seconds; `now` is of the monotonic clock."""
        unsent = self.total_outbufs_len
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        longest = now - SECONDS_WITHOUT_PROGRESS
        request_is_late = self.request is not None and self.request.begun < longest
        return request_is_late or (unsent > 0 and self._unsent_since < longest)
