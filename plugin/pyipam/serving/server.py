"""Waitress's server of one socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, Self

from waitress.adjustments import Adjustments
from waitress.server import UnixWSGIServer

from pyipam.serving.batches import Dispatcher
from pyipam.serving.channel import Channel

_MAX_CONNECTIONS_KEPT_IDLE = 250


class Server(UnixWSGIServer):  # type: ignore[misc]
    """Waitress's server of one socket. `loop_thread` identifies the thread of the loop;
    `views_only` says whether all that the socket is asked for is answered by other threads."""

    channel_class = Channel
    views_only = False
    loop_thread = 0

    @classmethod
    def on_socket(
        cls,
        app: Callable[..., Any],
        listening: socket.socket,
        channels: dict[int, Any],
        dispatcher: Dispatcher,
        limits: dict[str, int],
    ) -> Self:
        """The server of a socket that listens already. To be called in the thread of the loop,
        which polls `channels`. `limits` are adjustments of waitress, by their names."""
        server = cls(
            app,
            map=channels,
            _sock=listening,
            dispatcher=dispatcher,
            adj=Adjustments(
                ident="pyipam",
                # There is no proxy in front, and no answer depends on who might be behind one.
                clear_untrusted_proxy_headers=False,
                # Waitress need not look up an address to listen on.
                listen="",
                **limits,
            ),
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )
        server.loop_thread = threading.get_ident()
        return server

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
