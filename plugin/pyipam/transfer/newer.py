"""What would be forgotten if a state went back to what a backup holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pyipam.store.pool_id import is_global
from pyipam.store.records import (
    Claim,
    DriverKey,
    DriverRecord,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Record,
)
from pyipam.transfer.export_file import Export

_MOST_NAMED = 3


def used_since(held: Iterable[Record], backup: Export) -> list[PoolRecord | LeaseRecord]:
    """What the state has in use that the backup does not have so: it would be given out a second
    time, or refused to whoever has it. That is what others use, or more of them, or share; and what
    is claimed, where it counted as leaked then. What rests, and what the backup alone has, does no
    harm."""
    now, then = _Records(held), _Records(backup.records)
    return [record for record in now.pools_and_leases() if _is_newer(record, now, then)]


class _Records:
    """All records of a state."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.by_key = {record.key: record for record in records}

    def pools_and_leases(self) -> Iterator[PoolRecord | LeaseRecord]:
        for record in self.by_key.values():
            if not isinstance(record, DriverRecord):
                yield record

    def is_claimed(self, record: Record) -> bool:
        """Whether a pool or a lease has been claimed in the present epoch: see Holdings and
        Subnet in core."""
        match record:
            case PoolRecord():
                return any(self._is_current(record, claim) for claim in record.claims)
            case LeaseRecord():
                pool = self.by_key.get(PoolKey(record.pool))
                claims = pool.claims if isinstance(pool, PoolRecord) else ()
                return all(
                    claim.driver != record.driver or record.epoch >= claim.epoch for claim in claims
                )
            case DriverRecord():
                return True

    def _is_current(self, pool: PoolRecord, claim: Claim) -> bool:
        driver = self.by_key.get(DriverKey(claim.driver))
        if not isinstance(driver, DriverRecord):
            return True
        if is_global(pool.id):
            return claim.epoch >= driver.global_epoch
        return claim.epoch >= driver.local_epoch or not driver.engine


def _is_newer(record: PoolRecord | LeaseRecord, now: _Records, then: _Records) -> bool:
    before = then.by_key.get(record.key)
    if before is None:
        return bool(_users(record))
    if _users(record) - _users(before):
        return True
    is_shared = isinstance(record, PoolRecord) and bool(record.claims) and record.shared
    if is_shared and isinstance(before, PoolRecord) and not before.shared:
        return True
    return bool(_users(record)) and now.is_claimed(record) and not then.is_claimed(before)


def about_use(used: list[PoolRecord | LeaseRecord]) -> str:
    """What is used, the latest first, in a few words."""
    latest = sorted(used, key=_since, reverse=True)
    named = [f"{_name(record)} (since {_moment(record)})" for record in latest[:_MOST_NAMED]]
    more = len(used) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _users(record: Record) -> Counter[tuple[str, ...]]:
    """Who uses a pool or an address, and how often: driver names and what they use it as."""
    match record:
        case PoolRecord():
            return Counter({(claim.driver,): claim.references for claim in record.claims})
        case LeaseRecord() if record.released is None:
            sharers = ((sharer.pool, sharer.driver, record.kind) for sharer in record.sharers)
            return Counter([(record.pool, record.driver, record.kind), *sharers])
        case _:
            return Counter()


def _moment(record: PoolRecord | LeaseRecord) -> str:
    return f"{datetime.fromtimestamp(_since(record), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _since(record: PoolRecord | LeaseRecord) -> float:
    return record.created if isinstance(record, PoolRecord) else record.granted


def _name(record: PoolRecord | LeaseRecord) -> str:
    return record.id if isinstance(record, PoolRecord) else record.address
