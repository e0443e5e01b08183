"""What the log says of the routes of the host: what comes and goes that takes something of a scope
out of use.

The bridges of this plugin's own networks have routes, too, which come and go with them. That is
said of the networks already. Docker removes the bridge before it releases the pool, but both may
be known here at once, so a route that was not said to have come is not said to have gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyipam import log
from pyipam.host.route import Route
from pyipam.plan.scope import Scope


class RouteLog:
    """Which routes were said to have come. Needs the lock of the state."""

    def __init__(self) -> None:
        self._said: set[Route] = set()

    def came(self, route: Route, scopes: Sequence[Scope]) -> None:
        """Say that a route has come, unless that was said. It covers a part of these scopes; of
        none if it leads to a network that this plugin has given its block."""
        if scopes and route not in self._said:
            self._said.add(route)
            _say("a route of the host came", route, scopes)

    def went(self, route: Route, scopes: Sequence[Scope]) -> None:
        """Say that a route has gone, if it was said that it had come."""
        if route in self._said:
            self._said.remove(route)
            if scopes:
                _say("a route of the host went", route, scopes)


def _say(event: str, route: Route, scopes: Sequence[Scope]) -> None:
    covered = ",".join(map(str, scopes))
    log.info(event, route=route.block, interface=route.interface, scopes=covered)
