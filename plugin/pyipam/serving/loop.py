"""Waitress on sockets that listen already, one application for each.

Docker's calls are short and end in one wait for the disk. They run on waitress's own loop, all
that came in one poll together, so that one wait serves all of them and no thread is woken. The
read-only views may be long; they run in threads.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from queue import SimpleQueue
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import UnixWSGIServer
from waitress.task import ThreadedTaskDispatcher

from pyipam import log
from pyipam.api.app import CALLS, make_app
from pyipam.api.driver import MAXIMUM_BODY, DriverCalls
from pyipam.errors import PyipamError
from pyipam.runtime.plugin import Plugin
from pyipam.serving.channel import Channel
from pyipam.settings import Alias
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS

_VIEW_THREADS = 2
_VIEWS = "/v1/"
_CALLS_OF_THE_STORE = frozenset(f"{CALLS}{name}" for name in DriverCalls.OF_THE_STORE)
_CALLS_OF_WHAT_IS_STORED = frozenset(f"{CALLS}{name}" for name in DriverCalls.OF_WHAT_IS_STORED)
_CALLS_THAT_GIVE_BACK = frozenset((f"{CALLS}ReleasePool", f"{CALLS}ReleaseAddress"))
# Each may hold a body that has not come whole.
_CONNECTIONS = 500
_MANY_CONNECTIONS = 250
_MAXIMUM_HEADER = 16 * 1024
_MAXIMUM_ANSWER = 1 << 30
_POLL_SECONDS = 5.0
_MOMENT = 0.001
_LOG_IS_TRIED_AGAIN = 0.2
_SECONDS_TO_FINISH_VIEWS = 1.0
# dockerd waits ten before it kills.
_SECONDS_TO_FINISH_CALLS = 5.0
_SECONDS_TO_REACH = 10.0
# How long another thread (a view, a checkpoint) may keep the interpreter from a call that has
# come. A call waits for it each time that it comes back from the disk or a socket.
_SWITCH_SECONDS = 0.00005


class _Server(UnixWSGIServer):  # type: ignore[misc]
    channel_class = Channel
    loop_thread = 0

    def pull_trigger(self) -> None:
        """Wake the loop, unless it is the loop that asks."""
        if threading.get_ident() != self.loop_thread:
            super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Close what has long been idle, where many connections are open. dockerd keeps its own,
        and sends a call again, without its body, that went into one that was just closed (by the
        wall clock, which may have jumped)."""
        if len(self.active_channels) > _MANY_CONNECTIONS:
            super().maintenance(now)


class _Calls:
    """Waitress's dispatcher: collects the calls of one poll; hands views to threads."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._ready: deque[Channel] = deque()
        self._views = ThreadedTaskDispatcher()
        self._views.set_thread_count(_VIEW_THREADS)

    def add_task(self, channel: Channel) -> None:
        request = channel.requests[0]
        if not request.error and _path(request).startswith(_VIEWS):
            self._views.add_task(channel)
        else:
            self._ready.append(channel)

    def run(self) -> bool:
        """Answer the calls that have come in, after one commit for all of them; whether there
        were any."""
        answered = bool(self._ready)
        # Threads of views add what stands behind a view in its connection.
        while batch := self._take_ready():
            self._answer(batch)
        return answered

    def _take_ready(self) -> list[Channel]:
        """What can be answered now. While the state is being read, announcements can: dockerd
        enables a plugin, and starts, when they have been answered."""
        taken = [self._ready.popleft() for _ in range(len(self._ready))]
        if not self._plugin.is_being_read:
            return taken
        waiting = [channel for channel in taken if _needs_what_is_stored(channel)]
        self._ready.extend(waiting)
        return [channel for channel in taken if channel not in waiting]

    def _answer(self, calls: list[Channel], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        batch = [channel for channel in calls if not _is_given_up(channel)]
        if not batch:
            return

        try:
            self._plugin.commit([channel.prepare for channel in batch], within)
        except PyipamError as error:
            self._plugin.refuse(f"commit of {len(batch)} calls", error)
            for channel in batch:
                channel.refuse(error)
        else:
            for channel in batch:
                for call, refusal in channel.refusals():
                    self._plugin.refuse(call, refusal)
        log.flush_warnings()
        for channel in batch:
            channel.service()
        log.put_into_words()

    def shutdown(self) -> None:
        self._views.shutdown(timeout=_SECONDS_TO_FINISH_VIEWS)


def _is_given_up(channel: Channel) -> bool:
    """Whether a call is left alone because nobody waits for its answer any more: what it would be
    given would be nobody's. What is given back is taken all the same."""
    request = channel.requests[0]
    if request.error or _path(request) in _CALLS_THAT_GIVE_BACK or not channel.is_left():
        return False
    log.warning("call dropped, as its client has gone", call=_path(request))
    channel.drop_requests()
    return True


