"""Waitress's connections, for answers that are computed some time before they are sent.

dockerd sends the same few request heads again and again, and gets the same few response heads. So
a head that came before is not parsed again, and one that was written in the same second is not
written again. In a RequestAddress at c=1 the first saves 25 %, the second 10 %.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs

from waitress.buffers import BytesIOBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import FixedStreamReceiver
from waitress.task import ErrorTask, WSGITask

from pyipam.api.app import REFUSALS, VIEW_PATHS, refusal_body
from pyipam.api.catalogue import MOST_SECONDS_TO_WAIT
from pyipam.api.engine import ENGINE, engine_of
from pyipam.api.views import ROUTES_PATH, UNCHANGED
from pyipam.errors import InvalidRequest, PyipamError
from pyipam.runtime.meters import ANSWERED, FAILED, INVALID, outcome_of

_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_MAX_KNOWN_HEADS = 256
_MAX_KNOWN_HEAD_BYTES = 1024
# dockerd sends a request as a whole, and gives up a call after 30 seconds.
PROGRESS_TIMEOUT_SECONDS = 10.0

# Waitress's regular expressions backtrack from each byte of a malformed request line, and of a run
# of blanks: a head of a few kilobytes would keep the loop busy for minutes.
_MAX_UNCHECKED_LINE_BYTES = 256
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^ ]+( HTTP/[0-9]\.[0-9])?")
_TOO_MANY_BLANKS = b" " * 256
_TABS_TO_BLANKS = bytes.maketrans(b"\t", b" ")


class _Reply(NamedTuple):
    """An answer that was computed and has not been sent yet."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def _refused(status: str, error: PyipamError) -> _Reply:
    return _Reply(status, [("Content-Type", "application/json")], refusal_body(error))


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request, parsed from its head and its body. `begun` is when its first byte came
    (monotonic seconds), `path_served` its path as the application gets it."""

    # By the bytes of a head, the attributes that it parses to. They are never changed.
    _known: ClassVar[dict[bytes, dict[str, Any]]] = {}
    # By server, the part of the WSGI environment that all requests with this head share. None if
    # the head is not among the known ones.
    environments: dict[object, dict[str, Any]] | None = None
    path_served = ""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.begun = time.monotonic()

    def parse_header(self, head: bytes) -> None:
        """Parse the head, unless the very same bytes were parsed before."""
        known = self._known.get(head)
        if known is None:
            before = set(vars(self))
            self._parse_anew(head)
            if len(head) <= _MAX_KNOWN_HEAD_BYTES and not self.chunked and not self.expect_continue:
                self._remember(head, before)
            return
        self.__dict__.update(known)
        if self.content_length > 0:
            self.body_rcv = FixedStreamReceiver(self.content_length, BytesIOBasedBuffer())

    def _parse_anew(self, head: bytes) -> None:
        line, _, fields = head.partition(b"\r\n")
        if len(line) > _MAX_UNCHECKED_LINE_BYTES and not _REQUEST_LINE.fullmatch(line.rstrip()):
            raise ParsingError("Start line is invalid")
        if _TOO_MANY_BLANKS in fields.translate(_TABS_TO_BLANKS, b"\r\n"):
            raise ParsingError(f"{len(_TOO_MANY_BLANKS)} blanks in a row")
        try:
            super().parse_header(head)
        except ValueError as error:
            raise ParsingError(str(error)) from error
        path: str = self.path
        self.path_served = "/" + path.lstrip("/") if path.startswith("//") else path

    def _remember(self, head: bytes, before: set[str]) -> None:
        if len(self._known) >= _MAX_KNOWN_HEADS:
            self._known.clear()
        parsed = vars(self).keys() - before - {"body_rcv"} | {"headers"}
        self._known[head] = {name: getattr(self, name) for name in parsed} | {"environments": {}}


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """A request that waitress could not parse: refused with a body that Docker can read."""

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


# By the first digit of the status.
_OUTCOMES = {"2": ANSWERED, "4": INVALID}
# The part of the environment that requests never share.
_OWN_ENVIRONMENT = dict.fromkeys(("wsgi.input", "waitress.client_disconnected"))


class Task(WSGITask):  # type: ignore[misc]
    """A request whose answer may be computed some time before it is sent, as `answer`. `refusals`
    holds the call and the reason if it was refused, to be noted once its commit has succeeded.
    `outcome` is one of runtime.meters.OUTCOMES. `is_unchanged` says that the answer is what the
    client knows already."""

    answer: bytes = b""
    is_unchanged: bool = False
    outcome: str = FAILED
    refusals: Sequence[tuple[str, PyipamError]] = ()

    def get_environment(self) -> dict[str, Any]:
        environments, server = self.request.environments, self.channel.server
        environment: dict[str, Any]
        if environments is None:
            environment = super().get_environment()
        else:
            if server not in environments:
                environments[server] = {**super().get_environment(), **_OWN_ENVIRONMENT}
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
        unchanged: list[bool] = []
        if self.request.path_served == ROUTES_PATH:
            environment[UNCHANGED] = unchanged
        body = self.channel.server.application(environment, start_response)
        status, headers = started[-1]
        self.is_unchanged = any(unchanged)
        if self.refusals:
            self.outcome = outcome_of(self.refusals[-1][1])
        else:
            self.outcome = _OUTCOMES.get(status[0], FAILED)
        self.keep(_Reply(status, headers, b"".join(body)))

    def keep(self, reply: _Reply) -> None:
        """Keep this answer, with its head, while the disk is at work."""
        self.start()
        self.answer = self._head(reply) + reply.body

    def execute(self) -> None:
        """Send the answer; in a thread, compute it first."""
        if not self.answer:
            super().execute()
            return
        self.complete = True
        self.channel.write_at_once(self.answer)
        self.wrote_header = True

    def _head(self, reply: _Reply) -> bytes:
        # What such a request says about the connection is answered in the head.
        if self.version != "1.1" or "CONNECTION" in self.request.headers:
            return self._build_head(reply)
        known = _heads_of(int(self.start_time))
        key = (reply.status, tuple(reply.headers), len(reply.body))
        if key not in known:
            known[key] = self._build_head(reply)
        return known[key]

    def _build_head(self, reply: _Reply) -> bytes:
        self.status = reply.status
        self.response_headers.extend(reply.headers)
        self.content_length = len(reply.body)
        head: bytes = self.build_response_header()
        return head


@lru_cache(maxsize=1)
def _heads_of(_second: int) -> dict[tuple[object, ...], bytes]:
    """The response heads that were built in this second, and so have its date."""
    return {}


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection. `engine` identifies the run of the engine that made it: see api.engine.

    `prepare` and `refuse` come before `service`, in the thread that commits. If there was neither,
    `service` computes the answer itself.
    """

    parser_class = Request
    error_task_class = _ErrorTask
    prepared: Task | None = None
    _unsent = 0
    _unsent_since = 0.0

    def __init__(self, server: Any, connection: socket.socket, *rest: Any, **named: Any) -> None:
        # Once for all calls, and before any: the process of a client that is gone has no identity.
        self.engine = engine_of(connection) if connection.family == socket.AF_UNIX else ""
        super().__init__(server, connection, *rest, **named)

    @property
    def path(self) -> str:
        """The path of the request that is waiting, as the application gets it; empty if the
        request could not be parsed."""
        request: Request = self.requests[0]
        return "" if request.error else request.path_served

    @property
    def is_view(self) -> bool:
        """Whether the request that is waiting only looks, and is answered by a thread of views."""
        return self.server.views_only or self.path.startswith(VIEW_PATHS)

    @property
    def seconds_to_wait(self) -> int:
        """How long the request that is waiting wants to wait for other routes; 0 if it does not, or
        asks for something that the application refuses."""
        if self.path != ROUTES_PATH:
            return 0
        (text,) = parse_qs(self.requests[0].query).get("wait", [])[:1] or ("",)
        return min(int(text[:9]), MOST_SECONDS_TO_WAIT) if text.isdecimal() else 0

    def is_unchanged(self) -> bool:
        """Whether the answer that was computed is what the client knows already."""
        return self.prepared is not None and self.prepared.is_unchanged

    def is_idle(self) -> bool:
        """Whether nothing has come, and nothing is to be sent."""
        return not self.requests and self.request is None and not self.total_outbufs_len

    def prepare(self) -> None:
        """Compute the answer to the request that is waiting, to be sent by `service`. May be
        called again, when the commit has to be made again."""
        request = self.requests[0]
        if self.prepared is not None:
            request.get_body_stream().seek(0)
        if not request.error:
            self.prepared = Task(self, request)
            self.prepared.compute()

    def refusals(self) -> Sequence[tuple[str, PyipamError]]:
        """If the call was refused while its answer was computed: its name, and why."""
        return () if self.prepared is None else self.prepared.refusals

    def is_abandoned(self) -> bool:
        """Whether the client has closed the connection."""
        try:
            return not self.connected or self.socket.recv(1, _PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def drop_requests(self) -> None:
        """Drop all requests that have come, unanswered."""
        with self.requests_lock:
            self.requests.clear()
        self.server.pull_trigger()

    def refuse(self, error: PyipamError) -> None:
        """Let `service` send this error, as the commit of the call has failed."""
        request = self.requests[0]
        if not request.error:
            self.prepared = Task(self, request)
            self.prepared.keep(_refused("503 Service Unavailable", error))
            self.prepared.outcome = outcome_of(error)

    def task_class(self, channel: Channel, request: Any) -> Task:
        """What `service` executes: the prepared answer, if there is one."""
        task, self.prepared = self.prepared, None
        return task or Task(channel, request)

    def write_at_once(self, data: bytes) -> None:
        """Send the data in one system call. What the socket does not take waits in waitress's
        buffers."""
        if not self.connected:
            raise ClientDisconnected
        sent = 0 if self.total_outbufs_len else self.send(data, do_close=False)
        if sent < len(data):
            self.write_soon(data[sent:])

    def _flush_outbufs_below_high_watermark(self) -> None:
        # Other threads may wait here until the client has read; the loop is what sends to it.
        if threading.get_ident() != self.server.loop_thread:
            super()._flush_outbufs_below_high_watermark()

    def makes_no_progress(self, now: float) -> bool:
        """Whether the rest of a request, or the client's reading of an answer, has been waited
        for too long. To be asked every few seconds; `now` is in monotonic seconds."""
        unsent = self.total_outbufs_len
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        deadline = now - PROGRESS_TIMEOUT_SECONDS
        request_is_late = self.request is not None and self.request.begun < deadline
        return request_is_late or (unsent > 0 and self._unsent_since < deadline)
