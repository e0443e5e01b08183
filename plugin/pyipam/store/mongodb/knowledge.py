"""What this process knows of the database: all that decides how a batch is written.

It is what the core was told, no more: what waits in the news is not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyipam.store.mongodb.documents import GLOBAL, Names
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import (
    Change,
    Delete,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    key_of,
)


@dataclass(frozen=True)
class PlanNews:
    """What one version of the plan changed, in pools."""

    version: int
    changes: tuple[Change, ...]


# A lease of another node's local pool changes outside of the plan's versions.
News = PlanNews | Put | Delete


class Knowledge:
    """The version of the plan, every pool, and the leases that others hold in the global space."""

    def __init__(self, names: Names, version: int = 0) -> None:
        self.version = version
        self.pools: dict[str, PoolRecord] = {}
        # A commit was uncertain, and these are the keys whose stored record nobody knows since.
        self.in_doubt = False
        self.doubtful: set[Key] = set()
        self._names = names
        self._others_leases: dict[str, dict[str, LeaseRecord]] = {}
        self._subnets: dict[str, set[str]] = {}
        self._global_version = 0

    def is_own(self, driver: str) -> bool:
        """Whether a driver name is one of this node."""
        return self._names.driver_and_node(driver)[1] == self._names.node

    def pools_of(self, subnet: str) -> set[str]:
        """The ids of the pools of a subnet: more than one where they differ in their ip-range."""
        return self._subnets.get(subnet, set())

    def lease_of_another(self, key: LeaseKey) -> LeaseRecord | None:
        """What another node holds in the global space under this key."""
        return self._others_leases.get(key.subnet, {}).get(key.address)

    def note(self, change: Change) -> None:
        """Know what was stored."""
        match change:
            case Put(PoolRecord() as pool):
                self.pools[pool.id] = pool
                self._subnets.setdefault(subnet_id_of(pool.id), set()).add(pool.id)
            case Delete(PoolKey(pool_id)):
                if self.pools.pop(pool_id, None) is not None:
                    self._forget_pool_of(subnet_id_of(pool_id), pool_id)
            case Put(LeaseRecord() as lease) if lease.pool.startswith(GLOBAL):
                self._note_global_lease(lease)
            case Delete(LeaseKey(subnet, address)):
                self._others_leases.get(subnet, {}).pop(address, None)

    def doubt(self, keys: Iterable[Key]) -> None:
        """Know no more what is stored under these keys."""
        self.in_doubt = True
        for key in keys:
            self.doubtful.add(key)
            if isinstance(key, PoolKey):
                self.note(Delete(key))

    def settle(self) -> None:
        """Know that what was uncertain can no longer take effect."""
        self.in_doubt = False
        self.doubtful.clear()

    def use_global_space(
        self, version: int, pools: Iterable[PoolRecord], leases: Iterable[LeaseRecord]
    ) -> None:
        """Know the global space as it was read at a version of the plan: older news of it is
        none."""
        gone = [pool_id for pool_id in self.pools if pool_id.startswith(GLOBAL)]
        for pool_id in gone:
            self.note(Delete(PoolKey(pool_id)))
        self._others_leases.clear()
        for pool in pools:
            self.note(Put(pool))
        for lease in leases:
            self.note(Put(lease))
            if not self.is_own(lease.driver):
                self.doubtful.discard(lease.key)
        self._global_version = version

    def learn(self, news: Iterable[News]) -> Iterator[Change]:
        """Know the news; what of it is new, in order. A lease whose pool is not known has ended
        with it."""
        for item in news:
            if isinstance(item, PlanNews):
                yield from self._learn_version(item)
            elif self._has_place(item):
                self.doubtful.discard(key_of(item))
                self.note(item)
                yield item

    def _learn_version(self, item: PlanNews) -> Iterator[Change]:
        if item.version <= self.version:
            return
        self.version = item.version
        for change in item.changes:
            key = key_of(change)
            assert isinstance(key, PoolKey)
            if item.version > self._global_version or not key.id.startswith(GLOBAL):
                self.note(change)
                yield change

    def _has_place(self, change: Change) -> bool:
        match change:
            case Put(LeaseRecord() as lease):
                return lease.pool in self.pools
            case Delete(LeaseKey(subnet)):
                return subnet in self._subnets
            case _:
                return True

    def _forget_pool_of(self, subnet: str, pool_id: str) -> None:
        self._subnets[subnet].remove(pool_id)
        if not self._subnets[subnet]:
            del self._subnets[subnet]
            self._others_leases.pop(subnet, None)

    def _note_global_lease(self, lease: LeaseRecord) -> None:
        subnet, address = lease.key.subnet, lease.address
        if self.is_own(lease.driver):
            self._others_leases.get(subnet, {}).pop(address, None)
        else:
            self._others_leases.setdefault(subnet, {})[address] = lease
