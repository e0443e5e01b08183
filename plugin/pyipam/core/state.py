"""The state of one address plan in memory: what is held, where it lies, and what rests.

Changes are applied here without deciding anything; each returns what it replaced, so that it can
be undone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain

from pyipam.core.aggregates import (
    AGGREGATE_REST_SECONDS,
    Aggregates,
    block_of_aggregate,
    can_be_claimed,
)
from pyipam.core.announcements import Announcements
from pyipam.core.clock import Clock
from pyipam.core.elsewhere import Elsewhere
from pyipam.core.holdings import Holding, HoldingKey, Holdings
from pyipam.core.meetings import Meetings
from pyipam.core.placement import Placement
from pyipam.core.resting import Released, Resting
from pyipam.core.reuse_delays import ReuseDelays
from pyipam.core.route_log import RouteLog
from pyipam.core.subnet import Before, LastPool, NoLease, Subnet
from pyipam.host.route import HostRoutes
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import to_number
from pyipam.space.block import AddressRange, Block
from pyipam.store.pool_id import is_local, make_subnet_id, subnet_id_of, subnet_of
from pyipam.store.records import (
    AggregateKey,
    AggregateRecord,
    Change,
    Delete,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    NodeKey,
    NodeRecord,
    PoolKey,
    PoolRecord,
    Record,
    key_of,
)

# How long what was released in no scope that is known is kept: its scope may come back, with the
# delay that counts.
_DELAY_OUTSIDE_SECONDS = 24 * 60 * 60.0


class State:
    """Everything that is known of the plan.

    Reading or changing it needs `lock`, which a commit holds while it decides. `node` is the name
    of this node. `shared` says whether other nodes share the plan, and `elsewhere` is what they
    hold. `aggregates` are those of all nodes, and `marks` what operators said of nodes, by name.
    `under_way` is what the commit under way has changed so far. `contested` counts, for that commit
    and by CIDR, how often another node was faster to get an address, and `meetings` says where it
    was faster to get a block. What the host has of routes is learned from `routes`, and is not part
    of any commit.
    """

    def __init__(self, clock: Clock, routes: HostRoutes, node: str, *, shared: bool) -> None:
        self.lock = threading.Lock()
        self.node = node
        self.shared = shared
        self.clock = clock
        self.elsewhere = Elsewhere()
        self.holdings = Holdings(self.elsewhere.leases if shared else None)
        self.aggregates = Aggregates()
        self.marks: dict[str, NodeRecord] = {}
        self.placement = Placement(ScopeTree())
        self._routes = routes
        self._route_log = RouteLog()
        self.announcements = Announcements()
        self.contested: Counter[str] = Counter()
        self.under_way: Sequence[Change] = ()
        self.meetings = Meetings(clock)
        # When the stored records were loaded, and the drivers as they were then.
        self.loaded_at = 0.0
        self._drivers_loaded: dict[str, DriverRecord] = {}
        self._resting = Resting()
        self._delays = ReuseDelays()

    def load(self, records: Iterable[Record], tree: ScopeTree) -> None:
        """Fill an empty state with stored records, under these scopes. Needs the lock."""
        held = self._without_aggregates(records)
        self.holdings.load(self.elsewhere.take_from(held) if self.shared else held)
        self.loaded_at = self.clock.wall()
        self._drivers_loaded = dict(self.holdings.drivers)
        self.use_scopes(tree)

    def _without_aggregates(self, records: Iterable[Record]) -> Iterator[Holding]:
        """Know aggregates and what was said of nodes, and yield the other records."""
        for record in records:
            if isinstance(record, AggregateRecord):
                self.aggregates.put(record)
            elif isinstance(record, NodeRecord):
                self.marks[record.name] = record
            else:
                yield record

    def epoch_loaded(self, driver: str) -> int:
        """The epoch of the local space that a driver name had when the state was loaded."""
        record = self._drivers_loaded.get(driver)
        return 0 if record is None else record.local_epoch

    def use_scopes(self, tree: ScopeTree) -> None:
        """Draw from these scopes from now on, around all that is held or rests. Needs the lock."""
        subnets = self.holdings.subnets.values()
        self._delays.use_scopes(tree)
        held = ((item.space, item.block) for item in subnets)
        own = map(block_of_aggregate, self.aggregates.own())
        self.placement = Placement(tree, held, self.placement.routes, own)
        for block in self.elsewhere.blocks():
            self.placement.hold("elsewhere", block)
        for aggregate in self.aggregates.elsewhere():
            self.placement.hold("aggregates", block_of_aggregate(aggregate))
        self._resting.clear()
        self._use_scopes_for_aggregates(tree)
        for subnet in subnets:
            subnet.forget_free_addresses()
            records: chain[PoolRecord | LeaseRecord]
            resting = (subnet.leases[address] for address in subnet.resting)
            records = chain(subnet.pools.values(), resting)
            for record in records:
                if record.released is not None:
                    self._rest(record, record.released, subnet)

    def _use_scopes_for_aggregates(self, tree: ScopeTree) -> None:
        for aggregate in self.aggregates.own():
            self._rest_aggregate(aggregate)
        for aggregate in self.aggregates.forgotten():
            self._rest_aggregate(aggregate)
        scopes = {
            each.id: tree.containing(block_of_aggregate(each)) for each in self.aggregates.own()
        }
        self.aggregates.let_end(
            id for id, scope in scopes.items() if scope is None or scope.node_prefix is None
        )

    def learn_routes(self) -> None:
        """Know the routes that the host has now. Needs the lock."""
        for change in self._routes.take_changes():
            self.placement.take_route_change(change)
            route = change.route
            note = self._route_log.came if route in self.placement.routes else self._route_log.went
            note(route, self.placement.scopes_under(route))

    def reserved(self, block: Block) -> tuple[AddressRange, ...]:
        """The ranges that the scope of a block gives out on explicit request only."""
        scope = self.placement.tree.containing(block)
        return () if scope is None else scope.reserved

    def reuse_delay(self, block: Block) -> float:
        """How many seconds what is released in the scope of a block rests; where that scope has
        left the schema, as many as before."""
        return self._delays.known(block) or 0.0

    def rested(self) -> list[Change]:
        """The deletions of the records whose rest is over. Each is returned once; undoing the
        deletion lets the record rest again. Needs the lock."""
        keys: dict[Key, None] = {}
        now = self.clock.monotonic()
        for record in self._resting.take_due(now):
            if self.find(record.key) is not record:
                continue
            if isinstance(record, PoolRecord):
                keys.update((lease.key, None) for lease in self.holdings.leases_of(record))
            elif isinstance(record, AggregateRecord) and not self._may_end(record, keys):
                self._resting.add(now + AGGREGATE_REST_SECONDS, record)
                continue
            keys[record.key] = None
        return [Delete(key) for key in keys]

    def _may_end(self, aggregate: AggregateRecord, keys: Container[Key]) -> bool:
        """Whether an aggregate whose rest is over ends: one of this node without pools but those of
        these keys, and one of a forgotten node, unless this one was forgotten itself."""
        if is_local(aggregate.id):
            return all(pool.key in keys for pool in self.pools_in(aggregate))
        return self.mark.forgotten is None

    def pools_in(self, aggregate: AggregateRecord) -> Iterator[PoolRecord]:
        """The pools of this node that lie in an aggregate, in the order of their addresses, whether
        they are held or rest. Needs the lock."""
        for block in self.placement.held_inside("local", block_of_aggregate(aggregate)):
            yield from self.holdings.subnets[make_subnet_id("local", str(block))].pools.values()

    def find(self, key: Key) -> Record | None:
        """The record under a key, or None. Needs the lock."""
        if isinstance(key, AggregateKey):
            return self.aggregates.find(key.id)
        if isinstance(key, NodeKey):
            return self.marks.get(key.name)
        return self.holdings.find(key)

    @property
    def mark(self) -> NodeRecord:
        """What operators said of this node. Needs the lock."""
        return self.marks.get(self.node) or NodeRecord(self.node)

    # What other nodes hold. Both need the lock.

    def put_elsewhere(self, record: Holding) -> None:
        """Know a record of another node."""
        block = self.elsewhere.put(record)
        if block is not None:
            self.placement.hold("elsewhere", block)

    def delete_elsewhere(self, key: HoldingKey) -> None:
        """Know that a record of another node is gone; with a pool, its leases."""
        if isinstance(key, PoolKey):
            # The leases that end with their pool are not told one by one.
            for lease in self.elsewhere.leases_of(key.id):
                self.delete_elsewhere(lease.key)
        block = self.elsewhere.delete(key)
        if block is not None:
            self.placement.release("elsewhere", block)
        if isinstance(key, LeaseKey):
            own = self.holdings.subnets.get(make_subnet_id("local", subnet_of(key.subnet)))
            if own is not None:
                own.mark_released(to_number(key.address))

    # Changes. All of them need the lock.

    def apply(self, change: Change) -> Before:
        """Make a change; returns what was under its key before."""
        if isinstance(change, Delete):
            return self._delete(change.key)
        record = change.record
        if isinstance(record, LeaseRecord):
            return self._put_lease(record)
        return self._put_record(record)

    def undo(self, changes: Sequence[Change], before: Sequence[Before]) -> None:
        """Take changes back, of which `apply` returned what was `before`."""
        for change, former in zip(reversed(changes), reversed(before), strict=True):
            if former is None:
                self._delete(key_of(change))
            elif isinstance(former, NoLease):
                key = key_of(change)
                assert isinstance(key, LeaseKey)
                self.holdings.subnets[key.subnet].undo_first_lease(to_number(key.address), former)
            elif isinstance(former, LastPool):
                self._restore_last_pool(former)
            else:
                self._restore(former)

    def _put_lease(self, lease: LeaseRecord) -> LeaseRecord | NoLease:
        subnet = self.holdings.subnets[subnet_id_of(lease.pool)]
        if lease.released is not None and not lease.named:
            self._rest(lease, lease.released, subnet)
        return subnet.put_lease(lease)

    def _put_pool(self, pool: PoolRecord) -> PoolRecord | None:
        subnet_id = subnet_id_of(pool.id)
        subnet = self.holdings.subnets.get(subnet_id)
        if subnet is None:
            subnet = self.holdings.add_subnet(subnet_id)
            self.placement.hold(subnet.space, subnet.block)
        if pool.released is not None:
            self._rest(pool, pool.released, subnet)
            self.aggregates.pool_ended(subnet.block)
        return subnet.put_pool(pool)

    def _put_driver(self, driver: DriverRecord) -> DriverRecord | None:
        before = self.holdings.drivers.get(driver.name)
        self.holdings.drivers[driver.name] = driver
        self.holdings.counts.claims_version += 1
        return before

    def _delete(self, key: Key) -> Record | LastPool | None:
        if isinstance(key, LeaseKey):
            return self.holdings.subnets[key.subnet].delete_lease(to_number(key.address))
        if isinstance(key, PoolKey):
            return self._delete_pool(key.id)
        if isinstance(key, AggregateKey):
            return self._delete_aggregate(key.id)
        if isinstance(key, NodeKey):
            return self.marks.pop(key.name, None)
        self.holdings.counts.claims_version += 1
        return self.holdings.drivers.pop(key.name, None)

    def _put_aggregate(self, aggregate: AggregateRecord) -> AggregateRecord | None:
        before = self.aggregates.put(aggregate)
        if before is None:
            block = block_of_aggregate(aggregate)
            if is_local(aggregate.id):
                self.placement.hold_own_aggregate(block)
            else:
                self.placement.hold("aggregates", block)
        self._rest_aggregate(aggregate)
        return before

    def _delete_aggregate(self, aggregate_id: str) -> AggregateRecord | None:
        before = self.aggregates.delete(aggregate_id)
        if before is not None:
            block = block_of_aggregate(before)
            if is_local(aggregate_id):
                self.placement.release_own_aggregate(block)
            else:
                self.placement.release("aggregates", block)
        return before

    def _delete_pool(self, pool_id: str) -> PoolRecord | LastPool | None:
        subnet = self.holdings.subnets.get(subnet_id_of(pool_id))
        before = None if subnet is None else subnet.delete_pool(pool_id)
        if subnet is not None and before is not None and not subnet.pools:
            self.holdings.remove_subnet(subnet)
            self.placement.release(subnet.space, subnet.block)
            self.aggregates.pool_ended(subnet.block)
            return LastPool(before, subnet.last_given, subnet.ever_leased)
        return before

    def _restore_last_pool(self, former: LastPool) -> None:
        self._put_pool(former.pool)
        subnet = self.holdings.subnet_of(former.pool)
        subnet.last_given, subnet.ever_leased = former.last_given, former.ever_leased

    def _restore(self, record: Record) -> None:
        """Put back a record that a change replaced. That gives no address to anybody, so where
        serial requests go on does not change."""
        if not isinstance(record, LeaseRecord):
            self._put_record(record)
            return
        subnet = self.holdings.subnets[subnet_id_of(record.pool)]
        last_given = subnet.last_given
        self._put_lease(record)
        subnet.last_given = last_given

    def _put_record(
        self, record: PoolRecord | DriverRecord | AggregateRecord | NodeRecord
    ) -> Record | None:
        match record:
            case PoolRecord():
                return self._put_pool(record)
            case DriverRecord():
                return self._put_driver(record)
            case AggregateRecord():
                return self._put_aggregate(record)
            case NodeRecord():
                before = self.marks.get(record.name)
                self.marks[record.name] = record
                return before

    def _rest_aggregate(self, aggregate: AggregateRecord) -> None:
        """Let an aggregate rest, if it is this node's and was released. Those of a forgotten node
        stay, for others to claim when nothing else is free; they end if that cannot be."""
        block = block_of_aggregate(aggregate)
        if not is_local(aggregate.id):
            if aggregate.forgotten:
                over = self._end_of_rest(aggregate)
                if not can_be_claimed(self.placement.tree, block):
                    self._resting.add(over, aggregate)
            return
        if aggregate.released is None:
            self.placement.use_own_aggregate(block)
            return
        self.placement.rest_own_aggregate(block)
        if self.mark.forgotten is None:
            self._rest_for(aggregate, aggregate.released, self.rest_seconds(block))

    def rest_left(self, forgotten: AggregateRecord) -> float:
        """For how many more seconds an aggregate of a forgotten node rests; negative if it has
        rested. Needs the lock."""
        return self._end_of_rest(forgotten) - self.clock.monotonic()

    def _end_of_rest(self, aggregate: AggregateRecord) -> float:
        # Since it was first seen: whoever forgot the node may have another wall clock.
        since = self._resting.first_seen(aggregate, self.clock.monotonic())
        return since + self.rest_seconds(block_of_aggregate(aggregate))

    def rest_seconds(self, aggregate: Block) -> float:
        """For how long an aggregate rests, once it was released."""
        return max(self.reuse_delay(aggregate), AGGREGATE_REST_SECONDS)

    def _rest(self, record: PoolRecord | LeaseRecord, released: float, subnet: Subnet) -> None:
        known = self._delays.known(subnet.block)
        delay = _DELAY_OUTSIDE_SECONDS if known is None else known
        now = self.clock.monotonic()
        if self.shared and subnet.space == "global":
            # Released by the wall clock of whichever node led the swarm then.
            since = self._resting.first_seen(record, now)
            self._resting.add(since + delay, record)
            return
        self._rest_for(record, released, delay)

    def _rest_for(self, record: Released, released: float, delay: float) -> None:
        # The wall clock may have jumped: nothing rests longer than its scope says.
        left = min(max(released + delay - self.clock.wall(), 0.0), delay)
        self._resting.add(self.clock.monotonic() + left, record)
