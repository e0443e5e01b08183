"""Freeing what an operator has found to be leaked: only what is still as it was seen.

A lease that was released and given out again is another one, though it has the same address: it has
another epoch or another time. See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from pyipam.core.address_calls import release_address
from pyipam.core.decision import Decision, info
from pyipam.core.leaks import is_on_host
from pyipam.core.messages import named, when
from pyipam.core.pool_calls import end_pool
from pyipam.core.state import State
from pyipam.errors import InUse, NotHeld
from pyipam.space.address import Address
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import Claim


class SeenLease(NamedTuple):
    """A lease as it was seen: given out at the time `granted`, and claimed last in `epoch`."""

    pool_id: str
    address: Address
    epoch: int
    granted: float


class SeenPool(NamedTuple):
    """A pool as it was seen: made at the time `created`, with these claims and the leases that
    `fingerprint` stands for (see `fingerprint_of`)."""

    id: str
    created: float
    claims: frozenset[Claim]
    fingerprint: str


def fingerprint_of(leases: Iterable[tuple[str, int, float]]) -> str:
    """What tells the leases of a pool from those that it may have later, in any order. Each is an
    address, the epoch in which it was claimed last, and the time at which it was given out."""
    lines = sorted(f"{address} {epoch} {granted!r}" for address, epoch, granted in leases)
    return sha256("\n".join(lines).encode()).hexdigest()[:32]


def free_address(state: State, seen: SeenLease) -> Decision[None]:
    """End a lease of a container that is still the one that was seen, as its release would have.
    Raises NotHeld where there is none, and InUse where it is another one."""
    subnet = state.holdings.subnets.get(subnet_id_of(seen.pool_id))
    lease = None if subnet is None else subnet.lease_of(seen.address)
    if lease is None or lease.released is not None or lease.pool != seen.pool_id:
        raise NotHeld(
            f"address {seen.address} of pool {seen.pool_id} is no longer held; nothing has been "
            "freed"
        )
    if lease.kind == "gateway":
        raise InUse(
            f"address {seen.address} of pool {seen.pool_id} is a gateway now, which ends with its "
            "pool; nothing has been freed"
        )
    if (lease.epoch, lease.granted) != (seen.epoch, seen.granted):
        raise InUse(
            f"address {seen.address} of pool {seen.pool_id} was given out, or claimed, again since "
            f"it was seen (at {when(lease.granted)}, epoch {lease.epoch}); nothing has been freed"
        )
    decision = release_address(state, lease.driver, lease.pool, seen.address)
    freed = info("leaked address freed", address=lease.address, pool=lease.pool, epoch=lease.epoch)
    return decision._replace(events=[freed])


def free_pool(state: State, seen: SeenPool) -> Decision[None]:
    """End a pool that is still as it was seen, with its leases. Raises NotHeld where it is not held
    any more, and InUse where it has changed or its network is seen on the host."""
    pool = state.holdings.pool(seen.id)
    if pool is None or not pool.claims:
        raise NotHeld(f"pool {seen.id} is no longer held; nothing has been freed")
    if (pool.created, frozenset(pool.claims)) != (seen.created, seen.claims):
        raise InUse(
            f"pool {named(pool)} was claimed again, or by others, since it was seen; nothing has "
            "been freed"
        )
    leases = [lease for lease in state.holdings.leases_of(pool) if lease.released is None]
    present = fingerprint_of((lease.address, lease.epoch, lease.granted) for lease in leases)
    if present != seen.fingerprint:
        raise InUse(
            f"addresses of pool {named(pool)} were given out, claimed or released since it was "
            "seen; nothing has been freed"
        )
    if is_on_host(state, pool):
        raise InUse(
            f"a route of the host leads into pool {named(pool)}, which suggests that its network "
            "still exists; remove the network or the route first. Nothing has been freed"
        )
    decision = end_pool(state, pool._replace(claims=()))
    freed = info("leaked pool freed", pool=pool.id, leases=len(leases))
    announcements = state.announcements.without_creation(pool.id)
    return decision._replace(events=[freed], announcements=announcements)
