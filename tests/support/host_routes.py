"""The routes of a host, as a test says them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from pyipam.host.route import Route, RouteChange
from pyipam.space.block import Block, block_of


class SaidRoutes:
    """Implements HostRoutes over what a test adds and removes."""

    def __init__(self) -> None:
        self.failure: str | None = None
        self.watched: list[Block] = []
        self._changes: Counter[Route] = Counter()

    def add(self, network: str, interface: str = "wg0") -> None:
        """A route comes."""
        self._changes[Route(block_of(ip_network(network)), interface)] += 1

    def remove(self, network: str, interface: str = "wg0") -> None:
        """A route goes."""
        self._changes[Route(block_of(ip_network(network)), interface)] -= 1

    def watch(self, blocks: Iterable[Block]) -> None:
        self.watched = list(blocks)

    def take_changes(self) -> Sequence[RouteChange]:
        taken = [RouteChange(route, times) for route, times in self._changes.items() if times]
        self._changes.clear()
        return taken

    def keep_up(self) -> None:
        pass

    def close(self) -> None:
        pass
