"""The dispatchers of waitress: the calls of one poll as one commit.

Docker's calls are short and end in one wait for the disk. They run on waitress's own loop, all
that came in one poll together, so that one wait serves all of them and no thread is woken. The
read-only views may be long; they run in threads. See "The way of a call" in docs/architecture.md.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from waitress.task import ThreadedTaskDispatcher

from pyipam import log
from pyipam.api.driver import (
    CALL_PREFIX,
    CALLS_CHANGING_STORE,
    CALLS_NEEDING_PLAN,
    RELEASING_CALLS,
)
from pyipam.api.repairs import REPAIR_CALLS
from pyipam.errors import PyipamError
from pyipam.runtime.calls import Calls
from pyipam.runtime.meters import CallMeter
from pyipam.runtime.route_news import RouteNews
from pyipam.serving.channel import Channel, Task
from pyipam.serving.watchers import Watchers
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS

_NEED_PLAN = CALLS_NEEDING_PLAN | REPAIR_CALLS
_CHANGE_STORE = CALLS_CHANGING_STORE | REPAIR_CALLS
_VIEW_THREADS = 2
_FINISH_VIEWS_TIMEOUT_SECONDS = 1.0
# dockerd waits ten seconds before it kills the plugin.
_FINISH_CALLS_TIMEOUT_SECONDS = 5.0
_LOADING_TIMEOUT_SECONDS = 10.0
_GATHERING_SECONDS = 0.001


class Committer(Protocol):
    """What makes the calls, and makes durable what they change: see runtime.plugin.Plugin."""

    @property
    def calls(self) -> Calls:
        """To be told when calls are in progress."""

    @property
    def meters(self) -> Mapping[str, CallMeter]:
        """Where calls are counted, by the names of those that are."""

    @property
    def is_loading(self) -> bool:
        """Whether calls that need the plan have to wait until it is loaded."""

    def wait_until_loaded(self, seconds: float) -> None:
        """Wait until the plan is loaded or could not be, for at most this many seconds."""

    @property
    def route_news(self) -> RouteNews:
        """What those that wait for other routes are woken by."""

    def commit(self, calls: Sequence[Callable[[], None]], within: float) -> object:
        """Make the calls as one commit, within this many seconds. Raises PyipamError, and then
        nothing of it has happened."""

    def look_ahead(self) -> None:
        """Do what the next calls would have to: these have been answered."""

    def note_refusal(self, call: str, error: PyipamError) -> None:
        """Take note that a call was refused."""


class Dispatcher(Protocol):
    """What is handed the requests that have come whole, and answers them."""

    def add_task(self, channel: Channel) -> None:
        """Take in the request that is waiting in the channel."""

    def run(self) -> bool:
        """Answer, in the thread of the loop, what is to be answered there; whether there was
        anything."""

    def shutdown(self) -> None:
        """Finish what has begun."""


class _Views:
    """Answers what only looks: in two threads, and what waits for other routes in a further one."""

    def __init__(self, committer: Committer) -> None:
        self._threads = ThreadedTaskDispatcher()
        self._threads.set_thread_count(_VIEW_THREADS)
        self._watchers = Watchers(committer.route_news)

    def add_task(self, channel: Channel) -> None:
        """Take in the request that is waiting in the channel."""
        if not (channel.seconds_to_wait and self._watchers.take(channel)):
            self._threads.add_task(channel)

    def shutdown(self) -> None:
        """Finish what has begun."""
        self._watchers.shutdown()
        self._threads.shutdown(timeout=_FINISH_VIEWS_TIMEOUT_SECONDS)


class LoopDispatcher:
    """Answers calls in the thread of the loop: for a store on a disk of this host."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._ready: deque[Channel] = deque()
        self._views = _Views(committer)

    def add_task(self, channel: Channel) -> None:
        if channel.is_view:
            self._views.add_task(channel)
        else:
            self._committer.calls.begin()
            self._ready.append(channel)

    def run(self) -> bool:
        answered = bool(self._ready)
        # Threads of views add the call that follows a view in the same connection.
        while channels := self._take_ready():
            answer_in_one_commit(self._committer, channels, COMMIT_TIMEOUT_SECONDS)
        self._committer.calls.end()
        return answered

    def shutdown(self) -> None:
        self._views.shutdown()

    def _take_ready(self) -> list[Channel]:
        """What can be answered now. While the plan is being loaded, announcements can: dockerd
        enables a plugin, and starts itself, only when they have been answered."""
        taken = [self._ready.popleft() for _ in range(len(self._ready))]
        if not self._committer.is_loading:
            return taken
        self._ready.extend(channel for channel in taken if channel.path in _NEED_PLAN)
        return [channel for channel in taken if channel.path not in _NEED_PLAN]


