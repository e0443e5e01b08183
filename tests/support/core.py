"""The core, called directly: a store in memory, a clock that tests move, a plan from a schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, TypeVar

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.core.selection import Policy
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.space.address import AddressSpace, parse_address
from pyipam.store.records import LeaseKind
from tests.support.failing_store import FailingStore
from tests.support.host_routes import SaidRoutes
from tests.support.reading import leases_in, pools_in

DRIVER = "driver"

Result = TypeVar("Result")


@dataclass
class Time:
    """Both clocks; a test moves them together or one alone."""

    wall: float = 1_700_000_000.0
    monotonic: float = 1000.0

    def tick(self) -> float:
        """The monotonic time, which advances a little each time that it is read."""
        self.monotonic += 1e-6
        return self.monotonic

    def pass_seconds(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def scope(network: str, prefix: int | None = None, **keys: Any) -> dict[str, Any]:
    """A scope of a schema."""
    return {"network": network, **({} if prefix is None else {"prefix": prefix}), **keys}


def tree_of(*scopes: dict[str, Any]) -> ScopeTree:
    """The scopes of a schema, which must be valid."""
    found = read_schema(json.dumps({"schema_version": 1, "scopes": list(scopes)}))
    assert isinstance(found, ScopeTree), found
    return found


@dataclass
class Core:
    """The core, as a test calls it: Docker's requests in the core's terms, answers as strings."""

    tree: ScopeTree
    policy: Policy = field(default_factory=lambda: Policy(parse_tag_filter("default")))
    time: Time = field(default_factory=Time)
    store: FailingStore = field(default_factory=FailingStore)
    routes: SaidRoutes = field(default_factory=SaidRoutes)
    engine: str = "engine-1"
    node: str = "h1"
    _is_together: bool = False

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the plugin over the same store."""
        clock = Clock(lambda: self.time.wall, self.time.tick)
        self.ipam = Ipam(self.store, self.policy, clock, self.routes, node=self.node)
        self.ipam.load(self.tree)
        self.announce()

    def announce(self, driver: str = DRIVER) -> None:
        """Let the engine ask for the driver's capabilities."""
        self.make(lambda: self.ipam.begin_epoch(driver, self.engine))

    def make(self, call: Callable[[], Result]) -> Result:
        """Make a call: in a commit of its own, or in the one of `together`."""
        if self._is_together:
            return call()
        (result,) = self.ipam.commit([call])
        return result

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Make calls, of this class or of the core, in one commit. Returns their results."""
        self._is_together = True
        try:
            return self.ipam.commit(calls)
        finally:
            self._is_together = False

    def restart_engine(self, name: str) -> None:
        """Restart the engine and the plugin, as after a restart of the host."""
        self.engine = name
        self.start()

    def pool(self, subnet: str = "", **wishes: Any) -> str:
        """Ask for a pool (see `pool_request`). Returns its id."""
        request = self.pool_request(subnet, **wishes)
        return self.make(lambda: self.ipam.request_pool(request))

    def pool_request(
        self,
        subnet: str = "",
        *,
        tags: str = "",
        space: AddressSpace = "local",
        version: int = 4,
        length: int | None = None,
        ip_range: str = "",
        label: str = "",
        driver: str = DRIVER,
        asking: str | None = None,
        is_repeated: bool = False,
        shared: bool = False,
        has_options: bool = False,
    ) -> PoolRequest:
        """What a network asks for. `asking` is the engine that asks, if not the one that runs;
        `is_repeated` says that swarm has the network already."""
        network = ip_network(subnet) if subnet else None
        return PoolRequest(
            driver=driver,
            space=space,
            version=network.version if network else version,
            subnet=network,
            ip_range=ip_network(ip_range) if ip_range else None,
            length=length,
            tag_filter=parse_tag_filter(tags),
            label=label,
            engine=self.engine if asking is None else asking,
            is_repeated=is_repeated,
            shared=shared,
            has_options=has_options or shared or bool(tags) or bool(label),
        )

    def release_pool(self, pool_id: str, driver: str = DRIVER) -> None:
        self.make(lambda: self.ipam.release_pool(driver, pool_id))

    def address(
        self,
        pool_id: str,
        address: str = "",
        *,
        kind: LeaseKind = "container",
        serial: bool = False,
        driver: str = DRIVER,
        is_new_container: bool = False,
    ) -> str:
        """Ask for an address. Returns what Docker would be told."""
        given = parse_address(address) if address else None
        request = AddressRequest(driver, pool_id, given, kind, serial, is_new_container)
        return str(self.make(lambda: self.ipam.request_address(request)))

    def gateway(
        self, pool_id: str, address: str = "", driver: str = DRIVER, serial: bool = False
    ) -> str:
        return self.address(pool_id, address, kind="gateway", driver=driver, serial=serial)

    def release(self, pool_id: str, address: str, driver: str = DRIVER) -> None:
        number = parse_address(address)
        self.make(lambda: self.ipam.release_address(driver, pool_id, number))

    def pools(self) -> list[str]:
        """The ids of the pools that are held."""
        return sorted(pool.id for pool, _ in pools_in(self.ipam) if pool.claims)

    def references(self, pool_id: str) -> int:
        return sum(
            claim.references
            for pool, _ in pools_in(self.ipam)
            if pool.id == pool_id
            for claim in pool.claims
        )

    def leases(self, pool_id: str) -> dict[str, bool]:
        """The leased addresses, each with whether Docker has claimed it."""
        return {lease.address: claimed for lease, claimed in leases_in(self.ipam, pool_id)}


def replay(core: Core, pool: str, *addresses: str) -> None:
    """Make the calls of an engine that has started, for a network that it knows."""
    space, _, rest = pool.partition("/")
    subnet, length, *_ = rest.split("/")
    assert core.pool(f"{subnet}/{length}", space="global" if space == "global" else "local") == pool
    for number, address in enumerate(addresses):
        core.address(pool, address, kind="container" if number else "gateway")
