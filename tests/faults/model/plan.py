"""What the plugin promises, written down without regard to speed.

The promises are those of docs/architecture.md: "Selecting scopes", "Carving blocks", "Giving out
addresses", "Replays and epochs", "How leaks heal". Every answer is found by looking at all that is
held. Nothing is stored: a restart of the plugin forgets only what the plugin does not store. Reuse
delays and corrupted states are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from tests.faults.model.records import (
    EXHAUSTED,
    IN_USE,
    INVALID,
    NOT_HELD,
    NOT_MANAGED,
    Claim,
    Driver,
    Lease,
    Pool,
    Refused,
    Sharer,
)
from tests.faults.model.scopes import (
    Address,
    Network,
    Scope,
    inside,
    matches,
    overlap,
    scopes_of,
    usable,
)

# How long after a restart of the plugin alone an engine may ask for the capabilities again.
SECONDS_OF_RETURN = 5.0
# How long after its announcement, or after the last replay, an unknown engine may replay.
SECONDS_OF_REPLAY = 60.0
# Docker asks for another block within this time when it turns one down.
SECONDS_OF_ASKING_AGAIN = 5.0


class Plan:
    """Pools, references, leases and epochs of one plugin."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._scopes = list(scopes_of(schema["scopes"]))
        self.pools: dict[str, Pool] = {}
        self.leases: dict[tuple[str, Address], Lease] = {}
        # What containers had asked for by name and released: it is given to others last.
        self._held_back: dict[tuple[str, Address], Lease] = {}
        self._drivers: dict[str, Driver] = {}
        self._last_given: dict[str, Address] = {}
        self._back_until: dict[tuple[str, str], float] = {}
        self._replayed: set[tuple[str, str]] = set()
        # By driver name and pool: how many networks have not asked again yet; and the pools that
        # somebody asked for of whom nobody can tell whether he repeats himself.
        self._outstanding: dict[tuple[str, str], int] = {}
        self._unsure: set[tuple[str, str]] = set()
        # When the plugin last started, and the epochs of the local space then.
        self._started = 0.0
        self._epochs_before: dict[str, int] = {}
        # The run of the engine that makes the next call; empty if the kernel does not tell.
        self.asking = ""

    # Restarts

    def restart_plugin(self, now: float) -> None:
        """Keep what the plugin has stored, and forget the rest."""
        self._back_until.clear()
        self._replayed.clear()
        self._outstanding.clear()
        self._unsure.clear()
        self._started = now
        self._epochs_before = {name: item.epochs["local"] for name, item in self._drivers.items()}
        self._last_given.clear()
        known = [*self.leases.values(), *self._held_back.values()]
        for lease in sorted(known, key=lambda lease: lease.granted):
            self._last_given[lease.subnet_id] = lease.address

    def announce(self, driver: str, engine: str, now: float) -> None:
        """GetCapabilities begins an epoch, unless only the plugin was restarted. If the engine is
        the same, its swarm allocator has started, and the epoch is one of the global space."""
        known = self._drivers.setdefault(driver, Driver())
        same = engine in known.runs
        if not same:
            self._back_until[driver, engine] = now
        elif now < self._back_until.setdefault((driver, engine), now + SECONDS_OF_RETURN):
            return
        self._outstanding = {key: n for key, n in self._outstanding.items() if key[0] != driver}
        self._unsure = {key for key in self._unsure if key[0] != driver}
        known.epochs["global"] += 1
        self._replayed.discard((driver, "global"))
        if not same:
            known.epochs["local"] += 1
            self._replayed.discard((driver, "local"))
        known.note_run(engine)

    def _epoch(self, driver: str, space: str) -> int:
        return self._drivers.setdefault(driver, Driver()).epochs[space]

    # Pools

    def request_block(
        self,
        driver: str,
        space: str,
        version: int,
        length: int | None,
        tags: str,
        now: float,
    ) -> str:
        """RequestPool without a subnet: the lowest free block of the first scope that has one."""
        scopes = self._in_order(tags, version)
        if not scopes:
            raise Refused(NOT_MANAGED)
        able = [
            (scope, length or scope.child_prefix)
            for scope in scopes
            if scope.space in (None, space)
            and (length or scope.child_prefix) >= scope.network.prefixlen
        ]
        for scope, wanted in able:
            for block in scope.network.subnets(new_prefix=wanted):
                if self._may_be_automatic(block, scope):
                    return self._create(driver, space, block, None, scope, tags, now)
        if self._is_turned_down(driver, space, able, tags, now):
            raise Refused(EXHAUSTED)
        for leaked in sorted(self.pools.values(), key=_age):
            around = self._scope_for(leaked.subnet)
            lengths = [wanted for scope, wanted in able if scope == around]
            if around is None or not lengths or lengths[0] < leaked.subnet.prefixlen:
                continue
            if self._is_leaked(leaked, space):
                unreserved = next(
                    (
                        part
                        for part in leaked.subnet.subnets(new_prefix=lengths[0])
                        if not any(inside(part, reserved) for reserved in around.reserved)
                    ),
                    None,
                )
                if unreserved is not None and not self._is_shared(leaked, unreserved):
                    self._forget_pool(leaked)
                    return self._create(driver, space, unreserved, None, around, tags, now)
        raise Refused(EXHAUSTED)

    def _is_turned_down(
        self, driver: str, space: str, able: list[tuple[Scope, int]], tags: str, now: float
    ) -> bool:
        """Whether the same request was given several blocks just now, and none was used since."""
        unused = [
            pool
            for pool in self.pools.values()
            if pool.space == space == "local"
            and pool.created >= now - SECONDS_OF_ASKING_AGAIN
            and pool.tags == tags
            and (pool.scope, pool.subnet.prefixlen) in able
            and pool.subnet_id not in self._last_given
            and pool.claims.keys() == {driver}
            and pool.claims[driver].references == 1
        ]
        return len(unused) > 1

    def _in_order(self, tags: str, version: int) -> list[Scope]:
        scopes = [
            scope for scope in self._scopes if scope.network.version == version and not scope.locked
        ]
        scopes.sort(key=lambda scope: -scope.depth)
        terms = (tags or "default").split(",")
        found = [scope for term in terms for scope in scopes if matches(scope, term)]
        return list(dict.fromkeys(found)) if found or tags else scopes

    def _may_be_automatic(self, block: Network, scope: Scope) -> bool:
        taken = [pool.subnet for pool in self.pools.values()]
        below = [
            other.network
            for other in self._scopes
            if other.depth > scope.depth and inside(other.network, scope.network)
        ]
        return not any(overlap(block, other) for other in (*taken, *below)) and not any(
            inside(block, reserved) for reserved in scope.reserved
        )

    def _is_leaked(self, pool: Pool, space: str) -> bool:
        """Whether pools were replayed in the present epoch, and this one was not; as a request in
        an address space may take it."""
        if pool.space == "global" != space:
            return False
        return all((driver, pool.space) in self._replayed for driver in pool.claims) and all(
            claim.epoch < self._epoch(driver, "global")
            if pool.space == "global"
            else self._has_left(driver, claim, "local") and not self._is_used_since(pool, driver)
            for driver, claim in pool.claims.items()
        )

    def _was_left(self, pool: Pool, serial: bool, now: float) -> bool:
        """Whether the engine that asks has been restarted, and has not claimed the pool since,
        though it would have: it has claimed something, or may just be about to; or swarm asks."""
        return all(
            self._has_left(driver, claim, pool.space)
            and not self._is_used_since(pool, driver)
            and (
                serial
                or pool.space == "global"
                or (driver, "local") in self._replayed
                or self._may_replay(driver, now)
            )
            for driver, claim in pool.claims.items()
        )

    def _is_used_since(self, pool: Pool, driver: str) -> bool:
        """Whether an address of the host's own network was given out in a later epoch than the pool
        was claimed in: the engine that started then has the network."""
        return pool.space == "local" and any(
            lease.driver == driver and lease.epoch > pool.claims[driver].epoch
            for lease in self.leases_of(pool.id)
        )

    def _is_used_by_asking(self, pool: Pool, driver: str) -> bool:
        """Whether an address of the host's own network was given out since the engine that asks
        started: it has the network."""
        begun = self._drivers[driver].runs[self.asking][pool.space]
        return pool.space == "local" and any(
            lease.driver == driver and lease.epoch >= begun for lease in self.leases_of(pool.id)
        )

    def _has_left(self, driver: str, claim: Claim, space: str) -> bool:
        """Whether the engine that asks is known to have started since the claim."""
        known = self._drivers[driver]
        run = known.runs.get(self.asking)
        if run is None or (space == "local" and known.first_known() == self.asking):
            return False
        return claim.epoch < run[space]

    def _is_shared(self, pool: Pool, block: Network) -> bool:
        """Whether another pool overlaps the block."""
        return any(
            overlap(other.subnet, block) for other in self.pools.values() if other is not pool
        )

    def request_subnet(
        self,
        driver: str,
        space: str,
        subnet: Network,
        ip_range: Network | None,
        tags: str,
        now: float,
        serial: bool = False,
        shared: bool = False,
        has_options: bool = False,
    ) -> str:
        """RequestPool with a subnet: that block, or again the pool that is held. What swarm has
        already is served in any case."""
        shared = shared or serial
        suffix = "" if ip_range is None else f"/{ip_range}"
        held = self.pools.get(f"{space}/{subnet}{suffix}")
        if held is not None:
            is_plain = ip_range is None and not has_options
            self._claim(held, driver, shared, serial, is_plain, now)
            return held.id
        scope = self._scope_for(subnet)
        if scope is None or (tags and not any(matches(scope, term) for term in tags.split(","))):
            swarm_has_it = any(p.subnet_id == f"global/{subnet}" for p in self.pools.values())
            if not serial and not (space == "local" and swarm_has_it):
                raise Refused(NOT_MANAGED)
            scope = self._deepest_around(subnet)
        same = [pool for pool in self.pools.values() if pool.subnet_id == f"{space}/{subnet}"]
        in_the_way = [] if shared and all(pool.shared for pool in same) else same
        in_the_way += [
            pool
            for pool in self.pools.values()
            if pool.space == space and pool.subnet != subnet and overlap(pool.subnet, subnet)
        ]
        if not all(self._was_left(pool, serial, now) for pool in in_the_way):
            raise Refused(IN_USE)
        for pool in in_the_way:
            self._forget_pool(pool)
        return self._create(driver, space, subnet, ip_range, scope, tags, now, shared=shared)

    def _claim(
        self, pool: Pool, driver: str, shared: bool, serial: bool, is_plain: bool, now: float
    ) -> None:
        """A network that was there before the epoch, or one more, if both share the subnet."""
        epoch = self._epoch(driver, pool.space)
        claim = pool.claims.get(driver)
        key = driver, pool.id
        may_share = pool.shared and shared
        is_first = claim is not None and self._has_left(driver, claim, pool.space)
        if claim is None:
            if not may_share:
                raise Refused(IN_USE)
            pool.claims[driver] = Claim(epoch, 1)
        elif is_first and not self._is_used_by_asking(pool, driver):
            self._replay(pool, driver, claim)
            self._back_until[driver, ""] = now
        elif is_first or (claim.epoch < epoch and self._is_unknown(driver, claim, pool.space)):
            if key not in self._unsure:
                self._unsure.add(key)
                self._outstanding[key] = claim.references - 1
            elif self._outstanding.get(key, 0):
                self._outstanding[key] -= 1
            elif claim.references > 1 and not may_share:
                raise Refused(IN_USE)
            if self._may_replay(driver, now):
                self._back_until[driver, ""] = now
            claim.references += 1 if pool.shared or claim.references < 2 else 0
        elif self._outstanding.get(key, 0):
            self._outstanding[key] -= 1
            claim.references += 1
        elif may_share:
            claim.references += 1
        elif (
            pool.space == "global" if serial else is_plain and self._is_like_a_mirror(pool, driver)
        ):
            self._unsure.add(key)
            claim.references += 1
        else:
            raise Refused(IN_USE)

    def _is_unknown(self, driver: str, claim: Claim, space: str) -> bool:
        """Whether the engine that asks may have run already when the pool was claimed."""
        known = self._drivers[driver]
        first = known.first_known()
        if not known.runs or not self.asking:
            return True
        return space == "local" and self.asking == first and claim.epoch < known.runs[first][space]

    def _may_replay(self, driver: str, now: float) -> bool:
        return any(
            name == driver and now - at < SECONDS_OF_REPLAY
            for (name, _), at in self._back_until.items()
        )

    def _is_like_a_mirror(self, pool: Pool, driver: str) -> bool:
        """Whether a node may have released the pool while the plugin was away, as far as the plugin
        can tell: swarm names gateway and containers."""
        leases = self.leases_of(pool.id)
        return (
            pool.space == "local"
            and list(pool.claims) == [driver]
            and pool.created <= self._started
            and pool.claims[driver].epoch <= self._epochs_before.get(driver, 0)
            and {lease.kind for lease in leases} == {"gateway", "container"}
            and all(lease.named or lease.kind == "gateway" for lease in leases)
        )

    def _replay(self, pool: Pool, driver: str, claim: Claim) -> None:
        self._replayed.add((driver, pool.space))
        self._outstanding[driver, pool.id] = claim.references - 1
        del pool.claims[driver]
        pool.claims[driver] = Claim(self._epoch(driver, pool.space), 1)

    def _scope_for(self, subnet: Network) -> Scope | None:
        """The deepest scope around the subnet, if it may be drawn from and none is inside."""
        scope = self._deepest_around(subnet)
        inner = [s for s in self._scopes if not inside(subnet, s.network)]
        if scope is None or scope.locked or any(overlap(s.network, subnet) for s in inner):
            return None
        return scope

    def _deepest_around(self, subnet: Network) -> Scope | None:
        around = [scope for scope in self._scopes if inside(subnet, scope.network)]
        return max(around, key=lambda scope: scope.depth, default=None)

    def _create(
        self,
        driver: str,
        space: str,
        subnet: Network,
        ip_range: Network | None,
        scope: Scope | None,
        tags: str,
        now: float,
        *,
        shared: bool = False,
    ) -> str:
        claims = {driver: Claim(self._epoch(driver, space), 1)}
        pool = Pool(space, subnet, ip_range, scope, tags, now, claims, shared)
        self._outstanding = {key: n for key, n in self._outstanding.items() if key[1] != pool.id}
        self._unsure = {key for key in self._unsure if key[1] != pool.id}
        self.pools[pool.id] = pool
        return pool.id

    def release_pool(self, driver: str, pool_id: str) -> None:
        """ReleasePool: drop a reference; the last one frees the pool."""
        pool = self.pools.get(pool_id)
        if pool is None or driver not in pool.claims:
            return
        claim = pool.claims[driver]
        claim.references -= 1
        if claim.references == 0:
            del pool.claims[driver]
            self._forget_leases(pool.id, driver)
        if not pool.claims:
            self._forget_pool(pool)

    def _forget_pool(self, pool: Pool) -> None:
        del self.pools[pool.id]
        self._forget_leases(pool.id)
        if not any(other.subnet_id == pool.subnet_id for other in self.pools.values()):
            self._last_given.pop(pool.subnet_id, None)

    def _forget_leases(self, pool_id: str, driver: str | None = None) -> None:
        """End what a pool was given, or a driver name in it; others may have the address, too."""
        for leases in (self.leases, self._held_back):
            for key, lease in list(leases.items()):
                left = [
                    holder
                    for holder in lease.holders()
                    if holder.pool != pool_id or driver not in (None, holder.driver)
                ]
                if left:
                    lease.be_held_by(left)
                else:
                    del leases[key]

    # Addresses

    def request_address(
        self, driver: str, pool_id: str, wanted: Address | None, kind: str, serial: bool, now: float
    ) -> str:
        """RequestAddress: the address, with the length of the pool's subnet."""
        pool = self.pools.get(pool_id)
        if pool is None:
            raise Refused(NOT_HELD)
        if wanted is not None:
            if wanted not in list(usable(pool.subnet)):
                raise Refused(INVALID)
            lease = self.leases.get((pool.subnet_id, wanted))
            if lease is not None:
                self._repeat(lease, pool, driver, kind, now)
                return f"{wanted}/{pool.subnet.prefixlen}"
            self._check_may_join(pool, driver, kind)
            self._count_second_network(pool, driver, kind)
            named = kind == "container" and not serial
            return self._lease(pool, wanted, driver, kind, now, named=named)
        self._check_may_join(pool, driver, kind)
        second = self._is_second_network(pool, driver, kind)
        given = self._free_address(pool, serial)
        named = False
        if given is None:
            given = self._longest_held_back(pool)
            named = given is not None
        if given is None and not second:
            given = self._oldest_unclaimed(pool)
        if given is None:
            raise Refused(EXHAUSTED)
        self._count_second_network(pool, driver, kind)
        return self._lease(pool, given, driver, kind, now, named=named)

    def is_unclaimed(self, lease: Lease) -> bool:
        """Whether Docker has claimed the pool again, but not the lease; so for all who have it."""
        return all(map(self._is_older, lease.holders()))

    def _is_older(self, holder: Sharer) -> bool:
        claim = self.pools[holder.pool].claims.get(holder.driver)
        return claim is not None and holder.epoch < claim.epoch

    def _repeat(self, lease: Lease, pool: Pool, driver: str, kind: str, now: float) -> None:
        """An address that is leased is asked for: by who has it, or, if it is a gateway, perhaps by
        another network that shares it."""
        epoch, claim = self._epoch(driver, pool.space), pool.claims.get(driver)
        key = driver, pool.id
        is_old = lease.epoch < epoch and (lease.pool, lease.driver) == (pool.id, driver)
        may_replay = key in self._unsure and self._may_replay(driver, now)
        is_first = (lease.pool, lease.kind) == (pool.id, kind)
        if (
            lease.driver == driver
            and self._is_older(lease.holders()[0])
            and (is_first or not lease.sharers)
        ):
            lease.pool, lease.kind, lease.epoch = pool.id, kind, epoch
            return
        both = {kind, lease.kind}
        if both == {"container"} and not pool.shared and is_old and may_replay:
            lease.epoch = epoch
            return
        if both != {"gateway"}:
            raise Refused(IN_USE)
        for sharer in lease.sharers:
            if (sharer.pool, sharer.driver) == (pool.id, driver) and self._is_older(sharer):
                lease.sharers.remove(sharer)
                lease.sharers.append(Sharer(pool.id, driver, epoch))
                return
        if claim is None or not (pool.shared or key in self._unsure):
            raise Refused(IN_USE)
        mine = [h for h in lease.holders() if (h.pool, h.driver) == (pool.id, driver)]
        if len(mine) >= claim.references:
            return
        lease.sharers.append(Sharer(pool.id, driver, epoch))

    def _check_may_join(self, pool: Pool, driver: str, kind: str) -> None:
        """A second network asks for a gateway, not the one that the first has, and neither shares
        its subnet: an engine that nobody knows asked for the pool again."""
        has_gateway = any(
            (lease.driver, lease.kind) == (driver, "gateway") for lease in self.leases_of(pool.id)
        )
        is_unsure = not pool.shared and (driver, pool.id) in self._unsure
        if kind == "gateway" and is_unsure and has_gateway:
            raise Refused(IN_USE)

    def is_claimed(self, pool: Pool) -> bool:
        """Whether some driver name has claimed the pool in its present epoch, or nobody can tell
        whether it has."""
        return any(
            claim.epoch >= self._epoch(driver, pool.space)
            or (pool.space == "local" and self._drivers[driver].order[-1:] == [""])
            for driver, claim in pool.claims.items()
        )

    def leases_of(self, pool_id: str) -> list[Lease]:
        """The leases of a pool by address."""
        found = [lease for lease in self.leases.values() if lease.pool == pool_id]
        return sorted(found, key=lambda lease: int(lease.address))

    def _free_address(self, pool: Pool, serial: bool) -> Address | None:
        free = [
            address
            for address in self._unreserved(pool)
            if (pool.subnet_id, address) not in {**self.leases, **self._held_back}
        ]
        last = self._last_given.get(pool.subnet_id)
        if serial and last is not None:
            free = [a for a in free if int(a) > int(last)] or free
        return free[0] if free else None

    def _offered(self, pool: Pool) -> list[Address]:
        return [a for a in usable(pool.subnet) if pool.ip_range is None or a in pool.ip_range]

    def _unreserved(self, pool: Pool) -> list[Address]:
        """The addresses given out unasked. What is reserved as a whole was asked for by name."""
        around = self._deepest_around(pool.subnet)
        offered = self._offered(pool)
        left = offered
        for network in () if around is None else around.reserved:
            if not all(address in network for address in offered):
                left = [address for address in left if address not in network]
        return left or offered

    def _longest_held_back(self, pool: Pool) -> Address | None:
        unreserved = self._unreserved(pool)
        found = [
            lease
            for lease in self._held_back.values()
            if lease.subnet_id == pool.subnet_id and lease.address in unreserved
        ]
        longest = min(found, key=lambda lease: lease.released, default=None)
        return None if longest is None else longest.address

    def _oldest_unclaimed(self, pool: Pool) -> Address | None:
        offered = self._offered(pool)
        leaked = [
            lease
            for lease in self.leases.values()
            if lease.subnet_id == pool.subnet_id
            and lease.address in offered
            and self.is_unclaimed(lease)
        ]
        oldest = min(leaked, key=lambda lease: (lease.epoch, lease.granted), default=None)
        return None if oldest is None else oldest.address

    def _is_second_network(self, pool: Pool, driver: str, kind: str) -> bool:
        """Whether a gateway is requested although the pool has some, none of which was claimed
        again. A replay never does that: only the plugin was restarted, and a second network is
        being created."""
        gateways = [
            lease
            for lease in self.leases_of(pool.id)
            if (lease.driver, lease.kind) == (driver, "gateway")
        ]
        return kind == "gateway" and bool(gateways) and all(map(self.is_unclaimed, gateways))

    def _count_second_network(self, pool: Pool, driver: str, kind: str) -> None:
        if self._is_second_network(pool, driver, kind):
            pool.claims[driver].references += 1
            for lease in self.leases_of(pool.id):
                if lease.driver == driver:
                    lease.epoch = pool.claims[driver].epoch

    def _lease(
        self, pool: Pool, address: Address, driver: str, kind: str, now: float, *, named: bool
    ) -> str:
        key = (pool.subnet_id, address)
        if key not in self.leases and self._held_back.pop(key, None) is None:
            self._last_given[pool.subnet_id] = address
        epoch = self._epoch(driver, pool.space)
        self.leases[key] = Lease(pool.id, pool.subnet_id, address, driver, kind, epoch, now, named)
        return f"{address}/{pool.subnet.prefixlen}"

    def release_address(self, driver: str, pool_id: str, address: str, now: float) -> None:
        """ReleaseAddress: free the lease, if the pool has it and no other network does."""
        for key, lease in list(self.leases.items()):
            holders = lease.holders()
            if lease.address != ip_address(address) or pool_id not in [h.pool for h in holders]:
                continue
            mine = [h for h in holders if (h.pool, h.driver) == (pool_id, driver)]
            if mine or lease.pool == pool_id:
                holders.remove(mine[-1] if mine else holders[0])
            if holders:
                lease.be_held_by(holders)
                continue
            del self.leases[key]
            if lease.named:
                lease.released = now
                self._held_back[key] = lease


def _age(pool: Pool) -> tuple[int, float]:
    return max(claim.epoch for claim in pool.claims.values()), pool.created
