"""One subnet in one address space: its pools, and the leases that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from pyipam.core.claims import claim_of
from pyipam.core.counts import Counts
from pyipam.plan.reserved import reserved_within
from pyipam.space.address import Address, AddressSpace, to_number
from pyipam.space.block import AddressRange, Block, block_of
from pyipam.space.free_addresses import AddressUnion, FreeAddresses
from pyipam.store.pool_id import is_driver_of_other_node, parse_pool_id
from pyipam.store.records import LeaseRecord, PoolRecord, Record, Sharer

_granted = attrgetter("granted")

# How a lease was claimed: pool, driver name, epoch, sharers.
_Claimed = tuple[str, str, int, tuple[Sharer, ...]]
_claimed: Callable[[LeaseRecord], _Claimed] = attrgetter("pool", "driver", "epoch", "sharers")

# How many released addresses a subnet holds back. As many as a /24 has: a network with more fixed
# addresses than that has a range of its own for them.
_MAX_HELD_BACK = 256


def usable_range(block: Block) -> AddressRange:
    """The addresses of a subnet that hosts may have.

    Neither the network address nor the IPv4 broadcast address (RFC 1122, 3.2.1.3), except in a
    /31 (RFC 3021) and a /32; nor the IPv6 subnet-router anycast address (RFC 4291, 2.6.1), except
    in a /127 (RFC 6164) and a /128.
    """
    if block.width - block.length < 2:
        return AddressRange(block.start, block.last)
    return AddressRange(block.start + 1, block.last - (1 if block.version == 4 else 0))


class NoLease(NamedTuple):
    """That an address had no lease; and what its subnet has of that state."""

    last_given: int | None
    ever_leased: bool


class LastPool(NamedTuple):
    """The last pool of a subnet, and what the subnet had of its state when it went."""

    pool: PoolRecord
    last_given: int | None
    ever_leased: bool


# What a change has replaced: a record, or none. The first lease of an address and the last pool of
# a subnet come with what the subnet had of them.
Before = Record | NoLease | LastPool | None


def record_before(before: Before) -> Record | None:
    """The record that a change replaced, or None."""
    if isinstance(before, LastPool):
        return before.pool
    return None if isinstance(before, NoLease) else before


@dataclass(slots=True)
class Subnet:
    """A subnet that is held or rests. Reading and changing it needs the lock of the state.

    `id` is SPACE/SUBNET. Pools that differ only in their ip-range are views of one subnet: they
    share `leases`, by address. Of those, the `resting` and the `held_back` ones are released; the
    one that has been held back for longest comes first. `elsewhere` holds the leases of containers
    on other nodes, in a plan that several nodes share. `last_given` is where serial requests go on.
    `counts` are those of all subnets together.
    """

    id: str
    space: AddressSpace
    block: Block
    pools: dict[str, PoolRecord] = field(default_factory=dict)
    leases: dict[int, LeaseRecord] = field(default_factory=dict)
    resting: set[int] = field(default_factory=set)
    held_back: dict[int, None] = field(default_factory=dict)
    last_given: int | None = None
    ever_leased: bool = False
    elsewhere: Mapping[int, LeaseRecord] | None = None
    counts: Counts = field(default_factory=Counts)
    _free: dict[str, FreeAddresses] | None = None
    # How many leases in force were claimed alike: through which pool, by whom, in which epoch, and
    # by which further networks.
    _claimed_alike: dict[_Claimed, int] = field(default_factory=dict)

    def free_addresses(
        self, pool_id: str, reserved: Callable[[Block], Iterable[AddressRange]]
    ) -> FreeAddresses:
        """The addresses that one pool gives out unless others are asked for by name: those of its
        ip-range, all of them, or else every usable address of the subnet. `reserved` returns the
        reserved ranges of a block; it is called the first time only. A range that covers all of
        these addresses reserves none of them: the subnet was asked for by name."""
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
            kept = reserved_within(AddressRange(first, last), reserved(self.block))
            free = self._free[pool_id] = FreeAddresses(first, last, used, kept)
        return free

    def forget_free_addresses(self) -> None:
        """Determine again which addresses are free: pools or reserved ranges have changed."""
        self._free = None

    def put_pool(self, pool: PoolRecord) -> PoolRecord | None:
        """Put a pool in the place of the one with the same id; returns that one."""
        before = self.pools.get(pool.id)
        self.pools[pool.id] = pool
        self.counts.replace_pool(before, pool)
        return before

    def delete_pool(self, pool_id: str) -> PoolRecord | None:
        """Delete a pool, and return it."""
        before = self.pools.pop(pool_id, None)
        if before is not None:
            self.forget_free_addresses()
            self.counts.replace_pool(before, None)
        return before

    def lease_of(self, address: Address) -> LeaseRecord | None:
        """The lease of an address, whether it is in force or rests."""
        return self.leases.get(address.number) if address.version == self.block.version else None

    @property
    def leased(self) -> int:
        """How many addresses are in use or rest."""
        return len(self.leases) - len(self.held_back)

    def leases_of(self, pool_id: str) -> list[LeaseRecord]:
        """The leases that were given out through one pool."""
        return [lease for lease in self.leases.values() if lease.pool == pool_id]

    def put_lease(self, lease: LeaseRecord) -> LeaseRecord | NoLease:
        """Put a lease in the place of the one of the same address; returns what was there."""
        address = to_number(lease.address)
        known = self.leases.get(address)
        before: LeaseRecord | NoLease
        if known is None:
            before = NoLease(self.last_given, self.ever_leased)
            self.last_given = address
            self.counts.leases += 1
        else:
            before = known
            self._uncount(address, known)
        self.leases[address] = lease
        self.ever_leased = True
        self._count(address, lease)
        return before

    def undo_first_lease(self, address: int, before: NoLease) -> None:
        """Take back a lease of an address that had none."""
        self.delete_lease(address)
        self.last_given, self.ever_leased = before

    def restore(self) -> None:
        """Derive everything else from leases that were loaded in any order. That no lease is left
        does not say that there never was one."""
        leases = self.leases.values()
        in_force = (_claimed(lease) for lease in leases if lease.released is None)
        self._claimed_alike = dict(Counter(in_force))
        released = [item for item in self.leases.items() if item[1].released is not None]
        for address, lease in sorted(released, key=lambda item: item[1].released or 0.0):
            self._count(address, lease)
        self.ever_leased = True
        self.counts.leases += len(self.leases)
        newest = max(self.leases.values(), key=_granted, default=None)
        self.last_given = None if newest is None else to_number(newest.address)

    def delete_lease(self, address: int) -> LeaseRecord | None:
        """Delete the lease of an address, and return it."""
        before = self.leases.pop(address, None)
        if before is not None:
            self._uncount(address, before)
            self.counts.leases -= 1
            self.mark_released(address)
        return before

    def mark_released(self, address: int) -> None:
        """Offer an address again: nobody has it any more, neither here nor elsewhere."""
        if self._free is not None:
            for free in self._free.values():
                free.mark_released(address)

    def is_unclaimed(self, lease: LeaseRecord) -> bool:
        """Whether Docker has claimed the lease's pool again, but not the lease; so for each network
        that has it."""
        return self._is_outdated(lease.pool, lease.driver, lease.epoch, lease.sharers)

    def is_unclaimed_by_first(self, lease: LeaseRecord) -> bool:
        """The same for the network alone that was given the address first."""
        return self._is_older(lease.pool, lease.driver, lease.epoch)

    @property
    def unclaimed(self) -> int:
        """How many leases in force Docker has not claimed again."""
        found = 0
        for claimed, count in self._claimed_alike.items():
            if self._is_outdated(*claimed):
                found += count
        return found

    def unclaimed_among(self, addresses: Iterable[int]) -> list[int]:
        """Those of the addresses whose leases are in force and not claimed again."""
        outdated = {claimed for claimed in self._claimed_alike if self._is_outdated(*claimed)}
        leases = self.leases
        return [
            address
            for address in addresses
            if (lease := leases.get(address)) is not None
            and lease.released is None
            and _claimed(lease) in outdated
        ]

    def _is_outdated(
        self, pool_id: str, driver: str, epoch: int, sharers: tuple[Sharer, ...]
    ) -> bool:
        return self._is_older(pool_id, driver, epoch) and all(
            self._is_older(item.pool, item.driver, item.epoch) for item in sharers
        )

    def _is_older(self, pool_id: str, driver: str, epoch: int) -> bool:
        pool = self.pools.get(pool_id)
        if pool is None:
            return False
        claim = claim_of(pool, driver)
        if claim is None:
            # Leased by another node, which led the swarm before.
            return is_driver_of_other_node(driver)
        return epoch < claim.epoch

    def oldest_unclaimed(self, among: FreeAddresses) -> LeaseRecord | None:
        """The unclaimed lease that leaked first, of those whose addresses a pool gives out and no
        other node uses; or None."""
        return self._oldest(among, self.is_unclaimed)

    def oldest_before(self, epoch: int, driver: str, among: FreeAddresses) -> LeaseRecord | None:
        """The same of the leases that containers were given under a driver name before an epoch.
        What was asked for by name is none: it may be set aside for something else."""
        return self._oldest(
            among,
            lambda lease: (
                (lease.kind, lease.named, lease.driver) == ("container", False, driver)
                and lease.epoch < epoch
            ),
        )

    def _oldest(
        self, among: FreeAddresses, has_leaked: Callable[[LeaseRecord], bool]
    ) -> LeaseRecord | None:
        leaked = (
            (lease.epoch, lease.granted, address, lease)
            for address, lease in self.leases.items()
            if lease.released is None
            and has_leaked(lease)
            and among.covers(address)
            and not self._is_in_use_elsewhere(address)
        )
        found = min(leaked, key=lambda item: item[:3], default=None)
        return None if found is None else found[3]

    def longest_released(self, among: FreeAddresses) -> LeaseRecord | None:
        """The lease that was released first, of those that a pool gives out and that rest or are
        held back, here or on another node; what is held back comes after what rests. Or None."""
        released = (
            (lease.named, lease.released, address, lease)
            for address, lease in chain(self._released(), self._released_elsewhere())
            if lease.released is not None
            and among.covers(address)
            and not self._is_in_use_elsewhere(address)
        )
        found = min(released, key=lambda item: item[:3], default=None)
        return None if found is None else found[3]

    def longest_held_back(self) -> LeaseRecord | None:
        """The lease to be forgotten when another one is to be held back, or None: there is room."""
        if len(self.held_back) < _MAX_HELD_BACK:
            return None
        return self.leases[next(iter(self.held_back))]

    def _released(self) -> Iterator[tuple[int, LeaseRecord]]:
        return ((address, self.leases[address]) for address in (*self.resting, *self.held_back))

    def _released_elsewhere(self) -> Iterator[tuple[int, LeaseRecord]]:
        return (item for item in (self.elsewhere or {}).items() if item[0] not in self.leases)

    def _is_in_use_elsewhere(self, address: int) -> bool:
        lease = None if self.elsewhere is None else self.elsewhere.get(address)
        return lease is not None and lease.released is None

    def _count(self, address: int, lease: LeaseRecord) -> None:
        if lease.released is None:
            claimed = _claimed(lease)
            self._claimed_alike[claimed] = self._claimed_alike.get(claimed, 0) + 1
        elif lease.named:
            self.held_back[address] = None
            self.counts.held_back_leases += 1
        else:
            self.resting.add(address)
            self.counts.resting_leases += 1

    def _uncount(self, address: int, lease: LeaseRecord) -> None:
        self.counts.claims_version += 1
        if lease.released is None:
            claimed = _claimed(lease)
            self._claimed_alike[claimed] -= 1
            if not self._claimed_alike[claimed]:
                del self._claimed_alike[claimed]
        elif lease.named:
            del self.held_back[address]
            self.counts.held_back_leases -= 1
        else:
            self.resting.remove(address)
            self.counts.resting_leases -= 1
