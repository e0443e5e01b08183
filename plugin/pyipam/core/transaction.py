"""What is known, in step with what is stored.

A change takes effect in memory at once and becomes durable at the end of the commit that it is
part of. When that fails, memory is taken back to what it was before. Nothing here decides what is
given to whom.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count
from types import TracebackType
from typing import TypeVar

from pyipam import log
from pyipam.core.elsewhere import Elsewhere
from pyipam.core.holdings import Holdings, Resting, Subnet
from pyipam.core.placement import Placement
from pyipam.errors import StoreFailure
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import to_number
from pyipam.space.block import AddressRange, Block
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.pool_id import cidr_of, is_global, make_subnet_id, subnet_id_of
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS, Store
from pyipam.store.records import (
    Change,
    Delete,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
    is_elsewhere,
    key_of,
)

Result = TypeVar("Result")

# More often no work is done anew: other nodes would have to win every time.
_ATTEMPTS = 200


@dataclass(frozen=True)
class Clock:
    """Time, handed in: the wall clock for people and records, the monotonic one for waiting."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class _Pending:
    """What is decided and not durable yet: the changes, what was known under the key of each
    before, and what to log after; and whether nothing follows the next decision."""

    changes: list[Change] = field(default_factory=list)
    before: list[Record | None] = field(default_factory=list)
    events: list[Callable[[], None]] = field(default_factory=list)
    last_follows: bool = False


class _OneCommit:
    """What `Ledger.one_commit` gives. May be entered again inside itself."""

    __slots__ = ("_begin", "_end")

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()


