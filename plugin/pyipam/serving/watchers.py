"""Those that wait for other routes: /v1/routes with `wait`.

There are two threads for views, and a request that waits would keep one of them. So all that wait
are held here, in their connections, with one thread for all of them. It computes the answers
whenever there is news, and sends those that are due.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterable
from typing import NamedTuple

from pyipam import log
from pyipam.errors import Unavailable
from pyipam.runtime.route_news import RouteNews
from pyipam.serving.channel import Channel

MAX_WATCHERS = 16
# How soon a client that has gone makes room for another one.
_LOOK_SECONDS = 1.0
_STOP_TIMEOUT_SECONDS = 1.0


class _Watcher(NamedTuple):
    """A request that waits, and until when (monotonic seconds)."""

    channel: Channel
    until: float


class Watchers:
    """The requests that wait. They are added in the thread of the loop, or of a view."""

    def __init__(self, news: RouteNews) -> None:
        self._news = news
        self._lock = threading.Lock()
        self._waiting: list[_Watcher] = []
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def take(self, channel: Channel) -> bool:
        """Let the request in the channel wait for other routes; whether there is room for it. If
        not, it is refused, and only has to be answered."""
        watcher = _Watcher(channel, time.monotonic() + channel.seconds_to_wait)
        with self._lock:
            is_taken = len(self._waiting) < MAX_WATCHERS and not self._is_stopping
            if is_taken:
                self._waiting.append(watcher)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="routes", daemon=True)
                self._thread.start()
        if is_taken:
            self._news.tell()
            return True
        channel.refuse(
            Unavailable(
                f"{MAX_WATCHERS} programs wait for other routes already; ask without wait, or end "
                "one of them (pyipam routes --watch)"
            )
        )
        return False

    def shutdown(self) -> None:
        """Answer all that wait, and take no more."""
        with self._lock:
            self._is_stopping = True
            thread = self._thread
        self._news.tell()
        if thread is not None:
            thread.join(_STOP_TIMEOUT_SECONDS)

    def _run(self) -> None:
        while True:
            count, is_stopping = self._news.count, self._is_stopping
            self._answer(self._taken(), is_stopping)
            if is_stopping:
                return
            self._wait(count)

    def _wait(self, count: int) -> None:
        """Wait for news, until the first answer is due or a client may have gone."""
        with self._lock:
            waiting = list(self._waiting)
        due = min((watcher.until for watcher in waiting), default=None)
        seconds = 3600.0 if due is None else min(due - time.monotonic(), _LOOK_SECONDS)
        self._news.wait_for_more(count, seconds)

    def _taken(self) -> list[_Watcher]:
        with self._lock:
            return list(self._waiting)

    def _answer(self, watchers: Iterable[_Watcher], is_stopping: bool) -> None:
        """Send the answers that are due; those whose clients have gone are dropped."""
        for watcher in watchers:
            try:
                is_over = _is_over(watcher, is_stopping)
            except Exception as error:
                # The others wait on.
                log.error("internal error", trace="".join(traceback.format_exception(error)))
                watcher.channel.drop_requests()
                is_over = True
            if is_over:
                self._remove(watcher)

    def _remove(self, watcher: _Watcher) -> None:
        with self._lock:
            self._waiting.remove(watcher)


def _is_over(watcher: _Watcher, is_stopping: bool) -> bool:
    """Send the answer if it is due; whether nothing is waited for any more."""
    channel = watcher.channel
    if channel.is_abandoned():
        channel.drop_requests()
        return True
    channel.prepare()
    is_due = is_stopping or time.monotonic() >= watcher.until
    if not is_due and channel.is_unchanged():
        return False
    channel.service()
    return True
