"""What is held: pools and leases, references and epochs, what is unclaimed, what rests.

Pools of one subnet in one address space that differ only in their ip-range share their addresses:
they are views of one `Subnet`. Everything here follows from records: loading them again gives the
same state.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from pyipam.space.address import Address, AddressSpace, to_number
from pyipam.space.block import AddressRange, Block, block_of
from pyipam.space.free_addresses import AddressUnion, FreeAddresses
from pyipam.store.pool_id import (
    is_driver_of_other_node,
    parse_pool_id,
    parse_subnet_id,
    split_node,
    subnet_id_of,
)
from pyipam.store.records import (
    Claim,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Record,
)

_granted = attrgetter("granted")


def usable_range(block: Block) -> AddressRange:
    """The addresses that hosts may have.

    Not the network address nor the IPv4 broadcast (RFC 1122, 3.2.1.3), but both in a /31
    (RFC 3021) and the one of a /32; not the IPv6 subnet-router anycast address (RFC 4291, 2.6.1),
    but both in a /127 (RFC 6164) and the one of a /128.
    """
    if block.width - block.length < 2:
        return AddressRange(block.start, block.last)
    return AddressRange(block.start + 1, block.last - (1 if block.version == 4 else 0))


def claim_of(pool: PoolRecord, driver: str) -> Claim | None:
    """What one driver name claims of the pool."""
    return next((claim for claim in pool.claims if claim.driver == driver), None)


def with_claim(pool: PoolRecord, claim: Claim) -> PoolRecord:
    """The pool with this claim instead of the driver's former one; none when no reference is
    left in it."""
    others = tuple(other for other in pool.claims if other.driver != claim.driver)
    return pool._replace(claims=(*others, claim) if claim.references else others)


def without_claims_elsewhere(pool: PoolRecord, driver: str) -> PoolRecord:
    """The pool without what the same driver name claims of it on other nodes: a swarm has one
    leader, and whoever leads claims every pool of it anew."""
    left = tuple(
        claim
        for claim in pool.claims
        if claim.driver == driver or split_node(claim.driver)[0] != driver
    )
    return pool._replace(claims=left)


@dataclass(slots=True)
class Subnet:
    """One subnet in one address space: its pools (views) and the leases that they share. Its id
    is SPACE/SUBNET. `elsewhere` are addresses that containers of other nodes have, if any can."""

    id: str
    space: AddressSpace
    block: Block
    pools: dict[str, PoolRecord] = field(default_factory=dict)
    leases: dict[int, LeaseRecord] = field(default_factory=dict)
    last_given: int | None = None
    ever_leased: bool = False
    elsewhere: Container[int] | None = None
    _free: dict[str, FreeAddresses] | None = None

    def free_addresses(
        self, pool_id: str, reserved: Callable[[Block], Iterable[AddressRange]]
    ) -> FreeAddresses:
        """What can be given out unasked through one pool: the ip-range, all of it, or else every
        usable address of the subnet. `reserved` tells what is reserved in the subnet, and is
        called when this is first asked for."""
        if self._free is None:
            self._free = {}
        free = self._free.get(pool_id)
        if free is None:
            usable = usable_range(self.block)
            first, last = usable.first, usable.last
            ip_range = parse_pool_id(pool_id).ip_range
            if ip_range is not None:
                part = block_of(ip_range)
                first, last = max(first, part.start), min(last, part.last)
            used = (
                self.leases if self.elsewhere is None else AddressUnion(self.leases, self.elsewhere)
            )
            free = self._free[pool_id] = FreeAddresses(first, last, used, reserved(self.block))
        return free

    def forget_free_addresses(self) -> None:
        """Find out anew what is free: the pools or what is reserved have changed."""
        self._free = None

    def put_pool(self, pool: PoolRecord) -> PoolRecord | None:
        """Know the pool; what was known under its id before."""
        before = self.pools.get(pool.id)
        self.pools[pool.id] = pool
        return before

    def delete_pool(self, pool_id: str) -> PoolRecord | None:
        """Forget the pool; what it was."""
        before = self.pools.pop(pool_id, None)
        if before is not None:
            self.forget_free_addresses()
        return before

    def lease_of(self, address: Address) -> LeaseRecord | None:
        """The lease of the address, in force or resting."""
        return self.leases.get(address.number) if address.version == self.block.version else None

    def put_lease(self, lease: LeaseRecord) -> LeaseRecord | None:
        """Know the lease; what was known of its address before."""
        address = to_number(lease.address)
        before = self.leases.get(address)
        if before is None:
            self.last_given = address
        self.leases[address] = lease
        self.ever_leased = True
        return before

    def recall_last_given(self) -> None:
        """Find out, after the leases were put in any order, which was the last one given. That
        none is left does not say that there was none."""
        self.ever_leased = True
        newest = max(self.leases.values(), key=_granted, default=None)
        self.last_given = None if newest is None else to_number(newest.address)

    def delete_lease(self, address: int) -> LeaseRecord | None:
        """Forget the lease; what it was."""
        before = self.leases.pop(address, None)
        if before is not None:
            self.released(address)
        return before

    def released(self, address: int) -> None:
        """Learn that nobody has the address any more, here or elsewhere."""
        if self._free is not None:
            for free in self._free.values():
                free.mark_released(address)

    def is_unclaimed(self, lease: LeaseRecord) -> bool:
        """Whether Docker claimed the lease's pool again, but not the lease (design, section 6)."""
        pool = self.pools.get(lease.pool)
        if pool is None:
            return False
        claim = claim_of(pool, lease.driver)
        if claim is None:
            # What another node leased that led the swarm before.
            return is_driver_of_other_node(lease.driver)
        return lease.epoch < claim.epoch

    def oldest_unclaimed(self, between: FreeAddresses) -> int | None:
        """The address that leaked first of those in the range, or None."""
        leaked = (
            (lease.epoch, lease.granted, address)
            for address, lease in self.leases.items()
            if between.first <= address <= between.last
            and lease.released is None
            and self.is_unclaimed(lease)
        )
        return min(leaked, default=(0, 0.0, None))[2]


