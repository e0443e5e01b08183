"""The listener on TCP that STATUS_ADDR names: opened when its address can be had.

An address can be taken, or come up later than the plugin. Then the plugin serves without the
listener, says so, and tries again.
"""

from __future__ import annotations

import socket

from pyipam import log
from pyipam.settings import StatusAddress

_BACKLOG = 32


class StatusListener:
    """`failure` says why nobody listens at the address, or is None."""

    def __init__(self, address: StatusAddress | None) -> None:
        self.address = address
        self.failure: str | None = None
        self._is_open = False

    def open(self) -> socket.socket | None:
        """Listen, unless somebody does already or no address is set; the new socket. What stands in
        the way is logged once, and kept as `failure`."""
        if self.address is None or self._is_open:
            return None
        try:
            listening = _listen(self.address)
        except OSError as error:
            failure = (
                f"setting STATUS_ADDR: nobody listens at {self.address} ({error.strerror}); free "
                "the address or choose another one. Calls from Docker are served nevertheless"
            )
            if failure != self.failure:
                log.warning("the operator must act", reason=failure)
            self.failure = failure
            return None
        self._is_open, self.failure = True, None
        log.info("serving views and metrics", address=self.address)
        return listening


def _listen(address: StatusAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # A plugin that was just stopped may have left connections that the kernel still waits for.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