class Ledger:
    """The state of one address plan.

    It is changed inside `one_commit`, by one thread at a time. It is read there, or under its
    lock, which nobody keeps who waits for a store across a network: what is seen is then what is
    stored.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._turn = threading.RLock()
        self._holder = 0
        self.clock = clock
        self.elsewhere = Elsewhere()
        self.holdings = Holdings(self.elsewhere.leases if store.shared else None)
        self.placement = Placement(ScopeTree())
        self._store = store
        self._deadline: float | None = None
        self._contested: Counter[str] = Counter()
        self._repairs: dict[Key, Record | None] = {}
        self._resting = Resting()
        self._pending = _Pending()
        self._depth = 0
        self._one_commit = _OneCommit(self._begin, self._end)

    def load(self, tree: ScopeTree) -> None:
        """Load what the store holds, under these scopes. Raises StateCorrupted or Unavailable."""
        with self._turn, self.lock:
            records = self._store.load()
            self.holdings.recall(self.elsewhere.without(records) if self._store.shared else records)
            self._use_scopes(tree)

    def use_scopes(self, tree: ScopeTree) -> None:
        """Draw from these scopes from now on, around everything that is held or rests."""
        with self._turn, self.lock:
            self._use_scopes(tree)

    def reserved(self, block: Block) -> tuple[AddressRange, ...]:
        """What the scope that the block is in never gives out unasked."""
        scope = self.placement.tree.containing(block)
        return () if scope is None else scope.reserved

    def reuse_delay(self, block: Block) -> float:
        """How many seconds rests what was released in the scope that the block is in."""
        scope = self.placement.tree.containing(block)
        return 0.0 if scope is None else scope.reuse_delay

    def one_commit(self) -> AbstractContextManager[None]:
        """Everything that is called inside is made durable together, when the block ends: with
        one wait for the disk. Raises StoreFailure at the end, and then nothing of it has
        happened; answers that were computed inside must not be given."""
        return self._one_commit

    def last_change_follows(self) -> None:
        """The next `change` is the last one of the present commit: the store may begin with it
        while the answer is made."""
        self._pending.last_follows = True

    def change(self, changes: Sequence[Change]) -> None:
        """Let the changes take effect, and be part of the present commit."""
        pending = self._pending
        if pending.last_follows:
            self._store.prewrite([*pending.changes, *changes])
        self._take_in(changes)

    def _take_in(self, changes: Sequence[Change]) -> None:
        pending = self._pending
        for change in changes:
            pending.before.append(self._apply(change))
            pending.changes.append(change)

    def in_one_commit(
        self, work: Callable[[], Result], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> Result:
        """What `work` gives, when everything that it did is durable, in so many seconds.

        Where other nodes stand in the way, what they did is learned, and the work done anew.
        Raises StoreFailure, and then nothing of it has happened.
        """
        deadline = self.clock.monotonic() + within
        if not self._turn.acquire(timeout=max(within, 0.0)):
            raise StoreFailure(
                "the calls before this one wait for the store; nothing has been done. Try again "
                "when it answers"
            )
        try:
            self._contested.clear()
            self._deadline = deadline
            for attempt in count():
                try:
                    with self._one_commit:
                        return work()
                except Conflict:
                    if attempt == _ATTEMPTS or self.clock.monotonic() >= deadline:
                        raise
                    time.sleep(random.uniform(0.0, min(0.001 * 2**attempt, 0.05)))
        finally:
            self._deadline = None
            self._turn.release()
        raise AssertionError("the loop ends by itself")

    def settle(self, within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Know what other nodes did, and take back what nobody knows to have been stored; let
        others have what has rested here."""
        # All but the last happens in every commit.
        self.in_one_commit(self.retire_rested, within)

    def contested(self, subnet: Subnet) -> int:
        """How often in this commit another node had an address of the subnet first."""
        return self._contested[cidr_of(subnet.id)] if self._contested else 0

    def refresh(self) -> None:
        """Know the global space as other nodes have left it. Raises Unavailable."""
        if not self._store.shared:
            return
        try:
            with self._waiting(self._pending):
                if self._repairs:
                    self._store.commit(self._repairing(), self._patience)
                    self._repairs.clear()
                records = self._store.load_global_space(self._patience)
        except Conflict as conflict:
            self._drop_pending()
            self._learn_from(conflict)
            raise
        found: dict[Key, Record] = {record.key: record for record in records}
        decided = {key_of(change) for change in self._pending.changes}
        gone = self.holdings.keys_of("global") - found.keys() - decided
        if decided and any(isinstance(key, PoolKey) for key in gone):
            # What is decided may be in a pool that another node has ended.
            self._drop_pending()
            self._learn_global(gone, found)
            raise Conflict(
                "other nodes ended networks at the same moment; nothing has been done. Try again",
                (),
            )
        self._learn_global(gone, {key: found[key] for key in found if key not in decided})

    def _learn_global(self, gone: Iterable[Key], found: Mapping[Key, Record]) -> None:
        for key in gone:
            self._learn(Delete(key))
        # In their order: a lease is known only in a pool that is.
        for record in found.values():
            self._learn(Put(record))

    def latest_global_epoch(self) -> int:
        """The latest epoch in which a node that shares the plan claimed a pool of the global
        space; 0 where nobody shares it."""
        if not self._store.shared:
            return 0
        pools = (pool for pool in self.holdings.pools() if is_global(pool.id))
        return max((claim.epoch for pool in pools for claim in pool.claims), default=0)

    @property
    def _patience(self) -> float:
        """How many seconds the present commit may still take."""
        return (
            COMMIT_TIMEOUT_SECONDS
            if self._deadline is None
            else self._deadline - self.clock.monotonic()
        )

    def _begin(self) -> None:
        self._turn.acquire()
        self._depth += 1
        if self._depth == 1:
            self._holder = threading.get_ident()
            self.lock.acquire()
            try:
                self._learn_news()
            except BaseException:
                # Nobody leaves what was not entered.
                self._leave()
                raise

    def _learn_news(self) -> None:
        if self._store.shared:
            for change in self._store.take_remote_changes():
                self._learn(change)
                # What another node has put there since is not this one's to take back.
                self._repairs.pop(key_of(change), None)

    def _end(self) -> None:
        try:
            if self._depth == 1:
                self._holder = 0
                self._end_commit()
        finally:
            self._leave()

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._holder = 0
            self.lock.release()
        self._turn.release()

    def _end_commit(self) -> None:
        pending = self._pending
        pending.last_follows = False
        if not pending.changes and not pending.events and not self._repairs:
            return
        self._pending = _Pending()
        if pending.changes or self._repairs:
            self._commit(pending)
        for note in pending.events:
            note()

    def _commit(self, pending: _Pending) -> None:
        if not self._store.shared:
            self._commit_here(pending)
            return
        try:
            with self._waiting(pending):
                self._store.commit([*self._repairing(), *pending.changes], self._patience)
        except BaseException as error:
            self._undo(pending)
            if isinstance(error, Conflict):
                self._learn_from(error)
            elif isinstance(error, Uncertain):
                self._plan_repairs(pending)
            raise
        self._repairs.clear()

    def _commit_here(self, pending: _Pending) -> None:
        try:
            self._store.commit(pending.changes, self._patience)
        except BaseException:
            self._undo(pending)
            raise

    @contextmanager
    def _waiting(self, pending: _Pending) -> Iterator[None]:
        """Let others see what is known, without what is pending, while the block waits for the
        store."""
        self._undo(pending)
        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()
            for change in pending.changes:
                self._apply(change)

    def _repairing(self) -> list[Change]:
        return [
            Delete(key) if record is None else Put(record) for key, record in self._repairs.items()
        ]

    def _plan_repairs(self, pending: _Pending) -> None:
        """What was perhaps stored is to be taken back, but a release: Docker does not ask again,
        and somebody else may have what was released."""
        first: dict[Key, Record | None] = {}
        gone: dict[Key, bool] = {}
        for change, before in zip(pending.changes, pending.before, strict=True):
            key = key_of(change)
            first.setdefault(key, before)
            gone[key] = isinstance(change, Delete)
        # A lease is forgotten before the pool that it is in.
        for key, before in sorted(first.items(), key=lambda item: isinstance(item[0], PoolKey)):
            if gone[key]:
                self._repairs[key] = None
                self._forget(key)
            else:
                self._repairs.setdefault(key, before)

    def _learn_from(self, conflict: Conflict) -> None:
        for change in conflict.learned:
            self._learn(change)
            self._count_contested(change)
            # What another node has put there since is not this one's to take back.
            self._repairs.pop(key_of(change), None)

    def _learn(self, change: Change) -> None:
        """Know what another node did."""
        subject = change.record if isinstance(change, Put) else change.key
        if not is_elsewhere(subject):
            self._learn_shared(change)
        elif isinstance(change, Put):
            block = self.elsewhere.put(change.record)
            if block is not None:
                self.placement.hold("elsewhere", block)
        else:
            self._learn_gone(change.key)

    def _learn_gone(self, key: Key) -> None:
        if isinstance(key, PoolKey):
            # Nobody tells of a lease that ended with its pool.
            for lease in self.elsewhere.leases_of(key.id):
                self._learn_gone(lease.key)
        block = self.elsewhere.delete(key)
        if block is not None:
            self.placement.release("elsewhere", block)
        if isinstance(key, LeaseKey):
            own = self.holdings.subnets.get(make_subnet_id("local", cidr_of(key.subnet)))
            if own is not None:
                own.released(to_number(key.address))

    def _learn_shared(self, change: Change) -> None:
        key = key_of(change)
        if isinstance(key, LeaseKey) and key.subnet not in self.holdings.subnets:
            return
        self._apply(change)

    def _count_contested(self, change: Change) -> None:
        key = key_of(change)
        if isinstance(key, LeaseKey):
            self._contested[cidr_of(key.subnet)] += 1

    def _drop_pending(self) -> None:
        """Decide nothing of what was decided in this commit."""
        pending, self._pending = self._pending, _Pending()
        self._undo(pending)

    def _undo(self, pending: _Pending) -> None:
        for change, before in zip(reversed(pending.changes), reversed(pending.before), strict=True):
            if before is None:
                self._apply(Delete(key_of(change)))
            else:
                self._put_back(before)

    def _put_back(self, record: Record) -> None:
        """Know a record again that was never gone: no address is given by that."""
        if not isinstance(record, LeaseRecord):
            self._apply(Put(record))
            return
        subnet = self.holdings.subnets[subnet_id_of(record.pool)]
        last_given = subnet.last_given
        self._apply(Put(record))
        subnet.last_given = last_given or subnet.last_given

    def tell(self, event: str, **fields: object) -> None:
        """Log a change, once it is durable."""
        self._pending.events.append(partial(log.info, event, **fields))

    def when_durable(self, note: Callable[[], None]) -> None:
        """Call `note` once the changes of the present commit are durable; at once, if there is
        none."""
        if self._holder == threading.get_ident():
            self._pending.events.append(note)
        else:
            note()

    def warn(self, event: str, **fields: object) -> None:
        """As `tell`, for what an operator may have to act on."""
        self._pending.events.append(partial(log.warning, event, **fields))

    def _apply(self, change: Change) -> Record | None:
        """Change what is known; what was known under the key before."""
        if isinstance(change, Delete):
            return self._forget(change.key)
        record = change.record
        if isinstance(record, LeaseRecord):
            return self._put_lease(record)
        if isinstance(record, PoolRecord):
            return self._put_pool(record)
        return self._put_driver(record)

    def _put_lease(self, lease: LeaseRecord) -> LeaseRecord | None:
        subnet = self.holdings.subnets[subnet_id_of(lease.pool)]
        if lease.released is not None:
            self._rest(lease, lease.released, subnet.block)
        return subnet.put_lease(lease)

    def _put_pool(self, pool: PoolRecord) -> PoolRecord | None:
        subnet = self.holdings.subnets.get(subnet_id_of(pool.id))
        if subnet is None:
            subnet = self.holdings.add_subnet(subnet_id_of(pool.id))
            self.placement.hold(subnet.space, subnet.block)
        if pool.released is not None:
            self._rest(pool, pool.released, subnet.block)
        return subnet.put_pool(pool)

    def _put_driver(self, driver: DriverRecord) -> DriverRecord | None:
        before = self.holdings.drivers.get(driver.name)
        self.holdings.drivers[driver.name] = driver
        return before

    def _forget(self, key: Key) -> Record | None:
        if isinstance(key, LeaseKey):
            return self.holdings.subnets[key.subnet].delete_lease(to_number(key.address))
        if isinstance(key, PoolKey):
            return self._forget_pool(key.id)
        return self.holdings.drivers.pop(key.name, None)

    def _forget_pool(self, pool_id: str) -> PoolRecord | None:
        subnet = self.holdings.subnets.get(subnet_id_of(pool_id))
        before = None if subnet is None else subnet.delete_pool(pool_id)
        if subnet is not None and before is not None and not subnet.pools:
            del self.holdings.subnets[subnet.id]
            self.placement.release(subnet.space, subnet.block)
        return before

    def _rest(self, record: PoolRecord | LeaseRecord, released: float, block: Block) -> None:
        delay = self.reuse_delay(block)
        # The wall clock may have jumped: nothing rests longer than it was meant to.
        left = min(max(released + delay - self.clock.wall(), 0.0), delay)
        self._resting.add(self.clock.monotonic() + left, record)

    def retire_rested(self) -> None:
        """Make free what has rested for as long as it was to."""
        due = self._resting.take_due(self.clock.monotonic())
        if due:
            rested = [record for record in due if self.holdings.find(record.key) is record]
            # Who asks for this decides something next.
            self._take_in([Delete(record.key) for record in rested])

    def _use_scopes(self, tree: ScopeTree) -> None:
        subnets = self.holdings.subnets.values()
        self.placement = Placement(tree, ((item.space, item.block) for item in subnets))
        for block in self.elsewhere.blocks():
            self.placement.hold("elsewhere", block)
        self._resting.clear()
        for subnet in subnets:
            subnet.forget_free_addresses()
            records: chain[PoolRecord | LeaseRecord]
            records = chain(subnet.pools.values(), subnet.leases.values())
            for record in records:
                if record.released is not None:
                    self._rest(record, record.released, subnet.block)