class Holdings:
    """Every pool, lease and driver name that is known. `elsewhere` tells which addresses of a
    version containers of other nodes have, in a plan that several nodes share."""

    def __init__(self, elsewhere: Callable[[int], Container[int]] | None = None) -> None:
        self._elsewhere = elsewhere
        self.subnets: dict[str, Subnet] = {}
        self.drivers: dict[str, DriverRecord] = {}

    def pool(self, pool_id: str) -> PoolRecord | None:
        """The record of a pool, held or resting."""
        subnet = self.subnets.get(subnet_id_of(pool_id))
        return None if subnet is None else subnet.pools.get(pool_id)

    def find(self, key: Key) -> Record | None:
        """What is known under a key."""
        match key:
            case PoolKey(pool_id):
                return self.pool(pool_id)
            case DriverKey(name):
                return self.drivers.get(name)
            case LeaseKey(subnet_id, address):
                subnet = self.subnets.get(subnet_id)
                return None if subnet is None else subnet.leases.get(to_number(address))

    def keys_of(self, space: AddressSpace) -> set[Key]:
        """The keys of every pool and lease of an address space."""
        keys: set[Key] = set()
        for subnet in self.subnets.values():
            if subnet.space == space:
                keys.update(pool.key for pool in subnet.pools.values())
                keys.update(lease.key for lease in subnet.leases.values())
        return keys

    def recall(self, records: Iterable[Record]) -> None:
        """Take in what was stored; the pools of a subnet come before the leases in them."""
        for record in records:
            if isinstance(record, LeaseRecord):
                subnet = self.subnets[subnet_id_of(record.pool)]
                subnet.leases[to_number(record.address)] = record
            elif isinstance(record, PoolRecord):
                key = subnet_id_of(record.id)
                (self.subnets.get(key) or self.add_subnet(key)).put_pool(record)
            else:
                self.drivers[record.name] = record
        for subnet in self.subnets.values():
            subnet.recall_last_given()

    def pools(self) -> Iterator[PoolRecord]:
        for subnet in self.subnets.values():
            yield from subnet.pools.values()

    def add_subnet(self, subnet_id: str) -> Subnet:
        """Know SPACE/SUBNET, without any pool yet."""
        subnet = self.subnets[subnet_id] = Subnet(subnet_id, *parse_subnet_id(subnet_id))
        if self._elsewhere is not None and subnet.space == "local":
            subnet.elsewhere = self._elsewhere(subnet.block.version)
        return subnet

    def epoch(self, driver: str, space: AddressSpace) -> int:
        """The epoch in force for a driver name."""
        record = self.drivers.get(driver)
        if record is None:
            return 0
        return record.local_epoch if space == "local" else record.global_epoch


class Resting:
    """Released records that wait until what they name may be given out again.

    Times are those of a monotonic clock.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, PoolRecord | LeaseRecord]] = []
        self._added = 0

    def add(self, due: float, record: PoolRecord | LeaseRecord) -> None:
        self._added += 1
        heapq.heappush(self._queue, (due, self._added, record))

    def take_due(self, now: float) -> list[PoolRecord | LeaseRecord]:
        """What has rested by now, and is no longer waited for. A record that was replaced in the
        meantime is among them: what it named is in use again."""
        due = []
        while self._queue and self._queue[0][0] <= now:
            due.append(heapq.heappop(self._queue)[2])
        return due

    def clear(self) -> None:
        self._queue.clear()
