"""An entry of the history: what became of a pool, an address or an aggregate, or what was said of a
node, and when.

An entry is a line of JSON. The plugin writes the lines itself, but they may have been damaged, or
have come with an import: what is not an entry is left out, without an error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from pyipam.space.address import parse_address
from pyipam.space.block import Block, block_of
from pyipam.store.pool_id import parse_stored_pool_id, split_node
from pyipam.store.records import (
    AggregateRecord,
    Change,
    Delete,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Record,
)

# What may have become of a pool, and of an address. Something rests, or is held back, between
# `rested` and `freed`; it ends without a rest where it is `ended`. It is `reused` where it was not
# free when it was given out: it rested, was held back, or had leaked.
POOL_EVENTS = ("made", "reused", "rested", "ended", "freed")
LEASE_EVENTS = ("given", "reused", "rested", "ended", "freed")
# The kind of an entry about an aggregate, and what may have become of one: it is `claimed`, rests
# when it was released, and is `reused` where it is taken back meanwhile; it is `forgotten` with its
# node.
AGGREGATE = "aggregate"
AGGREGATE_EVENTS = ("claimed", "reused", "rested", "forgotten", "ended", "freed")
# What an operator may have said of a node.
NODE_EVENTS = ("drained", "undrained", "forgotten", "remembered")
# Entries that could not be written, at about this place of the history.
LOST = "lost"
# After these, somebody has it.
BEGINNINGS = ("made", "given", "claimed", "reused")

_TEXTS = ("event", "pool", "address", "kind", "driver", "scope", "tags", "label", "node")
_MAX_NUMBER = 2**53 - 1
# The end of the year 9999: `datetime` writes no later time.
LATEST_TIME = 253_402_300_799


class Entry(NamedTuple):
    """What became of a pool, or of an address of it. `time` is a UNIX time in seconds.

    `event` is one of POOL_EVENTS where `address` is empty, else of LEASE_EVENTS. `driver` is the
    driver name that asked, and `epoch` the epoch in which it last asked. A pool has its scope, its
    tags and its label; an address has its kind, and `named` says that it was asked for by name.
    Where the kind is AGGREGATE, `pool` is the id of an aggregate, of which `event` is one of
    AGGREGATE_EVENTS. Where there is a `node`, nothing else is there but one of NODE_EVENTS.
    `imported` says that the entry came with an import. With the event LOST, there is nothing but
    the number of entries that were `lost`.
    """

    time: float
    event: str
    pool: str = ""
    address: str = ""
    kind: str = ""
    driver: str = ""
    epoch: int = 0
    scope: str = ""
    tags: str = ""
    label: str = ""
    named: bool = False
    imported: bool = False
    lost: int = 0
    node: str = ""

    @property
    def key(self) -> str:
        """What the entry is about: a pool, an address of a pool, an aggregate, or a node."""
        return f"{self.pool} {self.address}{self.kind * (self.kind == AGGREGATE)}{self.node}"

    @property
    def block(self) -> Block | None:
        """The subnet of the pool; None where the entry is about none."""
        return block_of_pool(self.pool)


def entry_of(time: float, change: Change, before: Record | None) -> Entry | None:
    """The entry for a change, with what was under its key before it; None where nothing becomes of
    anything: a replay, a further network of a pool, a driver name."""
    after = None if isinstance(change, Delete) else change.record
    if isinstance(after, AggregateRecord) or isinstance(before, AggregateRecord):
        assert isinstance(after, AggregateRecord | None)
        assert isinstance(before, AggregateRecord | None)
        return _about_aggregate(time, after, before)
    if isinstance(after, NodeRecord) or isinstance(before, NodeRecord):
        assert isinstance(after, NodeRecord | None)
        assert isinstance(before, NodeRecord | None)
        return _about_node(time, after, before)
    if not isinstance(before, PoolRecord | LeaseRecord | None):
        return None
    if isinstance(change, Delete):
        if before is None:
            return None
        return _about(time, "ended" if before.released is None else "freed", before)
    record = change.record
    if not isinstance(record, PoolRecord | LeaseRecord):
        return None
    event = _event(record, before)
    return None if event is None else _about(time, event, record)


def _event(record: PoolRecord | LeaseRecord, before: PoolRecord | LeaseRecord | None) -> str | None:
    if record.released is not None:
        return "rested" if before is not None and before.released is None else None
    if before is None:
        return "given" if isinstance(record, LeaseRecord) else "made"
    if before.released is not None or _begin(record) != _begin(before):
        return "reused"
    return None


def _begin(record: PoolRecord | LeaseRecord) -> float:
    return record.granted if isinstance(record, LeaseRecord) else record.created


def _about(time: float, event: str, record: PoolRecord | LeaseRecord) -> Entry:
    time = round(time, 3)
    if isinstance(record, LeaseRecord):
        return Entry(
            time,
            event,
            record.pool,
            record.address,
            record.kind,
            split_node(record.driver)[0],
            record.epoch,
            named=record.named,
        )
    driver, epoch = ("", 0) if not record.claims else record.claims[0][:2]
    return Entry(
        time,
        event,
        record.id,
        driver=split_node(driver)[0],
        epoch=epoch,
        scope=record.scope,
        tags=record.tags,
        label=record.label,
    )


def _about_aggregate(
    time: float, after: AggregateRecord | None, before: AggregateRecord | None
) -> Entry | None:
    record = after or before
    event = _event_of_aggregate(after, before)
    if record is None or event is None:
        return None
    return Entry(round(time, 3), event, record.id, kind=AGGREGATE, scope=record.scope)


def _event_of_aggregate(
    after: AggregateRecord | None, before: AggregateRecord | None
) -> str | None:
    if after is None:
        return "ended" if before is not None and before.released is None else "freed"
    if before is None:
        return "claimed"
    if after.forgotten and not before.forgotten:
        return "forgotten"
    if after.released is None:
        return None if before.released is None else "reused"
    return "rested" if before.released is None else None


def _about_node(time: float, after: NodeRecord | None, before: NodeRecord | None) -> Entry | None:
    named = after or before
    if named is None:
        return None
    was, now = before or NodeRecord(named.name), after or NodeRecord(named.name)
    changed = {
        "forgotten": was.forgotten is None and now.forgotten is not None,
        "remembered": was.forgotten is not None and now.forgotten is None,
        "drained": was.draining is None and now.draining is not None,
        "undrained": was.draining is not None and now.draining is None,
    }
    event = next((event for event, has_changed in changed.items() if has_changed), None)
    return None if event is None else Entry(round(time, 3), event, node=named.name)


def to_line(entry: Entry) -> bytes:
    """The entry as a line, without what is empty in it, and without the line's end."""
    return orjson.dumps({name: value for name, value in entry._asdict().items() if value})


