"""One plan that several nodes share, in memory: what a shared store promises, and no more.

A node learns what others did when it takes their changes, or from a conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TypeGuard

from pyipam.errors import StoreFailure, Unavailable
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.pool_id import space_of, split_node
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import (
    AggregateKey,
    AggregateRecord,
    Change,
    Delete,
    DriverKey,
    DriverRecord,
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
)
from tests.support.failing_store import FailingStore

Renaming = Callable[[str], str]


def _is_of(node: str, record: Record) -> bool:
    """Whether a record of the plan is of a node alone."""
    match record:
        case DriverRecord(name):
            return name.endswith(f"@{node}")
        case PoolRecord() | AggregateRecord():
            return record.id.startswith(f"local@{node}/")
        case LeaseRecord():
            return record.pool.startswith(f"local@{node}/")
        case NodeRecord():
            return False


@dataclass
class SharedPlan:
    """The records of every node, under names that contain the node; and the changes of pools that
    were not drawn from aggregates, of aggregates, and of what was said of nodes."""

    records: dict[Key, Record] = field(default_factory=dict)
    pool_changes: list[Change] = field(default_factory=list)

    def holder_of(self, record: Record, changes: Iterable[Change] = ()) -> LeaseRecord | None:
        """The other lease with the same address, if nobody else may have that address. Of those in
        aggregates only their node knows, also of those in the pools of these changes."""
        if not isinstance(record, LeaseRecord):
            return None
        drawn = {pool.id for pool in self._pools(changes) if pool.aggregate}
        if not _is_exclusive(record, drawn):
            return None
        for other in self.records.values():
            if (
                isinstance(other, LeaseRecord)
                and other.address == record.address
                and other.key != record.key
                and _is_exclusive(other, drawn)
                and _space(other.pool) == _space(record.pool)
            ):
                return other
        return None

    def _pools(self, changes: Iterable[Change]) -> Iterator[PoolRecord]:
        records = (change.record for change in changes if isinstance(change, Put))
        for record in (*self.records.values(), *records):
            if isinstance(record, PoolRecord):
                yield record

    def forget(self, node: str, at: float) -> None:
        """Do what a forced `pyipam nodes forget` does in a shared store."""
        mark = self._mark_of(node)
        changes: list[Change] = [Put(mark._replace(forgotten=mark.forgotten or at))]
        for record in self.records.values():
            if not _is_of(node, record):
                continue
            if isinstance(record, AggregateRecord):
                changes.append(Put(record._replace(released=record.released or at, forgotten=True)))
            else:
                changes.append(Delete(record.key))
        self.store(changes)

    def undo_forgetting(self, node: str) -> None:
        """Take that back."""
        kept = self._mark_of(node)._replace(forgotten=None)
        self.store([Delete(kept.key) if kept.draining is None else Put(kept)])

    def _mark_of(self, node: str) -> NodeRecord:
        mark = self.records.get(NodeKey(node))
        return mark if isinstance(mark, NodeRecord) else NodeRecord(node)

    def store(self, changes: Iterable[Change]) -> None:
        """Store changes, and let other nodes learn of those that concern all."""
        changes = list(changes)
        self.pool_changes += [change for change in changes if self.concerns_all(change)]
        for change in changes:
            if isinstance(change, Put):
                self.records[change.record.key] = change.record
            else:
                self.records.pop(change.key, None)

    def concerns_all(self, change: Change) -> bool:
        """Whether other nodes learn of a change: of what is in an aggregate, they do not."""
        key = _key(change)
        if not isinstance(key, PoolKey):
            return isinstance(key, AggregateKey | NodeKey)
        record = change.record if isinstance(change, Put) else self.records.get(key)
        return not (isinstance(record, PoolRecord) and record.aggregate)


class NodeStore(FailingStore):
    """The plan as one node sees it. `outcome` decides how the next commit ends: "fails", "lost"
    (not stored, and the node cannot tell) or "stored" (stored, and the node cannot tell). While
    `answers` is not set, every caller waits. While `is_behind`, what others did arrives only
    when it is waited for. `given` is the last `within`, in seconds."""

    shared = True

    def __init__(self, plan: SharedPlan, node: str) -> None:
        super().__init__(plan.records)
        self.plan = plan
        self.node = node
        self.outcome = ""
        self.ages: dict[str, float | None] = {}
        self.given: list[float] = []
        self.answers = Event()
        self.answers.set()
        self.is_asked = Event()
        self.queued: list[Change] = []
        self.is_behind = False
        self.seen = len(plan.pool_changes)

    def load(self) -> list[Record]:
        self.seen = len(self.plan.pool_changes)
        self.queued.clear()
        known = (self._here(record) for record in super().load())
        records = [record for record in known if not _is_hidden(record)]
        pools = {record.id for record in records if isinstance(record, PoolRecord)}
        return [x for x in records if not isinstance(x, LeaseRecord) or x.pool in pools]

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        self._wait(within)
        outcome, self.outcome = self.outcome, ""
        if outcome == "fails":
            raise StoreFailure("the database is away")
        if outcome != "lost":
            self._store([self._there(change) for change in changes])
        if outcome:
            raise Uncertain("nobody can tell")

    def take_remote_changes(self) -> Sequence[Change]:
        if self.is_behind:
            return ()
        learned, self.queued = tuple(self.queued), []
        return learned + self._new_pools()

    def await_remote_changes(self, within: float) -> bool:
        self._wait(within)
        self.is_behind = False
        return bool(self.queued) or self.seen != len(self.plan.pool_changes)

    def seconds_since_seen(self) -> dict[str, float | None]:
        return self.ages

    def pools_in_aggregates(self) -> dict[str, int]:
        if not self.answers.is_set():
            raise Unavailable("the database is away")
        drawn = (record for record in self.plan.records.values() if _is_drawn(record))
        return Counter(split_node(space_of(record.id))[1] for record in drawn)

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> list[Record]:
        self._wait(within)
        return [
            self._here(record)
            for record in self.plan.records.values()
            if isinstance(record, PoolRecord | LeaseRecord) and _space(_pool_id(record)) == "global"
        ]

    def hear(self, other: NodeStore, changes: Iterable[Change]) -> None:
        """Learn, some time later, of leases that another node changed."""
        self.queued += [self._change_here(other._there(change)) for change in changes]

    def _wait(self, within: float) -> None:
        self.given = [*self.given[-1:], within]
        if not self.answers.is_set():
            self.is_asked.set()
            assert self.answers.wait(60)
            self.is_asked.clear()

    def _store(self, changes: list[Change]) -> None:
        pools = [c for c in changes if self.plan.concerns_all(c)]
        if pools and self.seen != len(self.plan.pool_changes):
            raise Conflict("somebody changed pools", self._new_pools())
        holders = [self.plan.holder_of(c.record, changes) for c in changes if isinstance(c, Put)]
        learned = tuple(Put(self._here(lease)) for lease in holders if lease is not None)
        if learned:
            raise Conflict("somebody has the address", learned)
        self.plan.store(changes)
        self.seen += len(pools)

    def _new_pools(self) -> tuple[Change, ...]:
        new = self.plan.pool_changes[self.seen :]
        self.seen = len(self.plan.pool_changes)
        return tuple(self._change_here(change) for change in new)

    def _there(self, change: Change) -> Change:
        return _renamed(change, lambda name: name if "@" in name else f"{name}@{self.node}")

    def _change_here(self, change: Change) -> Change:
        return _renamed(change, lambda name: name.removesuffix(f"@{self.node}"))

    def _here(self, record: Record) -> Record:
        change = self._change_here(Put(record))
        assert isinstance(change, Put)
        return change.record


def _renamed(change: Change, rename: Renaming) -> Change:
    def pool_id(text: str) -> str:
        space, _, rest = text.partition("/")
        return text if space == "global" else f"{rename(space)}/{rest}"

    match change:
        case Put(PoolRecord() as pool):
            claims = tuple(claim._replace(driver=rename(claim.driver)) for claim in pool.claims)
            return Put(pool._replace(id=pool_id(pool.id), claims=claims))
        case Put(LeaseRecord() as lease):
            return Put(lease._replace(pool=pool_id(lease.pool), driver=rename(lease.driver)))
        case Put(DriverRecord() as driver):
            return Put(driver._replace(name=rename(driver.name)))
        case Put(AggregateRecord() as aggregate):
            return Put(aggregate._replace(id=pool_id(aggregate.id)))
        case Put(NodeRecord()) | Delete(NodeKey()):
            return change
        case Delete(AggregateKey(name)):
            return Delete(AggregateKey(pool_id(name)))
        case Delete(PoolKey(name)):
            return Delete(PoolKey(pool_id(name)))
        case Delete(LeaseKey(subnet, address)):
            return Delete(LeaseKey(pool_id(subnet), address))
        case Delete(DriverKey(name)):
            return Delete(DriverKey(rename(name)))
    raise TypeError(change)


def _key(change: Change) -> Key:
    return change.record.key if isinstance(change, Put) else change.key


def _pool_id(record: PoolRecord | LeaseRecord) -> str:
    return record.pool if isinstance(record, LeaseRecord) else record.id


def _space(pool_id: str) -> str:
    return pool_id.partition("/")[0].partition("@")[0]


def _is_drawn(record: Record) -> TypeGuard[PoolRecord]:
    """Whether it is a pool that was drawn from an aggregate."""
    return isinstance(record, PoolRecord) and record.aggregate != ""


def _is_hidden(record: Record) -> bool:
    """Whether it is a pool that another node has drawn from an aggregate."""
    return _is_drawn(record) and is_elsewhere(record)


def _is_exclusive(lease: LeaseRecord, drawn: Container[str]) -> bool:
    """Whether no other lease may have the address; not in the pools drawn from aggregates."""
    in_use_by_container = lease.kind == "container" and lease.released is None
    return lease.pool.startswith("global/") or (in_use_by_container and lease.pool not in drawn)
