"""The listener on TCP, for views and metrics alone. It takes little of what the calls need."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from waitress.server import UnixWSGIServer

from pyipam.runtime.status_listener import StatusListener
from pyipam.serving.batches import Dispatcher
from pyipam.serving.server import Server

MAX_CLIENTS = 32
_IDLE_SECONDS = 60
_MAX_HEADER_BYTES = 8 * 1024
_MAX_ANSWER_BYTES = 1 << 30
_LIMITS = {
    "channel_timeout": _IDLE_SECONDS,
    # No request has a body, but waitress counts from one.
    "max_request_body_size": 1,
    "max_request_header_size": _MAX_HEADER_BYTES,
    "outbuf_overflow": _MAX_ANSWER_BYTES,
}


class StatusServer(Server):
    """Waitress's server of this socket. All that it is asked for is answered by the threads of the
    views."""

    views_only = True

    def set_socket_options(self, connection: socket.socket) -> None:
        """Send each answer at once."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def readable(self) -> bool:
        """Whether another client may connect. If there are too many, those that are idle have to
        go; the others are waited for, or closed because they make no progress."""
        if len(self.active_channels) >= MAX_CLIENTS:
            for channel in self.active_channels.values():
                if channel.is_idle():
                    channel.will_close = True
            return False
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        """Close connections that have been idle for a minute."""
        UnixWSGIServer.maintenance(self, now)


class StatusService:
    """A listener on TCP, and the application that answers there."""

    def __init__(self, listener: StatusListener, app: Callable[..., Any]) -> None:
        self._listener = listener
        self._app = app

    def open(self, channels: dict[int, Any], dispatcher: Dispatcher) -> None:
        """Listen, if the address can be had and nobody does already. To be called in the thread of
        the loop."""
        listening = self._listener.open()
        if listening is not None:
            StatusServer.on_socket(self._app, listening, channels, dispatcher, _LIMITS)
