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

    def note(self, route: Route, scopes: Sequence[Scope], *, is_there: bool) -> None:
        """Say that a route has come or gone, unless that was said. It covers a part of these
        scopes; of none if it leads to a network that this plugin has given its block."""
        was_said = route in self._said
        if not is_there:
            self._said.discard(route)
        elif scopes:
            self._said.add(route)
        if scopes and was_said != is_there:
            log.info(
                "a route of the host came" if is_there else "a route of the host went",
                route=route.block,
                interface=route.interface,
                scopes=",".join(map(str, scopes)),
            )
