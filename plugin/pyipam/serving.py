"""Waitress on sockets that listen already, one application for each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import UnixWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from pyipam import log
from pyipam.api.app import make_app
from pyipam.api.driver import MAXIMUM_BODY
from pyipam.api.engine import CONNECTION
from pyipam.plugin import Plugin
from pyipam.settings import Alias

THREADS = 16
_CONNECTIONS = 1000
_MAXIMUM_HEADER = 64 * 1024


class _Task(WSGITask):
    """A request that lets the application see the connection it came on."""

    def get_environment(self) -> dict[str, Any]:
        environment: dict[str, Any] = super().get_environment()
        environment[CONNECTION] = self.channel.socket
        return environment


class _Channel(HTTPChannel):
    task_class = _Task


class _Server(UnixWSGIServer):
    channel_class = _Channel


def serve(plugin: Plugin, sockets: Mapping[Alias, socket.socket]) -> None:
    """Answer calls until the process is told to stop (SystemExit)."""
    adjustments = Adjustments(
        threads=THREADS,
        ident="pyipam",
        connection_limit=_CONNECTIONS,
        max_request_body_size=MAXIMUM_BODY + 1,
        max_request_header_size=_MAXIMUM_HEADER,
        asyncore_use_poll=True,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    channels: dict[int, Any] = {}
    for alias, listener in sockets.items():
        _Server(
            make_app(plugin, alias),
            map=channels,
            _sock=listener,
            dispatcher=dispatcher,
            adj=adjustments,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )
    threading.Thread(target=plugin.watch_schema, name="schema", daemon=True).start()
    log.info("serving", names=",".join(alias.name for alias in sockets))
    try:
        wasyncore.loop(map=channels, use_poll=True)
    except SystemExit:
        dispatcher.shutdown()
        wasyncore.close_all(channels)
