"""Waitress's server of one socket."""

from __future__ import annotations

import threading

from waitress.server import UnixWSGIServer

from pyipam.serving.channel import Channel

_MAX_CONNECTIONS_KEPT_IDLE = 250


class Server(UnixWSGIServer):  # type: ignore[misc]
    """Waitress's server of one socket. `loop_thread` identifies the thread of the loop;
    `views_only` says whether all that the socket is asked for is answered by other threads."""

    channel_class = Channel
    views_only = False
    loop_thread = 0

    def pull_trigger(self) -> None:
        """Wake the loop, unless it is the loop that asks."""
        if threading.get_ident() != self.loop_thread:
            super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Close connections that have long been idle, if many are open.

        dockerd keeps its own, and repeats a call without its body if the connection was closed
        just before. Waitress measures idleness by the wall clock, which may jump.
        """
        if len(self.active_channels) > _MAX_CONNECTIONS_KEPT_IDLE:
            super().maintenance(now)
