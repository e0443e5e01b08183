"""What the listener on TCP answers at all.

Whoever can connect may read: the listener itself asks for no password. But a web page, open in the
browser of somebody who can connect, must not be able to read for its author: the browser would send
the name of the page's own host, which the author lets lead here (DNS rebinding). So only requests
for an address, localhost or a name that the operator has listed are answered. There are no headers
that would let other pages read answers (CORS).
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

import falcon

_METHODS = ("GET", "HEAD")


class StatusGuard:
    """A middleware of Falcon. `names` are those that the operator has listed, in lower case."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = {"localhost", *names}

    def process_request(self, request: falcon.Request, _: falcon.Response) -> None:
        """Raises falcon.HTTPError for what is not answered."""
        if request.method not in _METHODS:
            raise falcon.HTTPMethodNotAllowed(_METHODS)
        host = request.get_header("Host") or ""
        if not self.is_for_this_host(host):
            raise falcon.HTTPError(
                falcon.HTTP_421,
                title=(
                    f"the listener does not serve the host {host[:200]!r}; ask for its address or "
                    "for localhost, or list the name behind the address in STATUS_ADDR"
                ),
            )

    def is_for_this_host(self, host: str) -> bool:
        """Whether the value of a Host header names an address, localhost or a listed name."""
        if host.startswith("["):
            name, _, port = host[1:].partition("]")
            port = port.removeprefix(":")
        else:
            name, _, port = host.partition(":")
        if port and not port.isdecimal():
            return False
        try:
            ip_address(name)
        except ValueError:
            return name.lower().removesuffix(".") in self._names
        return True
