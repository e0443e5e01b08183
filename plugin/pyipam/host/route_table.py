"""The on-link routes that are known, kept by what the kernel says about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pyipam.host.netlink import LOOPBACK_INDEX, RouteMessage
from pyipam.host.route import Route
from pyipam.space.block import Block

NameOf = Callable[[int], str]

# 2000::/3 is all that is routed on the Internet: a VPN's way to say "default". Of IPv4, Docker
# refuses automatic blocks even under 0.0.0.0/1.
_LONGEST_IPV6_DEFAULT = 3


class _Place(NamedTuple):
    """What the kernel replaces a route by: members of RouteMessage."""

    version: int
    table: int
    start: int
    length: int
    service: int
    metric: int


class RouteTable:
    """On-link routes of the tables in which every packet is looked up, by place and interface.

    `tables` are those, by IP version, and `name_of` names the interface of an index. `routes`
    counts the places of each route. `changes` counts what came and went since it was last cleared.
    """

    def __init__(self, tables: Mapping[int, frozenset[int]], name_of: NameOf) -> None:
        self.routes: Counter[Route] = Counter()
        self.changes: Counter[Route] = Counter()
        self._tables = tables
        self._name_of = name_of
        self._known: dict[_Place, dict[int, Route]] = {}
        self._by_interface: dict[int, set[_Place]] = {}

    def take(self, message: RouteMessage) -> None:
        """Take in what the kernel says about a route."""
        place = _Place._make(message[:6])
        if place.table not in self._tables[place.version] or _is_default(place):
            return
        if message.replaces:
            for index in list(self._known.get(place, ())):
                self._remove(place, index)
        for index in message.interfaces:
            if message.is_new:
                self._add(place, index)
            else:
                self._remove(place, index)

    def has_ipv4_routes(self, index: int) -> bool:
        """Whether an IPv4 route leads through the interface."""
        return any(place.version == 4 for place in self._by_interface.get(index, ()))

    def drop_ipv4_routes(self, index: int) -> None:
        """Forget the IPv4 routes through an interface that went down."""
        for place in list(self._by_interface.get(index, ())):
            if place.version == 4:
                self._remove(place, index)

    def _add(self, place: _Place, index: int) -> None:
        if place.version == 6 and index == LOOPBACK_INDEX:
            # Announced, or unreachable: nothing is behind it. Of IPv4, Docker counts these.
            return
        known = self._known.setdefault(place, {})
        if index in known:
            return
        block = Block(place.version, place.start, place.length)
        route = known[index] = Route(block, self._name_of(index))
        self._by_interface.setdefault(index, set()).add(place)
        self._count(route, 1)

    def _remove(self, place: _Place, index: int) -> None:
        known = self._known.get(place, {})
        route = known.pop(index, None)
        if route is None:
            return
        if not known:
            del self._known[place]
        places = self._by_interface[index]
        places.discard(place)
        if not places:
            del self._by_interface[index]
        self._count(route, -1)

    def _count(self, route: Route, count: int) -> None:
        for counter in (self.routes, self.changes):
            counter[route] += count
            if not counter[route]:
                del counter[route]


def _is_default(place: _Place) -> bool:
    return not place.length or (place.version == 6 and place.length <= _LONGEST_IPV6_DEFAULT)
