"""The core: which scope, which block, which address; committed before it is answered.

Called directly by tests, and by the resources of `api`. Every operation decides under one lock
from what is known, and returns when its changes are durable. When they cannot be made so, memory
is taken back to what it was, and nothing has happened.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import NamedTuple

from pyipam.core.holdings import (
    Subnet,
    claim_of,
    usable_range,
    with_claim,
    without_claims_elsewhere,
)
from pyipam.core.placement import Space
from pyipam.core.selection import (
    Policy,
    PoolRequest,
    described,
    reason_against,
    scope_for_subnet,
    scopes_for_block,
)
from pyipam.core.transaction import Clock, Ledger, Result
from pyipam.errors import Exhausted, InUse, InvalidRequest, NotHeld, Unavailable
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import Address, AddressSpace, to_text
from pyipam.space.block import Block, Network, block_of
from pyipam.space.free_addresses import FreeAddresses
from pyipam.store.pool_id import (
    PoolId,
    is_global,
    make_subnet_id,
    parse_pool_id,
    split_node,
    subnet_id_of,
)
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS, Store
from pyipam.store.records import (
    Change,
    Claim,
    Delete,
    DriverRecord,
    LeaseKind,
    LeaseRecord,
    PoolRecord,
    Put,
)

# How far above the lowest free address is given, when other nodes contend for it.
_FURTHEST = 64
# Within which dockerd announces itself in every way to a plugin that it has started again.
_SECONDS_OF_RETURN = 5.0


class AddressRequest(NamedTuple):
    """A network or container wants an address of a pool: a given one, or any."""

    driver: str
    pool_id: str
    address: Address | None = None
    kind: LeaseKind = "container"
    serial: bool = False


class AddressGrant(NamedTuple):
    """An address, and the prefix length of the pool that it came from."""

    address: str
    length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


class Ipam:
    """Gives out pools and addresses of one address plan."""

    def __init__(self, store: Store, policy: Policy, clock: Clock) -> None:
        self._ledger = Ledger(store, clock)
        self._policy = policy
        self._refusal: str | None = "no schema has been loaded yet"
        # Driver names, with until when an announcement only says that the plugin is back.
        self._announced: dict[str, float] = {}
        self._replayed: set[tuple[str, AddressSpace]] = set()

    # What is known

    def load(self, tree: ScopeTree) -> None:
        """Take in what the store holds, and draw from these scopes.

        Raises StateCorrupted, or Unavailable where the disk does not let it be read.
        """
        self._ledger.load(tree)
        self._refusal = None

    def one_commit(self) -> AbstractContextManager[None]:
        """Everything that is called inside is made durable together, when the block ends: with
        one wait for the disk. Raises StoreFailure at the end, and then nothing of it has
        happened; answers that were computed inside must not be given."""
        return self._ledger.one_commit()

    def in_one_commit(
        self, work: Callable[[], Result], within: float = COMMIT_TIMEOUT_SECONDS
    ) -> Result:
        """What `work` gives, when everything that it did is durable, in so many seconds. Where
        other nodes that share the plan stand in the way, the work is done anew. Raises
        StoreFailure, and then nothing of it has happened."""
        return self._ledger.in_one_commit(work, within)

    def last_call_follows(self) -> None:
        """What is called next is the last of the present commit, which the store may begin."""
        self._ledger.last_change_follows()

    def when_durable(self, note: Callable[[], None]) -> None:
        """Call `note` once the present commit has succeeded; at once, if there is none."""
        self._ledger.when_durable(note)

    def settle(self, within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Know what other nodes did, and take back what may have been stored unasked, in so many
        seconds. Raises StoreFailure."""
        self._ledger.settle(within)

    def use_schema(self, tree: ScopeTree) -> None:
        """From now on, draw from these scopes. Pools of scopes that are gone live on."""
        self._ledger.use_scopes(tree)
        self._refusal = None

    def refuse_new_pools(self, reason: str) -> None:
        """From now on, refuse new pools with this sentence. Pools that exist keep working."""
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

    def pools_elsewhere(self) -> list[PoolRecord]:
        """Every pool in the local space of another node, as far as is known here."""
        with self._ledger.lock:
            return list(self._ledger.elsewhere.pools())

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
        """Whether no pool of any address space overlaps the network."""
        with self._ledger.lock:
            return self._ledger.placement.is_free_everywhere(block_of(network))

    # Epochs

    def begin_epoch(self, driver: str, engine: str) -> None:
        """An engine announces itself under a driver name (design, section 6).

        `engine` identifies the run of the engine, empty when that is unknown. A plugin that was
        restarted alone hears from the engine run that it knew before, and at once again from
        every swarm allocator that ever ran in it: no replay follows, and no epoch begins. The
        same engine announcing itself later is its swarm allocator starting, which replays the
        global space only.
        """
        with self.one_commit():
            record = self._ledger.holdings.drivers.get(driver, DriverRecord(driver, "", 0, 0))
            known_engine = engine != "" and engine == record.engine
            now = self._ledger.clock.monotonic()
            back = now
            if known_engine:
                back = self._announced.get(driver, now + _SECONDS_OF_RETURN)
            self._ledger.when_durable(lambda: self._announced.update({driver: back}))
            if now < back:
                return
            # Another node may have led the swarm since; what it claimed is older than this.
            self._ledger.refresh()
            latest = self._ledger.latest_global_epoch()
            record = record._replace(
                engine=engine,
                local_epoch=record.local_epoch + (0 if known_engine else 1),
                global_epoch=max(record.global_epoch, latest) + 1,
            )
            self._replayed -= {(driver, "global"), (driver, "global" if known_engine else "local")}
            self._ledger.change([Put(record)])
            self._ledger.tell(
                "epoch", driver=driver, local=record.local_epoch, swarm=record.global_epoch
            )

    # Pools

    def request_pool(self, request: PoolRequest) -> str:
        """Give a network its pool; the pool's id.

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
            left = with_claim(pool, claim._replace(references=claim.references - 1))
            if left.claims:
                self._drop_reference(left, driver)
            else:
                self._free_pool(left)

    def _request_subnet(self, request: PoolRequest, subnet: Network) -> str:
        wanted = PoolId(request.space, subnet, request.ip_range)
        pool_id = str(wanted)
        pool = self._ledger.holdings.pool(pool_id)
        if pool is not None and pool.claims:
            return self._claim(pool, request)
        self._check_ready()
        scope = scope_for_subnet(self._ledger.placement.tree, self._policy, request, subnet)
        displaced = self._displaced_by(wanted, request)
        forgotten = [change for pool in displaced for change in self._forget(pool)]
        self._create(pool_id, scope, request, before=forgotten)
        for pool in displaced:
            self._ledger.warn("unclaimed pool displaced", pool=pool.id, by=pool_id)
        return pool_id

    def _claim(self, pool: PoolRecord, request: PoolRequest) -> str:
        driver = request.driver
        epoch = self._ledger.holdings.epoch(driver, request.space)
        claim = claim_of(pool, driver)
        older = claim is not None and claim.epoch < epoch
        replayed = older and self._may_repeat(request)
        if claim is None or replayed:
            anew = Claim(driver, epoch, 1)
        else:
            anew = claim._replace(references=claim.references + 1)
        self._ledger.change([Put(with_claim(pool, anew))])
        if replayed:
            self._ledger.when_durable(lambda: self._replayed.add((driver, request.space)))
        self._ledger.tell(
            "pool claimed", pool=pool.id, references=anew.references, replayed=replayed
        )
        return pool.id

    def _request_block(self, request: PoolRequest) -> str:
        self._ledger.retire_rested()
        self._check_ready()
        scopes = scopes_for_block(self._ledger.placement.tree, self._policy, request)
        for scope in scopes:
            block = self._lowest(scope, request)
            if block is not None:
                pool_id = f"{request.space}/{block}"
                self._create(pool_id, scope, request)
                return pool_id
        leaked = self._leaked_block(scopes, request)
        if leaked is None:
            raise Exhausted(self._why_exhausted(scopes, request))
        return self._take_leaked(leaked, request)

    def _lowest(self, scope: Scope, request: PoolRequest) -> Block | None:
        if reason_against(scope, request) is not None:
            return None
        return self._ledger.placement.lowest(scope, request.length_in(scope))

    def _create(
        self,
        pool_id: str,
        scope: Scope | None,
        request: PoolRequest,
        before: Sequence[Change] = (),
    ) -> None:
        epoch = self._ledger.holdings.epoch(request.driver, request.space)
        pool = PoolRecord(
            id=pool_id,
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
        subnet = self._ledger.holdings.subnets[subnet_id_of(pool.id)]
        changes: list[Change] = [Delete(lease.key) for lease in self._leases_of(pool.id)]
        if subnet.ever_leased and self._ledger.reuse_delay(subnet.block):
            changes.append(Put(pool._replace(released=self._ledger.clock.wall())))
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

    def _displaced_by(self, wanted: PoolId, request: PoolRequest) -> list[PoolRecord]:
        """The pools that the subnet overlaps, none of which the engine that asks has claimed
        since it, or its swarm allocator, started: they leaked. Raises InUse where one has not.
        """
        block = block_of(wanted.subnet)
        if self._ledger.placement.is_free(wanted.space, block):
            return []
        in_the_way = [
            pool
            for subnet in self._ledger.holdings.subnets.values()
            if subnet.space == wanted.space and subnet.block != block
            for pool in subnet.pools.values()
            if pool.claims and block.overlaps(subnet.block)
        ]
        for pool in in_the_way:
            if not all(self._was_left(claim, request, request.space) for claim in pool.claims):
                raise InUse(
                    f"subnet {wanted.subnet} overlaps pool {_named(pool)}, which is held "
                    f"since {_when(pool.created)}; ask for another subnet, or for none, or "
                    f"remove the network that holds the pool{_apart(wanted.space)}"
                )
        return in_the_way

    def _was_left(self, claim: Claim, request: PoolRequest, space: AddressSpace) -> bool:
        """Whether the engine that asks has started again after the claim, and not repeated it.
        That is known only of an engine that is known, and by itself alone: a process that merely
        announced itself was none."""
        driver = self._ledger.holdings.drivers.get(claim.driver)
        return (
            driver is not None
            and driver.engine != ""
            and claim.epoch < self._ledger.holdings.epoch(claim.driver, space)
            and driver.engine == request.engine()
        )

    def _may_repeat(self, request: PoolRequest) -> bool:
        """Whether the engine that asks can be the one that announced itself last."""
        driver = self._ledger.holdings.drivers.get(request.driver)
        announced = "" if driver is None else driver.engine
        return "" in (announced, asking := request.engine()) or announced == asking

    def _forget(self, pool: PoolRecord) -> list[Change]:
        return [*(Delete(lease.key) for lease in self._leases_of(pool.id)), Delete(pool.key)]

    def _leaked_block(
        self, scopes: Iterable[Scope], request: PoolRequest
    ) -> tuple[PoolRecord, Scope, Block] | None:
        """A block of a pool that leaked, from the one that leaked first; with its scope."""
        able = (scope for scope in scopes if reason_against(scope, request) is None)
        wanted = {str(scope): scope for scope in able}
        leaked = sorted(
            (pool for pool in self._ledger.holdings.pools() if self._is_leaked(pool, request)),
            key=lambda pool: (max(claim.epoch for claim in pool.claims), pool.created),
        )
        for pool in leaked:
            subnet = self._ledger.holdings.subnets[subnet_id_of(pool.id)]
            scope = wanted.get(pool.scope)
            if scope is None or subnet.block.length > request.length_in(scope):
                continue
            block = subnet.block._replace(length=request.length_in(scope))
            other_space: AddressSpace = "global" if subnet.space == "local" else "local"
            if len(subnet.pools) == 1 and self._is_free_in(block, other_space, "elsewhere"):
                return pool, scope, block
        return None

    def _is_free_in(self, block: Block, *spaces: Space) -> bool:
        return all(self._ledger.placement.is_free(space, block) for space in spaces)

    def _is_leaked(self, pool: PoolRecord, request: PoolRequest) -> bool:
        """Whether an engine that started again claimed other pools of the space, and not this
        one. An engine that claimed none may have started while the plugin was disabled."""
        if is_global(pool.id):
            return bool(pool.claims) and all(map(self._is_stale, pool.claims))
        return bool(pool.claims) and all(
            (claim.driver, "local") in self._replayed and self._was_left(claim, request, "local")
            for claim in pool.claims
        )

    def _is_stale(self, claim: Claim) -> bool:
        """Whether the swarm's leader, which is told of every network here, has left this out."""
        driver, _ = split_node(claim.driver)
        epoch = self._ledger.holdings.epoch(driver, "global")
        return (driver, "global") in self._replayed and claim.epoch < epoch

    def _take_leaked(self, leaked: tuple[PoolRecord, Scope, Block], request: PoolRequest) -> str:
        pool, scope, block = leaked
        pool_id = f"{request.space}/{block}"
        self._create(pool_id, scope, request, before=self._forget(pool))
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
            grant = AddressGrant(lease.address, subnet.block.length)
            self._ledger.tell("lease", address=grant, pool=pool.id, kind=request.kind)
            return grant

    def release_address(self, driver: str, pool_id: str, address: Address) -> None:
        """Take an address back. What is not held is not an error: Docker repeats itself."""
        with self.one_commit():
            subnet = self._ledger.holdings.subnets.get(subnet_id_of(pool_id))
            lease = None if subnet is None else subnet.lease_of(address)
            held = lease is not None and (lease.pool, lease.released) == (pool_id, None)
            if subnet is None or lease is None or not held:
                self._ledger.warn(
                    "release of an address that is not held", pool=pool_id, address=address
                )
                return
            if self._ledger.reuse_delay(subnet.block):
                self._ledger.change([Put(lease._replace(released=self._ledger.clock.wall()))])
            else:
                self._ledger.change([Delete(lease.key)])
            self._ledger.tell("lease released", address=address, pool=pool_id, driver=driver)

    def _given_address(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest, address: Address
    ) -> tuple[list[Change], LeaseRecord]:
        _check_usable(subnet.block, address)
        lease = subnet.lease_of(address)
        if lease is None or lease.released is not None:
            changes = self._changes_for_new_leader(pool, request)
            changes = changes or self._changes_for_second_network(pool, subnet, request)
            anew = self._lease(pool, subnet, request, address.number)
            self._check_not_elsewhere(anew, subnet, address)
            return changes, anew
        if split_node(lease.driver)[0] == request.driver:
            changes = self._changes_for_new_leader(pool, request)
            if changes or subnet.is_unclaimed(lease):
                anew = self._lease(pool, subnet, request, address.number)
                return changes, anew._replace(granted=lease.granted)
        shared = sum(claim.references for claim in pool.claims) > 1
        cure = _apart(subnet.space) if shared or request.kind == "gateway" else ""
        raise InUse(
            f"address {address} of pool {_named(pool)} is in use since {_when(lease.granted)} "
            f"({lease.kind}); ask for another, or for none{cure}"
        )

    def _check_not_elsewhere(self, lease: LeaseRecord, subnet: Subnet, address: Address) -> None:
        """Containers of two nodes cannot have one address, on whatever networks they are."""
        if subnet.space != "local" or lease.kind != "container":
            return
        other = self._ledger.elsewhere.leases(address.version).get(address.number)
        if other is not None:
            raise InUse(
                f"address {address} is in use since {_when(other.granted)} by a container in pool "
                f"{other.pool}, on another node; ask for another, or for none"
            )

    def _any_address(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest
    ) -> tuple[list[Change], LeaseRecord]:
        changes = self._changes_for_second_network(pool, subnet, request)
        number = self._free_number(pool, subnet, request)
        if number is None and subnet.elsewhere is not None:
            # What other nodes released is found only by looking at everything anew.
            subnet.forget_free_addresses()
            number = self._free_number(pool, subnet, request)
        free = subnet.free_addresses(pool.id, self._ledger.reserved)
        if number is None and not changes:
            number = subnet.oldest_unclaimed(free)
            if number is not None:
                leaked = subnet.leases[number].address
                self._ledger.warn("unclaimed address given out again", pool=pool.id, address=leaked)
        if number is None:
            raise Exhausted(
                f"pool {pool.id} has no free address: all {free.capacity()} that may be given "
                "out are leased or resting. Remove containers that nobody needs, or make the "
                "network with a larger block (--ipam-opt prefix=LENGTH or --subnet)"
            )
        return changes, self._lease(pool, subnet, request, number)

    def _free_number(self, pool: PoolRecord, subnet: Subnet, request: AddressRequest) -> int | None:
        free = subnet.free_addresses(pool.id, self._ledger.reserved)
        previous = subnet.last_given if request.serial else None
        number = free.lowest() if previous is None else free.after(previous)
        lost = self._ledger.contested(subnet)
        return self._further_on(free, number, lost) if number is not None and lost else number

    def _further_on(self, free: FreeAddresses, number: int, lost: int) -> int:
        """A free address somewhat above `number`, the more so the more of its neighbours were
        lost to other nodes, so that nodes that begin at one place do not meet again."""
        for _ in range(random.randrange(min(1 << lost, _FURTHEST))):
            following = free.after(number)
            if following is None or following < number:
                break
            number = following
        return number

    def _changes_for_new_leader(self, pool: PoolRecord, request: AddressRequest) -> list[Change]:
        """A swarm's allocator that has begun to lead names the gateway of each network (it alone
        asks for serial addresses): what the one before it claimed on another node has ended. Any
        dockerd may ask for a pool of the global space, and hand it back when it leads no swarm."""
        if request.kind != "gateway" or not request.serial:
            return []
        left = without_claims_elsewhere(pool, request.driver)
        if left == pool:
            return []
        self._ledger.when_durable(lambda: self._replayed.add((request.driver, "global")))
        return [Put(left)]

    def _changes_for_second_network(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest
    ) -> list[Change]:
        """A replay names the gateway that it has. Who asks for any, or for another, in a pool
        none of whose own was claimed again is a second network on the subnet, after a restart of
        the plugin alone: the first one's leases are claimed as much as they were before, and
        nothing was replayed."""
        if request.kind != "gateway":
            return []
        mine = [lease for lease in self._leases_of(pool.id) if lease.driver == request.driver]
        gateways = [lease for lease in mine if lease.kind == "gateway" and lease.released is None]
        if not gateways or not all(map(subnet.is_unclaimed, gateways)):
            return []
        claim = claim_of(pool, request.driver)
        if claim is None:
            return []
        replayed = (request.driver, subnet.space)
        self._ledger.when_durable(lambda: self._replayed.discard(replayed))
        twice = with_claim(pool, claim._replace(references=claim.references + 1))
        return [Put(twice), *(Put(lease._replace(epoch=claim.epoch)) for lease in mine)]

    def _lease(
        self, pool: PoolRecord, subnet: Subnet, request: AddressRequest, number: int
    ) -> LeaseRecord:
        epoch = self._ledger.holdings.epoch(request.driver, subnet.space)
        address = to_text(subnet.block.version, number)
        granted = self._ledger.clock.wall()
        kind = "mirror" if self._mirrors(subnet, request) else request.kind
        return LeaseRecord(pool.id, address, kind, request.driver, epoch, granted)

    def _mirrors(self, subnet: Subnet, request: AddressRequest) -> bool:
        """Whether the address follows one that the swarm's leader was given."""
        return (
            request.kind == "container"
            and subnet.space == "local"
            and subnet.elsewhere is not None
            and make_subnet_id("global", str(subnet.block)) in self._ledger.holdings.subnets
        )

    def _held(self, pool_id: str) -> tuple[PoolRecord, Subnet]:
        subnet = self._ledger.holdings.subnets.get(subnet_id_of(pool_id))
        pool = None if subnet is None else subnet.pools.get(pool_id)
        if subnet is None or pool is None or not pool.claims:
            raise NotHeld(
                f"pool {pool_id!r} is not held by pyipam: its network was made when the state "
                "was another; remove the network and make it again"
            )
        return pool, subnet

    def _leases_of(self, pool_id: str) -> list[LeaseRecord]:
        subnet = self._ledger.holdings.subnets[subnet_id_of(pool_id)]
        return [lease for lease in subnet.leases.values() if lease.pool == pool_id]


def _check_usable(block: Block, address: Address) -> None:
    if not block.contains(address):
        raise InvalidRequest(f"address {address} is outside of the pool's subnet {block}")
    usable = usable_range(block)
    if not usable.first <= address.number <= usable.last:
        name = "network address" if address.number < usable.first else "broadcast address"
        if block.version == 6:
            name = "subnet-router anycast address"
        raise InvalidRequest(f"address {address} is the {name} of {block}, which no host may have")


def _named(pool: PoolRecord) -> str:
    return f"{pool.id} (id {pool.label})" if pool.label else pool.id


def _apart(space: AddressSpace) -> str:
    """What to do when a host cannot have a subnet that swarm gave out for all hosts."""
    if space == "global":
        return ""
    return (
        ". If it was swarm that asked, a network of this host is in the way: give swarm and the "
        "hosts scopes of their own (address_space in the schema)"
    )


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
