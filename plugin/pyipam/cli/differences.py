"""Differences between what the plugin holds and what Docker uses, and the sides they are between.

A difference is sure where nothing else can explain it; only then can it be repaired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyipam.cli.client import Answer
from pyipam.cli.docker_use import DockerUse, UsedAddress, UsedSubnet
from pyipam.cli.tables import counted
from pyipam.space.block import Network
from pyipam.store.pool_id import subnet_id_of

Kind = Literal[
    "leaked pool",
    "leaked address",
    "unclaimed pool",
    "unclaimed address",
    "missing pool",
    "missing address",
]


@dataclass(frozen=True)
class HeldAddress:
    """An address that Docker uses and the plugin holds through a pool, last claimed in `epoch` and
    given out at the time `granted`. `networks` says how many networks have it as their gateway."""

    pool: str
    address: str
    kind: str
    epoch: int
    granted: float
    networks: int


@dataclass(frozen=True)
class Difference:
    """One difference, and the state that it was seen in.

    A pool that is held was seen with these `claims`, `created` at that time, and a leaked one with
    leases of this `fingerprint`; an address that is held was given out in `epoch`, at the time
    `granted`. What is unclaimed or missing belongs to networks of the plugin's name `driver`. Of
    the addresses that they use, `leases` are held and `addresses` are not. `why` says what was
    seen, and what is not sure.
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
    addresses: tuple[UsedAddress, ...] = ()
    leases: tuple[HeldAddress, ...] = ()

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.kind, self.pool, self.address

    @property
    def summary(self) -> dict[str, Any]:
        """What it is about, for people and programs that do not repair it."""
        names = ("kind", "pool", "address", "sure", "why")
        return {name: getattr(self, name) for name in names}

    @property
    def given_out(self) -> float:
        """When what is held was given out, a UNIX time."""
        return max(self.created, self.granted)

    @property
    def seen(self) -> tuple[object, ...]:
        """The state that it was seen in: one that was given back and given out again is another
        one."""
        claims = tuple(tuple(sorted(claim.items())) for claim in self.claims)
        return *self.place, self.epoch, self.granted, self.created, claims, self.fingerprint


def counted_by_kind(differences: Iterable[Difference]) -> str:
    """How many differences of each kind there are, in words."""
    kinds = Counter(difference.kind for difference in differences)
    return ", ".join(
        counted(number, kind, f"{kind}{'es' if kind.endswith('s') else 's'}")
        for kind, number in kinds.items()
    )


class Sides:
    """What the plugin holds on this node and for the swarm, as its views show it, and what Docker
    uses.

    `own_networks` are the networks of the plugin on this node, by the id of their pool and the
    plugin's name that they have. `pools` are those that are held, by id, and `leases` those in
    force, by subnet id and address. `shared` says whether several nodes share the plan. `drivers`
    maps Docker's names of the plugin to its own. What was given out after `settled`, a UNIX time,
    cannot be judged.
    """

    def __init__(
        self,
        pools: Sequence[Answer],
        leases: Sequence[Answer],
        use: DockerUse,
        drivers: Mapping[str, str],
        *,
        shared: bool,
        settled: float,
    ) -> None:
        self.use, self.drivers, self.shared, self.settled = use, drivers, shared, settled
        self.pools = {pool["id"]: pool for pool in pools}
        self.leases: dict[str, dict[str, Answer]] = {}
        for lease in leases:
            self.leases.setdefault(subnet_id_of(lease["pool"]), {})[lease["address"]] = lease
        self._same: dict[Network, list[UsedSubnet]] = {}
        for used in use.subnets:
            self._same.setdefault(used.subnet, []).append(used)
        self.own_networks: dict[tuple[str, str], list[UsedSubnet]] = {}
        for used in use.subnets:
            is_mine = used.driver in drivers and int(used.subnet.network_address)
            if is_mine and used.scope != "other" and used.is_here:
                key = (used.pool_id("local"), drivers[used.driver])
                self.own_networks.setdefault(key, []).append(used)

    def leases_through(self, pool_id: str) -> list[Answer]:
        """The leases that were given out through one pool."""
        leases = self.leases.get(subnet_id_of(pool_id), {}).values()
        return [lease for lease in leases if lease["pool"] == pool_id]

    def networks_on(self, subnet: Network) -> list[UsedSubnet]:
        """The subnets of networks that are this one, or else that overlap it."""
        return self._same.get(subnet) or self.use.overlapping(subnet)

    def is_settled(self, difference: Difference) -> bool:
        """Whether what is held was given out long enough ago to be judged."""
        return difference.given_out <= self.settled
