"""Freeing what an operator has found to be leaked: only what is still as it was seen (seen.py)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from pyipam.core.address_calls import release_address
from pyipam.core.decision import Decision, info
from pyipam.core.leaks import is_on_host
from pyipam.core.messages import named
from pyipam.core.pool_calls import end_pool
from pyipam.core.seen import SeenLease, lease_as_seen, pool_as_seen
from pyipam.core.state import State
from pyipam.errors import InUse
from pyipam.store.records import Claim, PoolRecord

_UNDONE = "freed"


class SeenPool(NamedTuple):
    """A pool as it was seen: made at the time `created`, with these claims and the leases that
    `fingerprint` stands for (see `fingerprint_of`)."""

    id: str
    created: float
    claims: frozenset[Claim]
    fingerprint: str


def fingerprint_of(leases: Iterable[tuple[str, int, float]]) -> str:
    """What tells the leases of a pool from those that it may have later, in any order. Each is an
    address, the epoch in which it was last claimed, and the time at which it was given out."""
    lines = sorted(f"{address} {epoch} {granted!r}" for address, epoch, granted in leases)
    return sha256("\n".join(lines).encode()).hexdigest()[:32]


def free_address(state: State, seen: SeenLease) -> Decision[None]:
    """End a lease of a container that is still the one that was seen, as its release would have.
    Raises NotHeld where there is none, and InUse where it is another one."""
    lease = lease_as_seen(state, seen, _UNDONE)
    if lease.kind == "gateway":
        raise InUse(
            f"address {seen.address} of pool {seen.pool_id} is a gateway now, which ends with its "
            "pool; nothing has been freed"
        )
    decision = release_address(state, lease.driver, lease.pool, seen.address)
    freed = info("leaked address freed", address=lease.address, pool=lease.pool, epoch=lease.epoch)
    return decision._replace(events=[freed])


def free_pool(state: State, seen: SeenPool) -> Decision[None]:
    """End a pool that is still as it was seen, with its leases. Raises NotHeld where it is not held
    any more, and InUse where it has changed or its network is seen on the host."""
    pool = pool_as_seen(state, seen.id, seen.created, seen.claims, _UNDONE)
    leases = [lease for lease in state.holdings.leases_of(pool) if lease.released is None]
    present = fingerprint_of((lease.address, lease.epoch, lease.granted) for lease in leases)
    if present != seen.fingerprint:
        raise InUse(
            f"addresses of pool {named(pool)} were given out, claimed or released since it was "
            "seen; nothing has been freed"
        )
    if is_on_host(state, pool) and not _is_shared(state, pool):
        raise InUse(
            f"a route of the host leads into pool {named(pool)}, which suggests that its network "
            "still exists; remove the network or the route first. Nothing has been freed"
        )
    decision = end_pool(state, pool._replace(claims=()))
    freed = info("leaked pool freed", pool=pool.id, leases=len(leases))
    announcements = state.announcements.without_creation(pool.id)
    return decision._replace(events=[freed], announcements=announcements)


def _is_shared(state: State, pool: PoolRecord) -> bool:
    """Whether another pool of the same subnet is held, whose network has the routes, too."""
    pools = state.holdings.subnet_of(pool).pools.values()
    return any(other.claims and other.id != pool.id for other in pools)
