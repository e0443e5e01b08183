"""What is known, in step with what is stored.

A change takes effect in memory at once and becomes durable at the end of the commit that it is
part of. When that fails, memory is taken back to what it was before. Nothing here decides what is
given to whom.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyipam import log
from pyipam.addresses import to_number
from pyipam.blocks import AddressRange, Block
from pyipam.placement import Placement
from pyipam.pools import Holdings, Resting, parse_subnet_id
from pyipam.scopes import ScopeTree
from pyipam.store.store import (
    Change,
    Delete,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Store,
    subnet_of,
)


@dataclass(frozen=True)
class Clock:
    """Time, handed in: the wall clock for people and records, the monotonic one for waiting."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass
class _Pending:
    """What is decided and not durable yet: the changes, how to undo them, what to log after."""

    changes: list[Change] = field(default_factory=list)
    undo: list[Change] = field(default_factory=list)
    events: list[tuple[Callable[..., None], str, dict[str, object]]] = field(default_factory=list)


class Ledger:
    """The state of one address plan. Use it inside `one_commit`, or under its lock."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.holdings = Holdings()
        self.placement = Placement(ScopeTree())
        self._store = store
        self._resting = Resting()
        self._pending = _Pending()
        self._depth = 0

    def load(self, tree: ScopeTree) -> None:
        """Take in what the store holds, under these scopes. Raises StateDamaged or Unavailable."""
        with self.lock:
            for record in self._store.load():
                match record:
                    case LeaseRecord():
                        self.holdings.subnets[subnet_of(record.pool)].put_lease(record)
                    case PoolRecord():
                        self.holdings.put_pool(record)
                    case DriverRecord():
                        self.holdings.drivers[record.name] = record
            for subnet in self.holdings.subnets.values():
                subnet.recall_last_given()
            self.use_scopes(tree)

    def reserved(self, block: Block) -> tuple[AddressRange, ...]:
        """What the scope that the block is in never gives out unasked."""
        scope = self.placement.tree.containing(block)
        return () if scope is None else scope.reserved

    def reuse_delay(self, block: Block) -> float:
        """How many seconds rests what was released in the scope that the block is in."""
        scope = self.placement.tree.containing(block)
        return 0.0 if scope is None else scope.reuse_delay

    @contextmanager
    def one_commit(self) -> Iterator[None]:
        """Everything that is called inside is made durable together, when the block ends: with
        one wait for the disk. Raises StoreFailure at the end, and then nothing of it has
        happened; answers that were computed inside must not be given."""
        with self.lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._end_commit()

    def change(self, changes: Sequence[Change]) -> None:
        """Let the changes take effect, and be part of the present commit."""
        for change in changes:
            self._pending.undo.append(self._inverse(change))
            self._apply(change)
        self._pending.changes.extend(changes)

    def _end_commit(self) -> None:
        pending, self._pending = self._pending, _Pending()
        if pending.changes:
            try:
                self._store.commit(pending.changes)
            except BaseException:
                for change in reversed(pending.undo):
                    self._apply(change)
                raise
        for write, event, fields in pending.events:
            write(event, **fields)

    def tell(self, event: str, **fields: object) -> None:
        """Log a change, once it is durable."""
        self._pending.events.append((log.info, event, fields))

    def warn(self, event: str, **fields: object) -> None:
        """As `tell`, for what an operator may have to act on."""
        self._pending.events.append((log.warning, event, fields))

    def _inverse(self, change: Change) -> Change:
        key = change.record.key if isinstance(change, Put) else change.key
        before = self.holdings.find(key)
        return Delete(key) if before is None else Put(before)

    def _apply(self, change: Change) -> None:
        match change:
            case Put(PoolRecord() as pool):
                created = self.holdings.put_pool(pool)
                if created is not None:
                    self.placement.hold(created.space, created.block)
                self._rest(pool)
            case Put(LeaseRecord() as lease):
                self.holdings.subnets[lease.key.subnet].put_lease(lease)
                self._rest(lease)
            case Put(DriverRecord() as driver):
                self.holdings.drivers[driver.name] = driver
            case Delete(key):
                self._forget(key)

    def _forget(self, key: Key) -> None:
        match key:
            case PoolKey(pool_id):
                gone = self.holdings.delete_pool(pool_id)
                if gone is not None:
                    self.placement.release(gone.space, gone.block)
            case LeaseKey(subnet_id, address):
                self.holdings.subnets[subnet_id].delete_lease(to_number(address))
            case DriverKey(name):
                self.holdings.drivers.pop(name, None)

    def _rest(self, record: PoolRecord | LeaseRecord) -> None:
        if record.released is None:
            return
        pool_id = record.pool if isinstance(record, LeaseRecord) else record.id
        delay = self.reuse_delay(parse_subnet_id(subnet_of(pool_id))[1])
        # The wall clock may have jumped: nothing rests longer than it was meant to.
        left = min(max(record.released + delay - self.clock.wall(), 0.0), delay)
        self._resting.add(self.clock.monotonic() + left, record)

    def retire_rested(self) -> None:
        """Make free what has rested for as long as it was to."""
        rested = [
            record
            for record in self._resting.take_due(self.clock.monotonic())
            if self.holdings.find(record.key) is record
        ]
        if rested:
            self.change([Delete(record.key) for record in rested])

    def use_scopes(self, tree: ScopeTree) -> None:
        """Draw from these scopes from now on, around everything that is held or rests."""
        subnets = self.holdings.subnets.values()
        self.placement = Placement(tree, ((item.space, item.block) for item in subnets))
        self._resting.clear()
        for subnet in subnets:
            subnet.forget_free_addresses()
            for pool in subnet.pools.values():
                self._rest(pool)
            for lease in subnet.leases.values():
                if lease.released is not None:
                    self._rest(lease)
