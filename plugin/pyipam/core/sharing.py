"""What other nodes do to a plan that several share, and what this one has to repair.

See "Sharing one plan between nodes" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pyipam.core.claims import references_of
from pyipam.core.giving_back import after_last_pool
from pyipam.core.holdings import HoldingKey
from pyipam.core.state import State
from pyipam.core.subnet import Before, record_before
from pyipam.space.block import Block
from pyipam.store.errors import Conflict
from pyipam.store.pool_id import parse_subnet_id, subnet_id_of, subnet_of
from pyipam.store.records import (
    AggregateKey,
    AggregateRecord,
    Change,
    Delete,
    Key,
    LeaseKey,
    LeaseRecord,
    NodeKey,
    NodeRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
    is_elsewhere,
    key_of,
)


class Sharing:
    """Brings what other nodes did into the state; all of it needs the lock of the state.

    A commit may end without an answer from the store. What it had changed is then undone in
    memory, and repaired in the store before anything else is committed there.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        # By key: the record to be stored, or None where nothing is to be.
        self._repairs: dict[Key, Record | None] = {}
        self._heard: list[tuple[Change, Before]] = []

    # Repairs

    def repairs(self) -> list[Change]:
        """The changes that must be stored with, or before, whatever is committed next."""
        return [
            Delete(key) if record is None else Put(record) for key, record in self._repairs.items()
        ]

    def mark_repaired(self) -> None:
        """Forget the repairs: they are stored."""
        self._repairs.clear()

    def plan_repairs(self, changes: Sequence[Change], before: Sequence[Before]) -> None:
        """Plan to take back changes, undone already, of which nobody knows whether they were
        stored. Releases stay: Docker does not repeat them, and somebody else may already have what
        was released."""
        first: dict[Key, Record | None] = {}
        last: dict[Key, Change] = {}
        for change, former in zip(changes, before, strict=True):
            key = key_of(change)
            first.setdefault(key, record_before(former))
            last[key] = change
        # Leases end before the pool that they are in.
        for key, record in sorted(first.items(), key=lambda item: isinstance(item[0], PoolKey)):
            if _is_release(record, last[key]):
                self._release(last[key])
            else:
                self._repairs.setdefault(key, record)

    def _release(self, change: Change) -> None:
        """Let what was released end now, and release what its node has to release with it."""
        key = key_of(change)
        record = self._state.find(key)
        if record is None:
            # It came and went with the changes that were undone.
            self._repairs[key] = None
            return
        released: Sequence[Change] = ()
        if isinstance(record, PoolRecord) and _is_end(change):
            released = after_last_pool(self._state, record).changes
        for each in (change, *released):
            self._state.apply(each)
            self._repairs[key_of(each)] = each.record if isinstance(each, Put) else None

    # Learning

    def learn(self, changes: Iterable[Change]) -> None:
        """Bring in what other nodes changed. What they have stored under a key since is not this
        node's to repair."""
        for change in changes:
            key = key_of(change)
            self._learn(change)
            self._repairs.pop(key, None)
            if isinstance(key, PoolKey) and _is_end(change):
                self._end_repaired_leases(key.id)

    def _end_repaired_leases(self, pool_id: str) -> None:
        """Repair no lease of a pool that has ended: nothing would end it any more."""
        for key, record in self._repairs.items():
            if isinstance(record, LeaseRecord) and record.pool == pool_id:
                self._repairs[key] = None

    def take_heard(self) -> list[tuple[Change, Before]]:
        """What was said of nodes elsewhere and learned since the last call, with what was said
        before."""
        heard, self._heard = self._heard, []
        return heard

    def learn_from(self, conflict: Conflict, decided: Sequence[Change] = ()) -> None:
        """Bring in what stood in the way of a commit, whose changes are undone, and count it as
        contested."""
        self._state.meetings.meet(self._new_blocks(decided), _blocks(conflict.learned))
        for change in conflict.learned:
            key = key_of(change)
            if isinstance(key, LeaseKey):
                self._state.contested[subnet_of(key.subnet)] += 1
        self.learn(conflict.learned)

    def ends_pool_decided_upon(self, records: Iterable[Record], decided: Sequence[Change]) -> bool:
        """Whether a pool of the global space has ended, as the store has it now, in which
        something may have been decided."""
        return bool(decided) and any(
            isinstance(key, PoolKey) for key in self._ended(records, decided)
        )

    def learn_global_space(self, records: Iterable[Record], decided: Sequence[Change]) -> None:
        """Bring in the global space as the store has it now, all but the keys that have been
        decided upon in this commit."""
        records = list(records)
        for key in self._ended(records, decided):
            self._learn(Delete(key))
        keys = {key_of(change) for change in decided}
        # In their order: a lease is brought in only where its pool is.
        for record in records:
            if record.key not in keys:
                self._learn(Put(record))

    def _ended(self, records: Iterable[Record], decided: Sequence[Change]) -> set[HoldingKey]:
        stored = {record.key for record in records}
        keys = {key_of(change) for change in decided}
        return self._state.holdings.keys_of("global") - stored - keys

    def _new_blocks(self, changes: Iterable[Change]) -> Iterator[Block]:
        new = (each for each in changes if isinstance(each, Put))
        return _blocks(each for each in new if self._state.find(each.record.key) is None)

    def _learn(self, change: Change) -> None:
        for changed in _blocks([change]):
            self._state.meetings.see(changed)
        if isinstance(change, Put):
            self._learn_put(change)
        elif isinstance(change.key, AggregateKey | NodeKey) or not is_elsewhere(change.key):
            self._learn_shared(change)
        else:
            self._state.delete_elsewhere(change.key)

    def _learn_put(self, change: Put) -> None:
        record = change.record
        if isinstance(record, AggregateRecord | NodeRecord) or not is_elsewhere(record):
            self._learn_shared(change)
            return
        self._state.put_elsewhere(record)

    def _learn_shared(self, change: Change) -> None:
        key = key_of(change)
        if not isinstance(key, LeaseKey) or key.subnet in self._state.holdings.subnets:
            before = self._state.apply(change)
            if isinstance(key, NodeKey):
                self._heard.append((change, before))


def _is_release(former: Record | None, change: Change) -> bool:
    """Whether a change ends what there was, lets it rest, or leaves less than all that hold it."""
    match former, change:
        case PoolRecord() as pool, Put(PoolRecord() as left):
            return _is_end(change) or references_of(left) < references_of(pool)
        case LeaseRecord() as lease, Put(LeaseRecord() as left):
            return _is_end(change) or len(left.sharers) < len(lease.sharers)
        case _:
            return isinstance(change, Delete)


def _is_end(change: Change) -> bool:
    """Whether a change ends a pool or a lease, or lets it rest."""
    match change:
        case Put(PoolRecord(released=released) | LeaseRecord(released=released)):
            return released is not None
        case _:
            return isinstance(change, Delete)


def _blocks(changes: Iterable[Change]) -> Iterator[Block]:
    """The blocks of the pools and aggregates that are changed."""
    keys = map(key_of, changes)
    kinds = (PoolKey, AggregateKey)
    return (parse_subnet_id(subnet_id_of(key.id))[1] for key in keys if isinstance(key, kinds))
