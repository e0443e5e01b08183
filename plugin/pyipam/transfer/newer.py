"""What would be forgotten if a state went back to what a backup holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pyipam.store.records import DriverRecord, LeaseRecord, PoolRecord, Record
from pyipam.transfer.export_file import Export

_MOST_NAMED = 3


def used_since(held: Iterable[Record], backup: Export) -> list[PoolRecord | LeaseRecord]:
    """What is in use in the state, and is not, or by fewer networks, in the backup: it would be
    given out a second time. What rests, and what the backup alone has, does no harm."""
    then = {record.key: record for record in backup.records}
    found: list[PoolRecord | LeaseRecord] = []
    for record in held:
        if isinstance(record, DriverRecord):
            continue
        before = then.get(record.key)
        if _uses(record) > (0 if before is None else _uses(before)):
            found.append(record)
    return found


def about_use(used: list[PoolRecord | LeaseRecord]) -> str:
    """What is used, the latest first, in a few words."""
    latest = sorted(used, key=_since, reverse=True)
    named = [f"{_name(record)} (since {_moment(record)})" for record in latest[:_MOST_NAMED]]
    more = len(used) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _uses(record: Record) -> int:
    """By how many a pool or an address is used."""
    match record:
        case PoolRecord():
            return sum(claim.references for claim in record.claims)
        case LeaseRecord():
            return int(record.released is None)
        case DriverRecord():
            return 0


def _moment(record: PoolRecord | LeaseRecord) -> str:
    return f"{datetime.fromtimestamp(_since(record), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _since(record: PoolRecord | LeaseRecord) -> float:
    return record.created if isinstance(record, PoolRecord) else record.granted


def _name(record: PoolRecord | LeaseRecord) -> str:
    return record.id if isinstance(record, PoolRecord) else record.address