class _Waiting(NamedTuple):
    """A call, and when it came (monotonic seconds)."""

    since: float
    channel: Channel


class ThreadDispatcher:
    """Answers calls in a thread of their own: for a store across a network, which may keep its
    callers waiting. What needs no store is answered at once, in the thread of the loop."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._ready: deque[Channel] = deque()
        self._views = _Views(committer)
        # None is put last, and stays: it ends the thread.
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="calls", daemon=True)
        self._thread.start()

    def add_task(self, channel: Channel) -> None:
        if channel.is_view:
            self._views.add_task(channel)
        elif channel.path in _CHANGE_STORE:
            self._waiting.put(_Waiting(time.monotonic(), channel))
        else:
            self._ready.append(channel)

    def run(self) -> bool:
        answered = bool(self._ready)
        while self._ready:
            self._ready.popleft().service()
        return answered

    def shutdown(self) -> None:
        self._waiting.put(None)
        self._thread.join(_FINISH_CALLS_TIMEOUT_SECONDS)
        self._views.shutdown()

    def _serve(self) -> None:
        try:
            with log.collecting():
                self._answer_all()
        except Exception as error:
            # What is in memory may be half changed. dockerd starts the plugin again, which then
            # loads what is stored.
            log.error("internal error", trace="".join(traceback.format_exception(error)))
            os.kill(os.getpid(), signal.SIGTERM)

    def _answer_all(self) -> None:
        self._committer.wait_until_loaded(_LOADING_TIMEOUT_SECONDS)
        batch: list[_Waiting] = []
        while (first := self._waiting.get()) is not None:
            if len(batch) > 1:
                # Clients that called together will do so again: one commit for all, not two.
                time.sleep(_GATHERING_SECONDS)
            batch = [first, *self._take_others()]
            # The client that has waited longest gives up first, and would lose a later answer.
            left = COMMIT_TIMEOUT_SECONDS - (time.monotonic() - first.since)
            channels = [call.channel for call in batch]
            answer_in_one_commit(self._committer, channels, max(left, 0.0))
            if self._waiting.empty():
                log.flush()

    def _take_others(self) -> list[_Waiting]:
        others = []
        for _ in range(self._waiting.qsize()):
            call = self._waiting.get()
            if call is None:
                self._waiting.put(None)
            else:
                others.append(call)
        return others


def answer_in_one_commit(committer: Committer, channels: Sequence[Channel], within: float) -> None:
    """Make the calls that wait in the channels as one commit, within this many seconds, and send
    the answers: those of the calls, or the reason why the commit failed. What the next calls need
    is prepared after that."""
    batch = [channel for channel in channels if not _drop_if_abandoned(channel)]
    if not batch:
        return
    try:
        committer.commit([channel.prepare for channel in batch], within)
    except PyipamError as error:
        committer.note_refusal(f"commit of {len(batch)} calls", error)
        for channel in batch:
            channel.refuse(error)
    else:
        for channel in batch:
            for call, refusal in channel.refusals():
                committer.note_refusal(call, refusal)
    log.flush_warnings()
    answered = [channel.prepared for channel in batch if channel.prepared is not None]
    for channel in batch:
        channel.service()
    _count(committer.meters, answered)
    committer.look_ahead()


def _count(meters: Mapping[str, CallMeter], answered: Sequence[Task]) -> None:
    """Count the calls that have been answered."""
    now = time.monotonic()
    for task in answered:
        meter = meters.get(task.request.path_served.removeprefix(CALL_PREFIX))
        if meter is not None:
            meter.add(task.outcome, now - task.request.begun)


def _drop_if_abandoned(channel: Channel) -> bool:
    """Drop the call if its client has disconnected: what it would be given would never be released.
    Releases are carried out all the same. Returns whether the call was dropped."""
    path = channel.path
    if not path or path in RELEASING_CALLS or not channel.is_abandoned():
        return False
    log.warning("call dropped, as its client has gone", call=path)
    channel.drop_requests()
    return True
