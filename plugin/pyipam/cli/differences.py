"""What the plugin holds and Docker does not use, and what Docker uses and the plugin does not hold.

A difference is sure where nothing else can explain it; only then can it be mended. Everything is
matched by address, pool and epoch, never by a name. See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from pyipam.cli.client import Answer
from pyipam.cli.docker_use import DockerUse, SwarmUse, UsedSubnet
from pyipam.core.freeing import fingerprint_of
from pyipam.space.block import Network
from pyipam.store.pool_id import is_global, subnet_id_of, subnet_of

Kind = Literal["leaked pool", "leaked address", "missing pool", "missing address"]

# An address is given out before Docker shows who has it: in between lie at most the attempts to get
# an IPv6 address from a plugin that does not answer, and the driver's work.
SECONDS_TO_SETTLE = 120.0


@dataclass(frozen=True)
class MissingAddress:
    """An address that Docker uses. `networks` says how many networks have it as their gateway;
    `named` that its container asked for it by name."""

    address: str
    user: str
    networks: int = 0
    named: bool = False


@dataclass(frozen=True)
class Difference:
    """One difference, and the state that it was seen in.

    A leaked pool was seen with these `claims`, `created` at that time, and with leases of this
    `fingerprint`; a leaked address was given out in `epoch`, at the time `granted`. A missing pool
    or address belongs to networks of the plugin's name `driver`. `why` says what was seen, and what
    is not sure.
    """

    kind: Kind
    pool: str
    address: str
    sure: bool
    why: str
    driver: str = ""
    epoch: int = 0
    granted: float = 0.0
    created: float = 0.0
    claims: tuple[dict[str, Any], ...] = ()
    fingerprint: str = ""
    networks: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[MissingAddress, ...] = ()

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.kind, self.pool, self.address

    @property
    def seen(self) -> tuple[object, ...]:
        """The state that it was seen in: one that was given back and given out again is another
        one."""
        claims = tuple(tuple(sorted(claim.items())) for claim in self.claims)
        return *self.place, self.epoch, self.granted, self.created, claims, self.fingerprint


@dataclass(frozen=True)
class Held:
    """What the plugin holds on this node and for the swarm: pools and leases in force, as its views
    show them. `shared` says whether several nodes share the plan."""

    pools: Sequence[Answer]
    leases: Sequence[Answer]
    shared: bool


@dataclass(frozen=True)
class Comparison:
    """Both directions. `unsettled` counts what was given out too short ago to be judged."""

    differences: tuple[Difference, ...]
    unsettled: int


def compare(
    held: Held, use: DockerUse, drivers: Mapping[str, str], now: float, seconds_to_settle: float
) -> Comparison:
    """Compare both sides. `drivers` maps Docker's names of the plugin to its own, `now` is the
    present UNIX time in seconds."""
    judged = _Judged(held, use, drivers, now - seconds_to_settle)
    found = [*judged.leaked(), *judged.missing()]
    return Comparison(tuple(sorted(found, key=_order)), judged.unsettled)


def _order(difference: Difference) -> tuple[object, ...]:
    subnet = ip_network(subnet_of(difference.pool))
    address = int(ip_address(difference.address)) if difference.address else -1
    return subnet.version, int(subnet.network_address), difference.pool, address, difference.kind


class _Judged:
    """One comparison under way."""

    def __init__(
        self, held: Held, use: DockerUse, drivers: Mapping[str, str], settled: float
    ) -> None:
        self._use = use
        self._drivers = drivers
        self._settled = settled
        self._shared = held.shared
        self.unsettled = 0
        self._pools = {pool["id"]: pool for pool in held.pools}
        self._leases: dict[str, dict[str, Answer]] = {}
        for lease in held.leases:
            self._leases.setdefault(subnet_id_of(lease["pool"]), {})[lease["address"]] = lease
        self._same: dict[Network, list[UsedSubnet]] = {}
        for used in use.subnets:
            self._same.setdefault(used.subnet, []).append(used)

    # Held here, not used by Docker

    def leaked(self) -> Iterator[Difference]:
        """What the plugin holds and Docker does not use."""
        for pool in self._pools.values():
            if is_global(pool["id"]):
                yield from self._leaked_of_swarm(pool)
            else:
                yield from self._leaked_here(pool)

    def _leaked_here(self, pool: Answer) -> Iterator[Difference]:
        subnet = ip_network(subnet_of(pool["id"]))
        networks = self._networks_on(subnet)
        if any(self._has(used, pool["id"]) for used in networks):
            yield from self._leaked_addresses(pool, _addresses_of(networks))
        else:
            yield from self._leaked_pool(pool, self._doubt_about(subnet, networks))

    def _has(self, used: UsedSubnet, pool_id: str) -> bool:
        """Whether the pool is that of a network of the plugin on this node."""
        return used.is_here and used.driver in self._drivers and used.pool_id("local") == pool_id

    def _leaked_of_swarm(self, pool: Answer) -> Iterator[Difference]:
        swarm = self._use.swarm
        subnet = ip_network(subnet_of(pool["id"]))
        networks = [used for used in self._networks_on(subnet) if used.scope != "local"]
        if swarm is None:
            if not self._use.in_swarm and not self._shared:
                yield from self._leaked_pool(pool, self._doubt_about(subnet, networks))
        elif not networks:
            if swarm.leads or not self._shared:
                yield from self._leaked_pool(pool, "")
        elif swarm.leads:
            yield from self._leaked_addresses_of_swarm(pool, swarm, networks)

    def _leaked_addresses_of_swarm(
        self, pool: Answer, swarm: SwarmUse, networks: list[UsedSubnet]
    ) -> Iterator[Difference]:
        used = _addresses_of(networks)
        for network in networks:
            used |= swarm.users.get(network.network_id, {})
            used |= dict.fromkeys(swarm.former.get(network.network_id, ()), "a former task")
        found = list(self._leaked_addresses(pool, used))
        others = swarm.nodes - 1
        if len(found) <= others:
            # The load balancers of other nodes, which Docker shows there alone.
            return
        doubt = f"; {others} of these may be load balancers on other nodes" if others else ""
        for each in found:
            yield _doubted(each, doubt)

    def _leaked_pool(self, pool: Answer, doubt: str) -> Iterator[Difference]:
        if pool["created"] > self._settled:
            self.unsettled += 1
            return
        leases = self._leases_through(pool["id"])
        yield Difference(
            "leaked pool",
            pool["id"],
            "",
            not doubt,
            doubt or "no network of Docker has the subnet",
            created=pool["created"],
            claims=tuple(dict(claim) for claim in pool["claims"]),
            fingerprint=fingerprint_of((x["address"], x["epoch"], x["granted"]) for x in leases),
        )

    def _leaked_addresses(self, pool: Answer, used: Mapping[str, str]) -> Iterator[Difference]:
        for lease in self._leases_through(pool["id"]):
            # A gateway ends with its pool.
            if lease["kind"] == "gateway" or lease["address"] in used:
                continue
            if lease["granted"] > self._settled:
                self.unsettled += 1
            else:
                yield _leaked_address(lease, "no endpoint of Docker has it")

    def _leases_through(self, pool_id: str) -> list[Answer]:
        leases = self._leases.get(subnet_id_of(pool_id), {}).values()
        return [lease for lease in leases if lease["pool"] == pool_id]

    def _networks_on(self, subnet: Network) -> list[UsedSubnet]:
        return self._same.get(subnet) or self._use.overlapping(subnet)

    def _doubt_about(self, subnet: Network, networks: Iterable[UsedSubnet]) -> str:
        """Why a pool on the subnet may be in use all the same; empty if nothing says so."""
        for used in networks:
            if used.driver not in self._drivers:
                return f"network {used.network} of IPAM driver {used.driver} overlaps it"
            if not used.is_here:
                return f"network {used.network} of the swarm has no endpoint on this node"
            return f"network {used.network} is on {used.subnet}, through another pool"
        alone = [used for used in self._use.subnets if not int(used.subnet.network_address)]
        for used in alone:
            if (used.subnet.version, used.subnet.prefixlen) == (subnet.version, subnet.prefixlen):
                return f"network {used.network} says of its subnet only the length"
        for name, driver in self._use.unclear.items():
            if driver in self._drivers:
                return f"network {name} does not say which subnet it has"
        return ""

    # Used by Docker, not held here

    def missing(self) -> Iterator[Difference]:
        """What networks of the plugin use on this node, and the plugin does not hold."""
        groups: dict[tuple[str, str], list[UsedSubnet]] = {}
        for used in self._use.subnets:
            is_mine = used.driver in self._drivers and int(used.subnet.network_address)
            if is_mine and used.scope != "other" and used.is_here:
                key = (used.pool_id("local"), self._drivers[used.driver])
                groups.setdefault(key, []).append(used)
        for (pool_id, driver), networks in groups.items():
            yield from self._missing_in(pool_id, driver, networks)
        if self._use.swarm is not None and self._use.swarm.leads:
            yield from self._missing_of_swarm()

    def _missing_of_swarm(self) -> Iterator[Difference]:
        """The pools of the swarm that its leader's plugin does not hold. Only the leader knows all
        addresses in them, and tells them when it starts to lead."""
        for used in self._use.subnets:
            pool_id = used.pool_id("global")
            is_mine = used.scope == "swarm" and used.driver in self._drivers
            if is_mine and pool_id not in self._pools:
                yield Difference(
                    "missing pool",
                    pool_id,
                    "",
                    False,
                    f"network {used.network} of the swarm has the subnet: restart dockerd, which "
                    "tells the plugin about it and all its addresses",
                    self._drivers[used.driver],
                    networks=1,
                    options=used.options,
                )

    def _missing_in(
        self, pool_id: str, driver: str, networks: list[UsedSubnet]
    ) -> Iterator[Difference]:
        leases = self._leases.get(subnet_id_of(pool_id), {})
        addresses = [x for x in _missing_addresses(networks) if x.address not in leases]
        if pool_id in self._pools:
            for missing in addresses:
                yield Difference(
                    "missing address",
                    pool_id,
                    missing.address,
                    True,
                    f"{missing.user} has it",
                    driver,
                    addresses=(missing,),
                )
            return
        names = ", ".join(used.network for used in networks)
        yield Difference(
            "missing pool",
            pool_id,
            "",
            True,
            f"network {names} has the subnet",
            driver,
            networks=len(networks),
            options=networks[0].options,
            addresses=tuple(addresses),
        )


def _leaked_address(lease: Answer, why: str) -> Difference:
    return Difference(
        "leaked address",
        lease["pool"],
        lease["address"],
        True,
        why,
        lease["driver"],
        lease["epoch"],
        lease["granted"],
    )


def _doubted(difference: Difference, doubt: str) -> Difference:
    if not doubt:
        return difference
    return Difference(**{**vars(difference), "sure": False, "why": difference.why + doubt})


def _addresses_of(networks: Iterable[UsedSubnet]) -> dict[str, str]:
    return {address: who for used in networks for address, who in used.addresses.items()}


def _missing_addresses(networks: Sequence[UsedSubnet]) -> list[MissingAddress]:
    gateways = [used.gateway for used in networks if used.gateway]
    found = {
        address: MissingAddress(
            address, who, gateways.count(address), any(address in x.fixed for x in networks)
        )
        for used in networks
        for address, who in used.addresses.items()
    }
    return [found[address] for address in sorted(found, key=lambda text: int(ip_address(text)))]
