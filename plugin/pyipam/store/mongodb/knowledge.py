"""What this process knows of the database, on which it decides how changes are written.

It is what the core has been told: a change of another node that has arrived is pending, and is
not known before the core has asked for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Set

from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.marks import NumberedMark
from pyipam.store.mongodb.pool_doubts import PoolDoubts, PossiblePool
from pyipam.store.mongodb.snapshot import Snapshot
from pyipam.store.mongodb.versions import (
    NO_VERSIONS,
    PoolSetRead,
    StripeVersion,
    stripes_of_key,
)
from pyipam.store.pool_id import is_global, subnet_id_of
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
    key_of,
)

# What arrives from other nodes: a version of the pool set, all of it, what was said of a node, or a
# change that has no number: of a lease in a local pool of another node.
RemoteChange = StripeVersion | PoolSetRead | NumberedMark | Put | Delete


class Knowledge:
    """The versions of the pool set, every aggregate, every pool outside of the aggregates of other
    nodes, the leases of other nodes in the global space, and what was said of nodes.

    Every method and attribute requires the lock of the store, but for `add_pending` and
    `pending_count`.
    """

    def __init__(self, codec: RecordCodec) -> None:
        self.versions = list(NO_VERSIONS)
        self.pools: dict[str, PoolRecord] = {}
        self.aggregates: dict[str, AggregateRecord] = {}
        # By the name of the node.
        self.marks: dict[str, NodeRecord] = {}
        # Whether a commit whose outcome is unknown may still take effect.
        self.in_doubt = False
        # The keys under which it cannot be told what is stored.
        self.doubtful: set[Key] = set()
        # How often what is known of the pools of the global space has changed, or come into doubt.
        self.global_pools_edition = 0
        # By the name of the node: the number of the known mark, and the highest one in doubt.
        self._mark_numbers: dict[str, int] = {}
        self._mark_numbers_in_doubt: dict[str, int] = {}
        self._codec = codec
        self._pending: deque[RemoteChange] = deque()
        # Changes of pools of the global space that are pending as well, and have no number.
        self._pending_global_pools: list[Put | Delete] = []
        self._pool_ids_of_subnet: dict[str, set[str]] = {}
        self._leases_of_other_nodes: dict[str, dict[str, LeaseRecord]] = {}
        self._pool_doubts = PoolDoubts()
        # The aggregates of subnets whose pools are put by a later commit.
        self._aggregates_to_come: dict[str, str] = {}
        # The versions at which the global space was last read as a whole.
        self._global_space_versions = NO_VERSIONS

    def pool_ids_of(self, subnet_id: str) -> Set[str]:
        """The ids of the pools of a subnet, also of those that may be stored: several if they
        differ in their ip-range."""
        known = self._pool_ids_of_subnet.get(subnet_id, set())
        return known | self._pool_doubts.pool_ids_of(subnet_id)

    def possible_pools(self, pool_id: str) -> Set[PossiblePool]:
        """What may be stored under the id of a pool: what is known, or several while that is in
        doubt."""
        in_doubt = self._pool_doubts.possible(pool_id)
        return {self.pools.get(pool_id)} if in_doubt is None else in_doubt

    def lease_of_other_node(self, key: LeaseKey) -> LeaseRecord | None:
        """The lease of another node in the global space under this key."""
        return self._leases_of_other_nodes.get(key.subnet, {}).get(key.address)

    def aggregates_of(self, subnet_id: str) -> set[str]:
        """The aggregates that the pools of a subnet may have been drawn from, with an empty one
        if it may have been none; nothing if no pool is known there."""
        found = {
            pool.aggregate
            for pool_id in self.pool_ids_of(subnet_id)
            for pool in self.possible_pools(pool_id)
            if pool is not None
        }
        if not found and subnet_id in self._aggregates_to_come:
            return {self._aggregates_to_come[subnet_id]}
        return found

    def expect(self, changes: Iterable[Change]) -> None:
        """Know from which aggregates the pools are that these changes put: leases in them are
        stored before them. Replaces what was expected before."""
        self._aggregates_to_come = _aggregates_in(changes)

    def mark_number(self, name: str) -> int:
        """The number of what is known to be said of a node; 0 if nothing ever was."""
        return self._mark_numbers.get(name, 0)

    def next_mark_number(self, name: str) -> int:
        """The number that this process gives to what it says next of a node: above every one that
        it may have stored."""
        return max(self.mark_number(name), self._mark_numbers_in_doubt.get(name, 0)) + 1

    # What is stored

    def apply(self, change: Change) -> None:
        """Know a change that is stored, whoever made it."""
        match change:
            case Put(PoolRecord() as pool):
                self._count_change_of(pool.id)
                self._pool_doubts.settle(pool.id)
                self.pools[pool.id] = pool
                self._pool_ids_of_subnet.setdefault(subnet_id_of(pool.id), set()).add(pool.id)
            case Delete(PoolKey(pool_id)):
                self._count_change_of(pool_id)
                self._pool_doubts.settle(pool_id)
                if self.pools.pop(pool_id, None) is not None:
                    self._remove_from_subnet(pool_id)
            case Put(AggregateRecord() as aggregate):
                self.aggregates[aggregate.id] = aggregate
            case Delete(AggregateKey(aggregate_id)):
                self.aggregates.pop(aggregate_id, None)
            case Put(NodeRecord() as mark):
                self._mark_numbers[mark.name] = self.next_mark_number(mark.name)
                self.marks[mark.name] = mark
            case Delete(NodeKey(name)):
                self._mark_numbers[name] = self.next_mark_number(name)
                self.marks.pop(name, None)
            case Put(LeaseRecord() as lease) if is_global(lease.pool):
                self._apply_global_lease(lease)
            case Delete(LeaseKey(subnet, address)):
                self._leases_of_other_nodes.get(subnet, {}).pop(address, None)

    def replace_all(self, snapshot: Snapshot) -> None:
        """Forget everything, also what is pending, and know what is in the snapshot."""
        self.replace_pending(())
        self.pools.clear()
        self._pool_ids_of_subnet.clear()
        self.aggregates = {aggregate.id: aggregate for aggregate in snapshot.aggregates}
        self.marks = {mark.name: mark for mark in snapshot.marks}
        self._mark_numbers = {said.name: said.number for said in snapshot.said}
        self.clear_doubts()
        self.versions = list(snapshot.versions)
        self.replace_global_space(snapshot)

    def replace_global_space(self, snapshot: Snapshot) -> None:
        """Know the global space as it is in the snapshot. Changes of pools there that are older
        than the snapshot are ignored when they arrive, or are pending."""
        self.global_pools_edition += 1
        self._pending_global_pools = []
        for pool_id in [pool_id for pool_id in self.pools if is_global(pool_id)]:
            self.apply(Delete(PoolKey(pool_id)))
        self._leases_of_other_nodes.clear()
        for pool in snapshot.pools:
            self.apply(Put(pool))
        for lease in snapshot.leases:
            self.apply(Put(lease))
            if not self._codec.is_own_driver(lease.driver):
                self.doubtful.discard(lease.key)
        self._global_space_versions = snapshot.versions

    def _count_change_of(self, pool_id: str) -> None:
        if is_global(pool_id):
            self.global_pools_edition += 1

    def _apply_global_lease(self, lease: LeaseRecord) -> None:
        subnet_id, address = lease.key.subnet, lease.address
        if self._codec.is_own_driver(lease.driver):
            self._leases_of_other_nodes.get(subnet_id, {}).pop(address, None)
        else:
            self._leases_of_other_nodes.setdefault(subnet_id, {})[address] = lease

    def _remove_from_subnet(self, pool_id: str) -> None:
        subnet_id = subnet_id_of(pool_id)
        pool_ids = self._pool_ids_of_subnet[subnet_id]
        pool_ids.remove(pool_id)
        if not pool_ids:
            del self._pool_ids_of_subnet[subnet_id]
            self._leases_of_other_nodes.pop(subnet_id, None)

    # Commits of unknown outcome

    def doubt(self, changes: Iterable[Change]) -> None:
        """Know that it cannot be told whether these changes are stored."""
        self.in_doubt = True
        for change in changes:
            key = key_of(change)
            self.doubtful.add(key)
            match key:
                case NodeKey(name):
                    self._mark_numbers_in_doubt[name] = self.next_mark_number(name)
                case PoolKey(pool_id):
                    wanted = change.record if isinstance(change, Put) else None
                    assert wanted is None or isinstance(wanted, PoolRecord)
                    self._count_change_of(pool_id)
                    self._pool_doubts.add(pool_id, {*self.possible_pools(pool_id), wanted})
                case AggregateKey():
                    self.apply(Delete(key))

    def clear_doubts(self) -> None:
        """Know that no commit whose outcome is unknown can take effect any more."""
        self.in_doubt = False
        self.doubtful.clear()
        self._pool_doubts.clear()

    # What other nodes change

    @property
    def pending_count(self) -> int:
        """How many remote changes have arrived and are not known yet. Requires no lock."""
        return len(self._pending) + len(self._pending_global_pools)

    def is_pending_in(self, stripes: Collection[int]) -> bool:
        """Whether a version of one of these stripes has arrived and is not known yet."""
        # The change stream may add to it meanwhile, which would end an iteration.
        pending = (self._pending[position] for position in range(len(self._pending)))
        return any(
            number > self.versions[stripe]
            for change in pending
            if isinstance(change, StripeVersion | PoolSetRead)
            for stripe, number in _numbers_of(change)
            if stripe in stripes
        )

    def add_pending(self, change: RemoteChange) -> None:
        """Keep a remote change until it is learned. Requires no lock."""
        self._pending.append(change)

    def replace_pending(
        self, changes: Iterable[RemoteChange], of_global_pools: Iterable[Put | Delete] = ()
    ) -> None:
        """Let these changes be learned instead of those that are pending. Those of pools of the
        global space are forgotten if it is read as a whole before: they have no number that would
        tell that they are older."""
        self._pending.clear()
        self._pending.extend(changes)
        self._pending_global_pools = list(of_global_pools)

    def learn_pending(self) -> list[Change]:
        """Learn what is pending now. Returns what `learn` does."""
        of_global_pools, self._pending_global_pools = self._pending_global_pools, []
        # The change stream may add to it meanwhile.
        pending = [self._pending.popleft() for _ in range(len(self._pending))]
        return self.learn([*of_global_pools, *pending])

    def learn(self, remote_changes: Iterable[RemoteChange]) -> list[Change]:
        """Know these changes of other nodes. Returns those that are new, in order, for the core
        to apply. A lease whose pool is not known has ended with that pool, and is left out."""
        return [change for item in remote_changes for change in self._learn(item)]

    def _learn(self, item: RemoteChange) -> Iterator[Change]:
        if isinstance(item, StripeVersion):
            yield from self._learn_version(item)
        elif isinstance(item, PoolSetRead):
            yield from self._learn_all(item)
        elif isinstance(item, NumberedMark):
            yield from self._learn_mark(item)
        elif self._is_in_known_pool(item):
            self.doubtful.discard(key_of(item))
            self.apply(item)
            yield item

    def _learn_version(self, version: StripeVersion) -> Iterator[Change]:
        if version.number <= self.versions[version.stripe]:
            return
        new = [change for change in version.changes if self._is_new(change, version)]
        self.versions[version.stripe] = version.number
        for change in new:
            self.apply(change)
            yield change

    def _is_new(self, change: Change, version: StripeVersion) -> bool:
        """Whether a change of a pool was not learned before, through any of its stripes: in each of
        them the changes of a pool are in the same order, but one stripe may be behind another."""
        key = key_of(change)
        stripes = stripes_of_key(key)
        numbers = [version.together[stripe] for stripe in stripes]
        if any(made <= self.versions[at] for at, made in zip(stripes, numbers, strict=True)):
            return False
        read = self._global_space_versions
        is_in_global_space = isinstance(key, PoolKey) and is_global(key.id)
        return not is_in_global_space or all(
            made > read[at] for at, made in zip(stripes, numbers, strict=True)
        )

    def _learn_mark(self, said: NumberedMark) -> Iterator[Change]:
        if said.number > self.mark_number(said.name):
            self.doubtful.discard(NodeKey(said.name))
            self.apply(said.change)
            self._mark_numbers[said.name] = said.number
            yield said.change

    def _learn_all(self, read: PoolSetRead) -> Iterator[Change]:
        self.versions = list(map(max, self.versions, read.versions))
        for change in read.changes:
            self.apply(change)
            yield change

    def _is_in_known_pool(self, change: Put | Delete) -> bool:
        """Whether a change is of a pool, or of a lease in a pool that is known."""
        match change:
            case Put(LeaseRecord() as lease):
                return lease.pool in self.pools
            case Delete(LeaseKey(subnet)):
                return subnet in self._pool_ids_of_subnet
            case _:
                return True


def _aggregates_in(changes: Iterable[Change]) -> dict[str, str]:
    """The aggregates of the pools that are put, by subnet."""
    records = (change.record for change in changes if isinstance(change, Put))
    return {
        subnet_id_of(record.id): record.aggregate
        for record in records
        if isinstance(record, PoolRecord)
    }


def _numbers_of(change: StripeVersion | PoolSetRead) -> Iterable[tuple[int, int]]:
    """Each stripe of which a change makes a version known, with the number of that."""
    if isinstance(change, StripeVersion):
        return ((change.stripe, change.number),)
    return enumerate(change.versions)
