"""Every pool, lease and driver name of this node and of the global space.

All of it follows from records: loading them again gives the same holdings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from pyipam.core.counts import Counts
from pyipam.core.subnet import Subnet
from pyipam.space.address import AddressSpace, to_number
from pyipam.store.pool_id import parse_subnet_id, subnet_id_of
from pyipam.store.records import (
    DriverKey,
    DriverRecord,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
)

# What holdings consist of.
Holding = PoolRecord | LeaseRecord | DriverRecord
HoldingKey = PoolKey | LeaseKey | DriverKey


class Holdings:
    """Subnets by SPACE/SUBNET, and driver names. Needs the lock of the state.

    `elsewhere` returns the leases, of IP version 4 or 6, of containers on other nodes, by address;
    None in a plan that no other node shares.
    """

    def __init__(self, elsewhere: Callable[[int], Mapping[int, LeaseRecord]] | None = None) -> None:
        self._elsewhere = elsewhere
        self.subnets: dict[str, Subnet] = {}
        self.counts = Counts()
        # Grows with each subnet that comes or goes.
        self.subnets_version = 0
        self.drivers: dict[str, DriverRecord] = {}

    def pool(self, pool_id: str) -> PoolRecord | None:
        """A pool, whether it is held or rests."""
        subnet = self.subnets.get(subnet_id_of(pool_id))
        return None if subnet is None else subnet.pools.get(pool_id)

    def pools(self) -> Iterator[PoolRecord]:
        """Every pool, whether it is held or rests."""
        for subnet in self.subnets.values():
            yield from subnet.pools.values()

    def subnet_of(self, pool: PoolRecord) -> Subnet:
        """The subnet of a pool that is held or rests."""
        return self.subnets[subnet_id_of(pool.id)]

    def leases_of(self, pool: PoolRecord) -> list[LeaseRecord]:
        """The leases that were given out through a pool."""
        return self.subnet_of(pool).leases_of(pool.id)

    def is_claimed(self, pool: PoolRecord) -> bool:
        """Whether some driver name has claimed the pool in its present epoch; or whether nobody can
        tell, since nothing identifies its engine: such a pool of this node never counts as leaked,
        and keeps its former epoch when it is claimed again."""
        space = self.subnet_of(pool).space
        return any(
            claim.epoch >= self.epoch(claim.driver, space)
            or (space == "local" and self._is_unidentified(claim.driver))
            for claim in pool.claims
        )

    def _is_unidentified(self, driver: str) -> bool:
        record = self.drivers.get(driver)
        return record is not None and not record.engine

    def find(self, key: HoldingKey) -> Holding | None:
        """The record under a key, or None."""
        match key:
            case PoolKey(pool_id):
                return self.pool(pool_id)
            case DriverKey(name):
                return self.drivers.get(name)
            case LeaseKey(subnet_id, address):
                subnet = self.subnets.get(subnet_id)
                return None if subnet is None else subnet.leases.get(to_number(address))

    def keys_of(self, space: AddressSpace) -> set[HoldingKey]:
        """The keys of every pool and lease of an address space."""
        keys: set[HoldingKey] = set()
        for subnet in self.subnets.values():
            if subnet.space == space:
                keys.update(pool.key for pool in subnet.pools.values())
                keys.update(lease.key for lease in subnet.leases.values())
        return keys

    def load(self, records: Iterable[Holding]) -> None:
        """Fill empty holdings. The pools of a subnet come before the leases in them."""
        for record in records:
            if isinstance(record, LeaseRecord):
                subnet = self.subnets[subnet_id_of(record.pool)]
                subnet.leases[to_number(record.address)] = record
            elif isinstance(record, PoolRecord):
                key = subnet_id_of(record.id)
                (self.subnets.get(key) or self.add_subnet(key)).put_pool(record)
            else:
                self.drivers[record.name] = record
        for subnet in self.subnets.values():
            subnet.restore()

    def add_subnet(self, subnet_id: str) -> Subnet:
        """Add SPACE/SUBNET, without any pool yet."""
        self.subnets_version += 1
        subnet = Subnet(subnet_id, *parse_subnet_id(subnet_id), counts=self.counts)
        self.subnets[subnet_id] = subnet
        if self._elsewhere is not None and subnet.space == "local":
            subnet.elsewhere = self._elsewhere(subnet.block.version)
        return subnet

    def remove_subnet(self, subnet: Subnet) -> None:
        """Remove a subnet that has no pool left."""
        self.subnets_version += 1
        del self.subnets[subnet.id]

    def epoch(self, driver: str, space: AddressSpace) -> int:
        """The present epoch of a driver name in an address space; 0 before its first."""
        record = self.drivers.get(driver)
        if record is None:
            return 0
        return record.local_epoch if space == "local" else record.global_epoch
