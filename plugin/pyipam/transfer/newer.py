"""What would be forgotten if a state went back to what a backup holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from pyipam.store.pool_id import is_global
from pyipam.store.records import (
    Claim,
    DriverRecord,
    LeaseKey,
    LeaseRecord,
    PoolRecord,
    Record,
    Sharer,
)
from pyipam.transfer.export_file import Export

_MOST_NAMED = 3


def used_since(held: Iterable[Record], backup: Export) -> list[PoolRecord | LeaseRecord]:
    """What the state has in use that the backup does not have so: it would be given out a second
    time, or refused to whoever has it. That is what others use, or more of them, or share; and what
    is claimed, where it counted as leaked then. What rests, and what the backup alone has, does no
    harm."""
    now, then = _Records(held), _Records(backup.records)
    return [
        *(pool for pool in now.pools.values() if _is_newer_pool(pool, now, then)),
        *(lease for lease in now.leases.values() if _is_newer_lease(lease, now, then)),
    ]


class _Records:
    """All records of a state. What counts as claimed is as in core (Holdings, Subnet)."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.pools: dict[str, PoolRecord] = {}
        self.leases: dict[LeaseKey, LeaseRecord] = {}
        self._drivers: dict[str, DriverRecord] = {}
        for record in records:
            match record:
                case PoolRecord():
                    self.pools[record.id] = record
                case LeaseRecord():
                    self.leases[record.key] = record
                case DriverRecord():
                    self._drivers[record.name] = record

    def is_pool_claimed(self, pool: PoolRecord) -> bool:
        """Whether a pool has been claimed in the present epoch, or nobody can tell."""
        return any(self._is_present(pool, claim) for claim in pool.claims)

    def is_lease_claimed(self, lease: LeaseRecord) -> bool:
        """Whether a lease is as new as the claim of a pool that has it."""
        holders = (Sharer(lease.pool, lease.driver, lease.epoch), *lease.sharers)
        return any(self._is_named(holder) for holder in holders)

    def _is_present(self, pool: PoolRecord, claim: Claim) -> bool:
        driver = self._drivers.get(claim.driver)
        if driver is None:
            return True
        if is_global(pool.id):
            return claim.epoch >= driver.global_epoch
        return claim.epoch >= driver.local_epoch or not driver.engine

    def _is_named(self, holder: Sharer) -> bool:
        pool = self.pools.get(holder.pool)
        claims = () if pool is None else pool.claims
        return all(x.driver != holder.driver or holder.epoch >= x.epoch for x in claims)


def _is_newer_pool(pool: PoolRecord, now: _Records, then: _Records) -> bool:
    before = then.pools.get(pool.id)
    if before is None or not pool.claims:
        return bool(pool.claims)
    if _networks(pool) - _networks(before) or (pool.shared and not before.shared):
        return True
    return now.is_pool_claimed(pool) and not then.is_pool_claimed(before)


def _networks(pool: PoolRecord) -> Counter[str]:
    """How many networks of each driver name have the pool."""
    return Counter({claim.driver: claim.references for claim in pool.claims})


def _is_newer_lease(lease: LeaseRecord, now: _Records, then: _Records) -> bool:
    before = then.leases.get(lease.key)
    if before is None or lease.released is not None:
        return lease.released is None
    if _users(lease) - _users(before):
        return True
    return now.is_lease_claimed(lease) and not then.is_lease_claimed(before)


def _users(lease: LeaseRecord) -> Counter[tuple[str, str, str]]:
    """Who has the address in which pool, and as what; nobody once it is released."""
    if lease.released is not None:
        return Counter()
    sharers = ((sharer.pool, sharer.driver, lease.kind) for sharer in lease.sharers)
    return Counter([(lease.pool, lease.driver, lease.kind), *sharers])


def about_use(used: list[PoolRecord | LeaseRecord]) -> str:
    """What is used, the latest first, in a few words."""
    latest = sorted(used, key=_since, reverse=True)
    named = [f"{_name(record)} (since {_moment(record)})" for record in latest[:_MOST_NAMED]]
    more = len(used) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _moment(record: PoolRecord | LeaseRecord) -> str:
    return f"{datetime.fromtimestamp(_since(record), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _since(record: PoolRecord | LeaseRecord) -> float:
    return record.created if isinstance(record, PoolRecord) else record.granted


def _name(record: PoolRecord | LeaseRecord) -> str:
    return record.id if isinstance(record, PoolRecord) else record.address
