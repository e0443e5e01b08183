"""Waitress on sockets that listen already, one application for each."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from waitress import wasyncore

from pyipam import log
from pyipam.api.requests import MAX_BODY_BYTES
from pyipam.serving.batches import Committer, Dispatcher, LoopDispatcher, ThreadDispatcher
from pyipam.serving.channel import Channel
from pyipam.serving.server import Server
from pyipam.serving.status_server import StatusService
from pyipam.settings import Alias

# Each may hold a body that has not come whole.
_MAX_CONNECTIONS = 500
_MAX_HEADER_BYTES = 16 * 1024
_MAX_ANSWER_BYTES = 1 << 30
_LIMITS = {
    "connection_limit": _MAX_CONNECTIONS,
    "max_request_body_size": MAX_BODY_BYTES + 1,
    "max_request_header_size": _MAX_HEADER_BYTES,
    # Above this waitress writes to temporary files, and there is no folder for any.
    "outbuf_overflow": _MAX_ANSWER_BYTES,
    "inbuf_overflow": MAX_BODY_BYTES + _MAX_HEADER_BYTES,
}
_POLL_TIMEOUT_SECONDS = 5.0
# How long no call has to come before the log is written.
_SILENCE_SECONDS = 0.001
_LOG_RETRY_SECONDS = 0.2
# How long another thread (a view, a checkpoint) may keep the interpreter from a call. A call waits
# for it each time that it comes back from the disk or a socket.
_SWITCH_INTERVAL_SECONDS = 0.00005


class ServedPlugin(Committer, Protocol):
    """What is served: see runtime.plugin.Plugin."""

    @property
    def has_shared_plan(self) -> bool:
        """Whether its store is across a network, and may keep calls waiting."""

    def start_threads(self) -> None:
        """Begin what goes on beside the calls."""


class _Wakeup(wasyncore.file_dispatcher):  # type: ignore[misc]
    """Ends a poll when a signal has come."""

    def writable(self) -> bool:
        return False

    def handle_read(self) -> None:
        self.recv(4096)


def serve(
    plugin: ServedPlugin,
    sockets: Mapping[Alias, socket.socket],
    make_app: Callable[[Alias], Callable[..., Any]],
    status: StatusService | None = None,
) -> None:
    """Answer calls until SIGTERM or SIGINT; calls that have begun are finished.

    `make_app` makes the WSGI application of a socket; `status` listens besides. Must be called in
    the main thread, which becomes the thread of the loop.
    """
    dispatcher = ThreadDispatcher(plugin) if plugin.has_shared_plan else LoopDispatcher(plugin)
    channels: dict[int, Any] = {}
    for alias, listener in sockets.items():
        Server.on_socket(make_app(alias), listener, channels, dispatcher, _LIMITS)

    def open_status() -> None:
        if status is not None:
            status.open(channels, dispatcher)

    open_status()
    stopping = _stop_on_signals(channels)
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    log.info("serving", names=",".join(alias.name for alias in sockets))
    plugin.start_threads()
    with log.collecting():
        _run_loop(dispatcher, channels, stopping, open_status)
    dispatcher.shutdown()
    # A second signal would wake what is closed here.
    signal.set_wakeup_fd(-1)
    wasyncore.close_all(channels)


def _run_loop(
    dispatcher: Dispatcher,
    channels: dict[int, Any],
    stopping: threading.Event,
    open_status: Callable[[], None],
) -> None:
    answered = False
    checked = time.monotonic()
    while not stopping.is_set():
        wasyncore.poll2(_seconds_to_poll(answered), channels)
        answered = dispatcher.run()
        now = time.monotonic()
        if now - checked >= _POLL_TIMEOUT_SECONDS:
            checked = now
            close_without_progress(channels, now)
            open_status()


def close_without_progress(channels: Mapping[int, Any], now: float) -> None:
    """Close the connections that hold memory and move nothing. `now` is monotonic time.

    Waitress closes only idle ones, and waits forever for a client that does not read.
    """
    for channel in list(channels.values()):
        if isinstance(channel, Channel) and channel.makes_no_progress(now):
            channel.handle_close()


def _seconds_to_poll(answered: bool) -> float:
    """How long to wait for calls. The log is written once none has come for a moment."""
    if answered:
        return _SILENCE_SECONDS
    return _POLL_TIMEOUT_SECONDS if log.flush() else _LOG_RETRY_SECONDS


def _stop_on_signals(channels: dict[int, Any]) -> threading.Event:
    # A handler that raised could cut a commit in the middle; this one only sets an event.
    stopping = threading.Event()
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _Wakeup(reading, map=channels)
    os.close(reading)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
