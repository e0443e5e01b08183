"""The core: which scope, which block, which address; committed before it is answered.

Called directly by tests, and by the resources of `api`. Every operation decides under one lock
from what is known, and returns when its changes are durable. When they cannot be made so, memory
is taken back to what it was, and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from pyipam.blocks import Block, block_of
from pyipam.errors import Exhausted, InUse, InvalidRequest, NotHeld, Unavailable
from pyipam.ledger import Clock, Ledger
from pyipam.pools import (
    PoolId,
    Subnet,
    claim_of,
    parse_pool_id,
    usable_range,
    with_claim,
)
from pyipam.scopes import Network, Scope, ScopeTree
from pyipam.selection import (
    Policy,
    PoolRequest,
    described,
    reason_against,
    scope_for_subnet,
    scopes_for_block,
)
from pyipam.store.store import (
    Change,
    Claim,
    Delete,
    DriverRecord,
    LeaseKind,
    LeaseRecord,
    PoolRecord,
    Put,
    Store,
    subnet_of,
)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class AddressRequest:
    """A network or container wants an address of a pool: a given one, or any."""

    driver: str
    pool_id: str
    address: Address | None = None
    kind: LeaseKind = "container"
    serial: bool = False


@dataclass(frozen=True)
class AddressGrant:
    """An address, and the prefix length of the pool that it came from."""

    address: Address
    length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


class Ipam:
    """Gives out pools and addresses of one address plan."""

    def __init__(self, store: Store, policy: Policy, clock: Clock) -> None:
        self._ledger = Ledger(store, clock)
        self._policy = policy
        self._refusal: str | None = "no schema has been loaded yet"
        self._announced: set[str] = set()
        self._replayed: set[str] = set()

    # What is known

    def load(self, tree: ScopeTree) -> None:
        """Take in what the store holds, and draw from these scopes.

        Raises StateDamaged, or Unavailable where the disk does not let it be read.
        """
        self._ledger.load(tree)
        self._refusal = None

    def one_commit(self) -> AbstractContextManager[None]:
        """Everything that is called inside is made durable together, when the block ends: with
        one wait for the disk. Raises StoreFailure at the end, and then nothing of it has
        happened; answers that were computed inside must not be given."""
        return self._ledger.one_commit()

    def use_schema(self, tree: ScopeTree) -> None:
        """From now on, draw from these scopes. Pools of scopes that are gone live on."""
        with self._ledger.lock:
            self._refusal = None
            self._ledger.use_scopes(tree)

    def refuse_new_pools(self, reason: str) -> None:
        """From now on, refuse new pools with this sentence. Pools that exist keep working."""
        with self._ledger.lock:
            self._refusal = reason

    @property
    def tree(self) -> ScopeTree:
        """The scopes in force."""
        return self._ledger.placement.tree

    def pools(self) -> list[tuple[PoolRecord, Subnet]]:
        """Every pool, held or resting, with the subnet that its leases are in."""
        with self._ledger.lock:
            return [
                (pool, subnet)
                for subnet in self._ledger.holdings.subnets.values()
                for pool in subnet.pools.values()
            ]

    def leases(self, pool_id: str) -> list[tuple[LeaseRecord, bool]]:
        """The leases of a pool by address, each with whether Docker's claim to it stands."""
        with self._ledger.lock:
            pool, subnet = self._held(pool_id)
            return [
                (lease, not subnet.is_unclaimed(lease))
                for _, lease in sorted(subnet.leases.items())
                if lease.pool == pool.id
            ]

    def is_claimed(self, pool: PoolRecord) -> bool:
        """Whether some driver name claimed the pool in its present epoch."""
        space = parse_pool_id(pool.id).space
        return any(
            claim.epoch >= self._ledger.holdings.epoch(claim.driver, space) for claim in pool.claims
        )

    def count_free(self, scope: Scope, length: int) -> int:
        """How many blocks of this length are free in the scope's own space."""
        with self._ledger.lock:
            return self._ledger.placement.count_free(scope, length)

    def is_free(self, network: Network) -> bool:
        """Whether no pool of either address space overlaps the network."""
        with self._ledger.lock:
            return all(
                self._ledger.placement.is_free(space, block_of(network))
                for space in ("local", "global")
            )

    # Epochs

    def begin_epoch(self, driver: str, engine: str) -> None:
        """An engine announces itself under a driver name (design, section 6).

        `engine` identifies the run of the engine, empty when that is unknown. A plugin that was
        restarted alone hears from the engine run that it knew before: no replay follows, and no
        epoch begins. The same engine announcing itself again is its swarm allocator starting,
        which replays the global space only.
        """
        with self.one_commit():
            record = self._ledger.holdings.drivers.get(driver, DriverRecord(driver, "", 0, 0))
            first_time = driver not in self._announced
            known_engine = engine != "" and engine == record.engine
            self._announced.add(driver)
            if known_engine and first_time:
                return
            record = replace(
                record,
                engine=engine,
                local_epoch=record.local_epoch + (0 if known_engine else 1),
                global_epoch=record.global_epoch + 1,
            )
            self._replayed.discard(driver)
            self._ledger.change([Put(record)])
            self._ledger.tell(
                "epoch", driver=driver, local=record.local_epoch, swarm=record.global_epoch
            )

    # Pools

    def request_pool(self, request: PoolRequest) -> PoolId:
        """Give a network its pool.

        Raises InvalidRequest, NotManaged, InUse, Exhausted, Unavailable or StoreFailure; then
        nothing has changed.
        """
        with self.one_commit():
            if request.subnet is None:
                return self._request_block(request)
            return self._request_subnet(request, request.subnet)

    def release_pool(self, driver: str, pool_id: str) -> None:
        """Drop one reference; the last one frees the pool and all its leases."""
        with self.one_commit():
            pool = self._ledger.holdings.pool(pool_id)
            claim = None if pool is None else claim_of(pool, driver)
            if pool is None or claim is None:
                self._ledger.warn("release of a pool that is not held", pool=pool_id, driver=driver)
                return
            left = with_claim(pool, replace(claim, references=claim.references - 1))
            if left.claims:
                self._drop_reference(left, driver)
            else:
                self._free_pool(left)

    def _request_subnet(self, request: PoolRequest, subnet: Network) -> PoolId:
        pool_id = PoolId(request.space, subnet, request.ip_range)
        pool = self._ledger.holdings.pool(str(pool_id))
        if pool is not None and pool.claims:
            return self._claim(pool, pool_id, request.driver)
        self._check_ready()
        scope = scope_for_subnet(self._ledger.placement.tree, self._policy, request, subnet)
        self._check_not_in_use(pool_id)
        self._create(pool_id, scope, request)
        return pool_id

    def _claim(self, pool: PoolRecord, pool_id: PoolId, driver: str) -> PoolId:
        epoch = self._ledger.holdings.epoch(driver, pool_id.space)
        claim = claim_of(pool, driver)
        replayed = claim is not None and claim.epoch < epoch
        references = 1 if claim is None or replayed else claim.references + 1
        self._ledger.change([Put(with_claim(pool, Claim(driver, epoch, references)))])
        if replayed and pool_id.space == "global":
            self._replayed.add(driver)
        self._ledger.tell("pool claimed", pool=pool.id, references=references, replayed=replayed)
        return pool_id

    def _request_block(self, request: PoolRequest) -> PoolId:
        self._ledger.retire_rested()
        self._check_ready()
        scopes = scopes_for_block(self._ledger.placement.tree, self._policy, request)
        able = [scope for scope in scopes if reason_against(scope, request) is None]
        for scope in able:
            block = self._ledger.placement.lowest(scope, request.length_in(scope))
            if block is not None:
                pool_id = PoolId(request.space, block.network)
                self._create(pool_id, scope, request)
                return pool_id
        leaked = self._leaked_block(able, request)
        if leaked is None:
            raise Exhausted(self._why_exhausted(scopes, request))
        return self._take_leaked(leaked, request)

    def _create(
        self,
        pool_id: PoolId,
        scope: Scope | None,
        request: PoolRequest,
        before: Sequence[Change] = (),
    ) -> None:
        epoch = self._ledger.holdings.epoch(request.driver, request.space)
        pool = PoolRecord(
            id=str(pool_id),
            scope="" if scope is None else str(scope),
            label=request.label,
            tags="" if request.tag_filter is None else request.tag_filter.text,
            claims=(Claim(request.driver, epoch, 1),),
            created=self._ledger.clock.wall(),
        )
        self._ledger.change([*before, Put(pool)])
        self._ledger.tell("pool", pool=pool.id, scope=pool.scope or "none", label=pool.label)

    def _drop_reference(self, left: PoolRecord, driver: str) -> None:
        changes: list[Change] = [Put(left)]
        if claim_of(left, driver) is None:
            changes += [
                Delete(lease.key) for lease in self._leases_of(left.id) if lease.driver == driver
            ]
        self._ledger.change(changes)
        self._ledger.tell("pool reference dropped", pool=left.id, driver=driver)

    def _free_pool(self, pool: PoolRecord) -> None:
        subnet = self._ledger.holdings.subnets[subnet_of(pool.id)]
        changes: list[Change] = [Delete(lease.key) for lease in self._leases_of(pool.id)]
        if self._ledger.reuse_delay(subnet.block) and subnet.ever_leased:
            changes.append(Put(replace(pool, released=self._ledger.clock.wall())))
        else:
            changes.append(Delete(pool.key))
        self._ledger.change(changes)
        self._ledger.tell("pool released", pool=pool.id, leases=len(changes) - 1)

    def _check_ready(self) -> None:
        if self._refusal is not None:
            raise Unavailable(self._refusal)

    def _why_exhausted(self, scopes: Iterable[Scope], request: PoolRequest) -> str:
        tried = "; ".join(
            f"scope {scope} {reason_against(scope, request) or self._fullness(scope, request)}"
            for scope in scopes
        )
        return (
            f"no block is free for {described(request)}: {tried}. Remove networks that nobody "
            "needs, ask for a smaller block with --ipam-opt prefix=LENGTH, or widen the schema"
        )

    def _fullness(self, scope: Scope, request: PoolRequest) -> str:
        length = request.length_in(scope)
        total = 1 << (length - scope.network.prefixlen)
        free = self._ledger.placement.count_free(scope, length)
        reserved = f", {free} are reserved" if free else ""
        return f"is full ({total - free} of its {total} /{length} blocks are taken{reserved})"

    def _check_not_in_use(self, wanted: PoolId) -> None:
        block = block_of(wanted.subnet)
        if self._ledger.placement.is_free(wanted.space, block):
            return
        for subnet in self._ledger.holdings.subnets.values():
            if subnet.space != wanted.space or subnet.block == block:
                continue
            holder = next((pool for pool in subnet.pools.values() if pool.claims), None)
            if holder is not None and block.overlaps(subnet.block):
                named = f" (id {holder.label})" if holder.label else ""
                raise InUse(
                    f"subnet {wanted.subnet} overlaps pool {holder.id}{named}, which is held "
                    f"since {_when(holder.created)}; ask for another subnet, or for none, or "
                    "remove the network that holds the pool"
                )

    def _leaked_block(
        self, scopes: Iterable[Scope], request: PoolRequest
    ) -> tuple[PoolRecord, Scope, PoolId] | None:
        """A block of a pool in the global space that a new leader did not claim while it claimed
        others, from the pool that leaked first; with its scope."""
        wanted = {str(scope): scope for scope in scopes}
        leaked = sorted(
            (pool for pool in self._ledger.holdings.pools() if self._is_leaked(pool)),
            key=lambda pool: (max(claim.epoch for claim in pool.claims), pool.created),
        )
        for pool in leaked:
            subnet = self._ledger.holdings.subnets[subnet_of(pool.id)]
            scope = wanted.get(pool.scope)
            if scope is None or subnet.block.length > request.length_in(scope):
                continue
            block = subnet.block._replace(length=request.length_in(scope))
            if len(subnet.pools) == 1 and self._ledger.placement.is_free("local", block):
                return pool, scope, PoolId(request.space, block.network)
        return None

    def _is_leaked(self, pool: PoolRecord) -> bool:
        return (
            pool.id.startswith("global/")
            and bool(pool.claims)
            and all(
                claim.driver in self._replayed
                and claim.epoch < self._ledger.holdings.epoch(claim.driver, "global")
                for claim in pool.claims
            )
        )

    def _take_leaked(
        self, leaked: tuple[PoolRecord, Scope, PoolId], request: PoolRequest
    ) -> PoolId:
        pool, scope, pool_id = leaked
        changes: list[Change] = [Delete(lease.key) for lease in self._leases_of(pool.id)]
        changes.append(Delete(pool.key))
        self._create(pool_id, scope, request, before=changes)
        self._ledger.warn("unclaimed pool given out again", pool=pool_id, was=pool.id)
        return pool_id

    # Addresses

    def request_address(self, request: AddressRequest) -> AddressGrant:
        """Give out an address of a pool.

        Raises InvalidRequest, NotHeld, InUse, Exhausted or StoreFailure; then nothing has
        changed.
        """
        with self.one_commit():
            self._ledger.retire_rested()
            pool, subnet = self._held(request.pool_id)
            if request.address is None:
                changes, lease = self._any_address(pool, subnet, request)
            else:
                changes, lease = self._given_address(pool, subnet, request, request.address)
            self._ledger.change([*changes, Put(lease)])
            address = ip_address(lease.address)
            grant = AddressGrant(address, subnet.block.length)
            self._ledger.tell("lease", address=grant, pool=pool.id, kind=request.kind)
            return grant

    def release_address(self, driver: str, pool_id: str, address: Address) -> None:
        """Take an address back. What is not held is not an error: Docker repeats itself."""
        with self.one_commit():
            subnet = self._ledger.holdings.subnets.get(subnet_of(pool_id))
            lease = None if subnet is None else subnet.leases.get(int(address))
            if subnet is None or lease is None or lease.released is not None:
                self._ledger.warn(
                    "release of an address that is not held", pool=pool_id, address=address
                )
                return
            if self._ledger.reuse_delay(subnet.block):
                self._ledger.change([Put(replace(lease, released=self._ledger.clock.wall()))])
            else:
                self._ledger.change([Delete(lease.key)])
            self._ledger.tell("lease released", address=address, pool=pool_id, driver=driver)

    def _given_address(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest, address: Address
    ) -> tuple[list[Change], LeaseRecord]:
        _check_usable(subnet.block, address)
        lease = subnet.leases.get(int(address))
        if lease is None or lease.released is not None:
            changes = self._changes_for_second_network(pool, subnet, request)
            return changes, self._lease(pool, subnet, request, address)
        if lease.driver == request.driver and subnet.is_unclaimed(lease):
            epoch = self._ledger.holdings.epoch(request.driver, subnet.space)
            return [], replace(lease, epoch=epoch, kind=request.kind)
        raise InUse(
            f"address {address} of pool {pool.id} is in use since {_when(lease.granted)} "
            f"({lease.kind}); ask for another, or for none"
        )

    def _any_address(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest
    ) -> tuple[list[Change], LeaseRecord]:
        changes = self._changes_for_second_network(pool, subnet, request)
        free = subnet.free_addresses(pool.id, self._ledger.reserved(subnet.block))
        previous = subnet.last_given if request.serial else None
        number = free.lowest() if previous is None else free.after(previous)
        if number is None and not changes:
            number = subnet.oldest_unclaimed(free)
            if number is not None:
                self._ledger.warn("unclaimed address given out again", pool=pool.id, number=number)
        if number is None:
            raise Exhausted(
                f"pool {pool.id} has no free address: all {free.capacity()} that may be given "
                "out are leased or resting. Remove containers that nobody needs, or make the "
                "network with a larger block (--ipam-opt prefix=LENGTH or --subnet)"
            )
        address = IPv4Address(number) if subnet.block.version == 4 else IPv6Address(number)
        return changes, self._lease(pool, subnet, request, address)

    def _changes_for_second_network(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest
    ) -> list[Change]:
        """A replay names the gateway that it has. Who asks for any, or for another, in a pool
        whose own was not claimed again is a second network on the subnet, after a restart of the
        plugin alone: the first one's leases are claimed as much as they were before."""
        if request.kind != "gateway":
            return []
        mine = [lease for lease in self._leases_of(pool.id) if lease.driver == request.driver]
        if not any(lease.kind == "gateway" and subnet.is_unclaimed(lease) for lease in mine):
            return []
        claim = claim_of(pool, request.driver)
        if claim is None:
            return []
        twice = with_claim(pool, replace(claim, references=claim.references + 1))
        return [Put(twice), *(Put(replace(lease, epoch=claim.epoch)) for lease in mine)]

    def _lease(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest, address: Address
    ) -> LeaseRecord:
        epoch = self._ledger.holdings.epoch(request.driver, subnet.space)
        return LeaseRecord(
            pool.id, str(address), request.kind, request.driver, epoch, self._ledger.clock.wall()
        )

    def _held(self, pool_id: str) -> tuple[PoolRecord, Subnet]:
        pool = self._ledger.holdings.pool(pool_id)
        if pool is None or not pool.claims:
            raise NotHeld(
                f"pool {pool_id!r} is not held by pyipam: its network was made when the state "
                "was another; remove the network and make it again"
            )
        return pool, self._ledger.holdings.subnets[subnet_of(pool_id)]

    def _leases_of(self, pool_id: str) -> list[LeaseRecord]:
        subnet = self._ledger.holdings.subnets[subnet_of(pool_id)]
        return [lease for lease in subnet.leases.values() if lease.pool == pool_id]


def _check_usable(block: Block, address: Address) -> None:
    network = block.network
    if address not in network:
        raise InvalidRequest(f"address {address} is outside of the pool's subnet {network}")
    usable = usable_range(block)
    if not usable.first <= int(address) <= usable.last:
        name = "network address" if int(address) < usable.first else "broadcast address"
        if network.version == 6:
            name = "subnet-router anycast address"
        raise InvalidRequest(
            f"address {address} is the {name} of {network}, which no host may have"
        )


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
