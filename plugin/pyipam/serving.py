"""Waitress on sockets that listen already, one application for each.

Docker's calls are short and end in one wait for the disk. They run on waitress's own loop, all
that came in one poll together, so that one wait serves all of them and no thread is woken. The
read-only views may be long; they run in threads.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import UnixWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from pyipam import log
from pyipam.api.app import make_app, refusal_body
from pyipam.api.driver import MAXIMUM_BODY
from pyipam.api.engine import CONNECTION
from pyipam.errors import InvalidRequest, PyipamError, StoreFailure
from pyipam.plugin import Plugin
from pyipam.settings import Alias

_VIEW_THREADS = 2
_VIEWS = "/v1/"
_CONNECTIONS = 1000
_MAXIMUM_HEADER = 64 * 1024
_MAXIMUM_ANSWER = 1 << 30
_POLL_SECONDS = 30.0
_SECONDS_TO_FINISH_VIEWS = 1.0


@dataclass(frozen=True)
class _Reply:
    """An answer that was computed and is not sent yet."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def _refused(status: str, error: PyipamError) -> _Reply:
    return _Reply(status, [("Content-Type", "application/json")], refusal_body(error))


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


class _Task(WSGITask):  # type: ignore[misc]
    """A request whose answer may be computed some time before it is sent."""

    reply: _Reply | None = None

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[CONNECTION] = self.channel.socket
        return environment

    def compute(self) -> None:
        """Run the application, and keep its answer."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started.append((status, headers))

        body = self.channel.server.application(self.get_environment(), start_response)
        self.reply = _Reply(*started[-1], b"".join(body))

    def execute(self) -> None:
        """Send the answer; in a thread, compute it first."""
        if self.reply is None:
            super().execute()
            return
        self.complete = True
        self.status = self.reply.status
        self.response_headers.extend(self.reply.headers)
        self.content_length = len(self.reply.body)
        # One write, so that header and body leave in one system call.
        self.channel.write_soon(self.build_response_header() + self.reply.body)
        self.wrote_header = True
        self.content_bytes_written = len(self.reply.body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection."""

    error_task_class = _ErrorTask
    prepared: _Task | None = None

    def prepare(self) -> None:
        """Compute the answer to the request that is waiting, to be sent by `service`."""
        request = self.requests[0]
        if not request.error:
            self.prepared = _Task(self, request)
            self.prepared.compute()

    def refuse(self, error: StoreFailure) -> None:
        """Send this instead of an answer that did not become true."""
        if self.prepared is not None:
            self.prepared.reply = _refused("503 Service Unavailable", error)

    def task_class(self, channel: _Channel, request: Any) -> _Task:
        """What `service` sends: the prepared answer, if there is one."""
        task, self.prepared = self.prepared, None
        return task or _Task(channel, request)


class _Server(UnixWSGIServer):  # type: ignore[misc]
    channel_class = _Channel
    loop_thread = 0

    def pull_trigger(self) -> None:
        """Wake the loop, unless it is the loop that asks."""
        if threading.get_ident() != self.loop_thread:
            super().pull_trigger()


class _Calls:
    """Waitress's dispatcher: collects the calls of one poll; hands views to threads."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._ready: deque[_Channel] = deque()
        self._views = ThreadedTaskDispatcher()
        self._views.set_thread_count(_VIEW_THREADS)

    def add_task(self, channel: _Channel) -> None:
        request = channel.requests[0]
        if not request.error and request.path.startswith(_VIEWS):
            self._views.add_task(channel)
        else:
            self._ready.append(channel)

    def run(self) -> None:
        """Answer the calls that have come in, after one commit for all of them."""
        while self._ready:
            batch = list(self._ready)
            self._ready.clear()
            try:
                with self._plugin.one_commit():
                    for channel in batch:
                        channel.prepare()
            except StoreFailure as error:
                self._plugin.refuse(f"commit of {len(batch)} calls", error)
                for channel in batch:
                    channel.refuse(error)
            for channel in batch:
                channel.service()

    def shutdown(self) -> None:
        self._views.shutdown(timeout=_SECONDS_TO_FINISH_VIEWS)


class _Wakeup(wasyncore.file_dispatcher):  # type: ignore[misc]
    """Ends a poll when a signal has come."""

    def writable(self) -> bool:
        return False

    def handle_read(self) -> None:
        self.recv(4096)


def serve(plugin: Plugin, sockets: Mapping[Alias, socket.socket]) -> None:
    """Answer calls until SIGTERM or SIGINT. Calls that have begun are finished."""
    adjustments = Adjustments(
        ident="pyipam",
        # The sockets listen already; looking up an address for another is work for nothing.
        listen="",
        connection_limit=_CONNECTIONS,
        max_request_body_size=MAXIMUM_BODY + 1,
        max_request_header_size=_MAXIMUM_HEADER,
        # Above this waitress writes to temporary files, and there is no folder for any.
        outbuf_overflow=_MAXIMUM_ANSWER,
        inbuf_overflow=MAXIMUM_BODY + _MAXIMUM_HEADER,
    )
    calls = _Calls(plugin)
    channels: dict[int, Any] = {}
    _Server.loop_thread = threading.get_ident()
    for alias, listener in sockets.items():
        _Server(
            make_app(plugin, alias),
            map=channels,
            _sock=listener,
            dispatcher=calls,
            adj=adjustments,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )
    stopping = _stop_on_signals(channels)
    plugin.start_threads()
    log.info("serving", names=",".join(alias.name for alias in sockets))
    while not stopping.is_set():
        wasyncore.poll2(_POLL_SECONDS, channels)
        calls.run()
    calls.shutdown()
    # A second signal would wake what is closed here.
    signal.set_wakeup_fd(-1)
    wasyncore.close_all(channels)


def _stop_on_signals(channels: dict[int, Any]) -> threading.Event:
    # A handler that raised could cut a commit in the middle; this one only leaves a note.
    stopping = threading.Event()
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _Wakeup(reading, map=channels)
    os.close(reading)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
