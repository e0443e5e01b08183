"""Routes of the host, and the interface of whatever knows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from pyipam.space.block import Block

# The metric of the routes that a routing daemon is to announce. FRR reads the top byte as the
# administrative distance: 255, so that whatever else knows the prefix is preferred.
ANNOUNCED_METRIC = 0xFF002000


class Route(NamedTuple):
    """An on-link route: the block that the host reaches directly through an interface."""

    block: Block
    interface: str

    def __str__(self) -> str:
        return f"{self.block} dev {self.interface}"


class RouteChange(NamedTuple):
    """A route that came (`times` above 0) or went (`times` below 0). The number matters because
    two routing tables may hold the same route."""

    route: Route
    times: int


class HostRoutes(Protocol):
    """The on-link routes of the host. Any thread may ask."""

    @property
    def failure(self) -> str | None:
        """Why the routes are not known, or None."""

    def watch(self, blocks: Iterable[Block]) -> None:
        """Tell of the routes that overlap these blocks from now on, and of no others. Those that
        are there come as changes. May take a moment."""

    def take_changes(self) -> Sequence[RouteChange]:
        """What has come and gone since the last call. Costs next to nothing if nothing has."""

    def keep_up(self) -> None:
        """Take in what the host has reported meanwhile, so that none of it gets lost."""

    def close(self) -> None:
        """Stop watching."""


class NoRoutes:
    """A host without routes, or one of which none are known."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure = failure

    def watch(self, blocks: Iterable[Block]) -> None:
        pass

    def take_changes(self) -> Sequence[RouteChange]:
        return ()

    def keep_up(self) -> None:
        pass

    def close(self) -> None:
        pass