def from_line(line: bytes) -> Entry | None:
    """The entry that a line holds, or None."""
    try:
        return from_document(orjson.loads(line))
    except ValueError:
        return None


def from_document(document: Any) -> Entry | None:
    """The entry that a JSON value is, or None. Members that are not known are left out."""
    if not isinstance(document, dict):
        return None
    known = {name: value for name, value in document.items() if name in Entry._fields}
    try:
        entry = Entry(**known)
    except TypeError:
        return None
    return entry if _is_sound(entry) else None


def _is_sound(entry: Entry) -> bool:
    if not all(isinstance(getattr(entry, name), str) for name in _TEXTS):
        return False
    numbers = (entry.time, entry.epoch, entry.lost)
    # To Python, True is a number, too.
    if any(isinstance(number, bool) for number in numbers):
        return False
    if not isinstance(entry.time, int | float) or not 0 <= entry.time <= LATEST_TIME:
        return False
    if not all(isinstance(n, int) and 0 <= n <= _MAX_NUMBER for n in numbers[1:]):
        return False
    if not (isinstance(entry.named, bool) and isinstance(entry.imported, bool)):
        return False
    if entry.event == LOST:
        return not entry.pool and not entry.address
    if entry.node:
        return entry.event in NODE_EVENTS and not entry.pool and not entry.address
    if entry.kind == AGGREGATE:
        return entry.event in AGGREGATE_EVENTS and entry.block is not None and not entry.address
    events = LEASE_EVENTS if entry.address else POOL_EVENTS
    block = entry.block
    if entry.event not in events or block is None:
        return False
    return not entry.address or _lies_in(entry.address, block)


def _lies_in(address: str, block: Block) -> bool:
    try:
        return block.contains(parse_address(address))
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def block_of_pool(pool_id: str) -> Block | None:
    """The subnet of a pool id; None if it is none."""
    try:
        return block_of(parse_stored_pool_id(pool_id).subnet)
    except ValueError:
        return None
