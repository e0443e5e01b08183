"""A core, as the views show it, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, TypeVar

from pyipam.core.requests import PoolRequest
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.space.address import AddressSpace, parse_address
from pyipam.space.block import block_of
from pyipam.views.aggregates import (
    AggregateFilter,
    AggregatesInOrder,
    AggregateView,
    list_aggregates,
)
from pyipam.views.census import Census, Censuses
from pyipam.views.explanation import ExplanationView, explain
from pyipam.views.free_addresses import list_free_addresses
from pyipam.views.leases import LeaseFilter, LeaseView, list_leases
from pyipam.views.nodes import NodeView, list_nodes
from pyipam.views.order import Page, Part, Subnets
from pyipam.views.plan_map import MapSources, MapView, draw_map
from pyipam.views.pools import PoolFilter, PoolView, list_pools
from pyipam.views.scopes import ScopeView, list_free_blocks, list_scopes
from pyipam.views.trial import TrialView, try_request
from tests.support.core import DRIVER, Core

Item = TypeVar("Item")


class Viewer:
    """Looks at a core. `node` is its name in a shared plan; `pauses` counts how often a view asked
    whether calls are to be let through."""

    def __init__(self, core: Core, node: str = "") -> None:
        self.core = core
        self.node = node
        self.pauses = 0
        self.subnets = Subnets(core.ipam)
        self.censuses = Censuses(core.ipam, self.subnets)
        self.known_aggregates = AggregatesInOrder(core.ipam)

    def pause(self) -> None:
        self.pauses += 1

    def pools(self, limit: int = 500, **wanted: Any) -> list[PoolView]:
        def page(part: Part) -> Page[PoolView]:
            asked = PoolFilter(**wanted)
            return list_pools(self.core.ipam, self.subnets, asked, part, self.node, self.pause)

        return list(_all(page, limit))

    def leases(
        self, limit: int = 500, pools: PoolFilter | None = None, **wanted: Any
    ) -> list[LeaseView]:
        def page(part: Part) -> Page[LeaseView]:
            asked = LeaseFilter(pools or PoolFilter(), **wanted)
            return list_leases(self.core.ipam, self.subnets, asked, part, self.node, self.pause)

        return list(_all(page, limit))

    def scopes(self, limit: int = 500, **wanted: Any) -> list[ScopeView]:
        def page(part: Part) -> Page[ScopeView]:
            return list_scopes(self.core.ipam, self.censuses, part, self.pause, **wanted)

        return list(_all(page, limit))

    def free_blocks(self, scope: str, length: int | None = None, limit: int = 500) -> list[str]:
        def page(part: Part) -> Page[Any]:
            return list_free_blocks(self.core.ipam, scope, length, part, self.pause)

        return [f"{item.subnet}: {item.blocks}" for item in _all(page, limit)]

    def free_addresses(self, pool: str, limit: int = 500) -> list[str]:
        def page(part: Part) -> Page[Any]:
            return list_free_addresses(self.core.ipam, pool, part, self.pause)

        return [f"{item.first}-{item.last}: {item.addresses}" for item in _all(page, limit)]

    def explain(self, address: str) -> ExplanationView:
        return explain(
            self.core.ipam,
            self.subnets,
            self.censuses,
            parse_address(address),
            self.node,
            self.pause,
        )

    def map(self, block: str = "") -> MapView:
        wanted = block_of(ip_network(block)) if block else None
        return draw_map(
            MapSources(self.core.ipam, self.subnets, self.known_aggregates), wanted, self.pause
        )

    def trial(
        self,
        tags: str = "",
        version: int = 4,
        length: int | None = None,
        space: AddressSpace = "local",
        subnet: str = "",
    ) -> TrialView:
        wish = PoolRequest(
            *(DRIVER, space, version, ip_network(subnet) if subnet else None),
            length=length,
            tag_filter=parse_tag_filter(tags),
        )
        with self.core.ipam.reading() as state:
            return try_request(state, self.core.ipam.policy, wish)

    def census(self) -> Census:
        return self.censuses.latest(self.pause)

    def aggregates(self, limit: int = 500, **wanted: Any) -> list[AggregateView]:
        return list(_all(lambda part: self.aggregate_page(part, **wanted), limit))

    def aggregate_page(self, part: Part, **wanted: Any) -> Page[AggregateView]:
        asked = AggregateFilter(**wanted)
        return list_aggregates(
            self.core.ipam, self.subnets, self.known_aggregates, asked, part, self.pause
        )

    def nodes(self) -> list[NodeView]:
        return list_nodes(
            self.core.ipam, self.subnets, self.known_aggregates, self.node, self.pause
        )


def _all(page: Callable[[Part], Page[Item]], limit: int) -> Iterator[Item]:
    after: str | None = ""
    while after is not None:
        found = page(Part(after, limit))
        assert len(found.items) <= limit
        yield from found.items
        after = found.next