def _needs_what_is_stored(channel: Channel) -> bool:
    request = channel.requests[0]
    return not request.error and _path(request) in _CALLS_OF_WHAT_IS_STORED


def _path(request: Any) -> str:
    """The path as the application gets it."""
    path: str = request.path
    return "/" + path.lstrip("/") if path.startswith("//") else path


class _CallsAside(_Calls):
    """For a store across a network, which may keep its callers waiting: they wait in a thread of
    their own. What needs no store is answered at once."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(plugin)
        self._waiting: SimpleQueue[tuple[float, Channel] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="calls", daemon=True)
        self._thread.start()

    def add_task(self, channel: Channel) -> None:
        request = channel.requests[0]
        if not request.error and _path(request) in _CALLS_OF_THE_STORE:
            self._waiting.put((time.monotonic(), channel))
        else:
            super().add_task(channel)

    def run(self) -> bool:
        """Answer the calls that have come in and need no store; whether there were any."""
        answered = bool(self._ready)
        while self._ready:
            self._ready.popleft().service()
        return answered

    def shutdown(self) -> None:
        self._waiting.put(None)
        self._thread.join(_SECONDS_TO_FINISH_CALLS)
        super().shutdown()

    def _others(self) -> Iterator[tuple[float, Channel]]:
        for _ in range(self._waiting.qsize()):
            item = self._waiting.get()
            if item is None:
                self._waiting.put(None)
            else:
                yield item

    def _serve(self) -> None:
        try:
            self._answer_all()
        except Exception as error:
            # What is known may be half undone: dockerd starts a process that reads it anew.
            log.error("fault", trace="".join(traceback.format_exception(error)))
            os.kill(os.getpid(), signal.SIGTERM)

    def _answer_all(self) -> None:
        self._plugin.wait_until_tried(_SECONDS_TO_REACH)
        batch: list[tuple[float, Channel]] = []
        while (first := self._waiting.get()) is not None:
            if len(batch) > 1:
                # Those who called together do so again: one commit for all, not two.
                time.sleep(_MOMENT)
            batch = [first, *self._others()]
            # Whoever has waited for so long gives up soon, and would lose what came after that.
            left = COMMIT_TIMEOUT_SECONDS - (time.monotonic() - first[0])
            self._answer([channel for _, channel in batch], max(left, 0.0))


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
        # There is no proxy in front, and no answer depends on who might be behind one.
        clear_untrusted_proxy_headers=False,
        # The sockets listen already; looking up an address for another is work for nothing.
        listen="",
        connection_limit=_CONNECTIONS,
        max_request_body_size=MAXIMUM_BODY + 1,
        max_request_header_size=_MAXIMUM_HEADER,
        # Above this waitress writes to temporary files, and there is no folder for any.
        outbuf_overflow=_MAXIMUM_ANSWER,
        inbuf_overflow=MAXIMUM_BODY + _MAXIMUM_HEADER,
    )
    calls = _CallsAside(plugin) if plugin.is_shared else _Calls(plugin)
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
    sys.setswitchinterval(_SWITCH_SECONDS)
    log.info("serving", names=",".join(alias.name for alias in sockets))
    plugin.start_threads()
    with log.collected():
        _answer_calls(calls, channels, stopping)
    calls.shutdown()
    # A second signal would wake what is closed here.
    signal.set_wakeup_fd(-1)
    wasyncore.close_all(channels)


def _answer_calls(calls: _Calls, channels: dict[int, Any], stopping: threading.Event) -> None:
    answered = False
    looked = time.monotonic()
    while not stopping.is_set():
        wasyncore.poll2(_seconds_to_wait(answered), channels)
        answered = calls.run()
        now = time.monotonic()
        if now - looked >= _POLL_SECONDS:
            looked = now
            close_without_progress(channels, now)


def close_without_progress(channels: dict[int, Any], now: float) -> None:
    """Close the connections that hold memory and move nothing: waitress closes idle ones only,
    and waits for ever until a client that does not read has read. `now` is monotonic time."""
    for channel in list(channels.values()):
        if isinstance(channel, Channel) and channel.makes_no_progress(now):
            channel.handle_close()


def _seconds_to_wait(answered: bool) -> float:
    """How long to wait for calls. When none has come for a moment, the log is written."""
    if answered:
        return _MOMENT
    return _POLL_SECONDS if log.flush() else _LOG_IS_TRIED_AGAIN


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
