"""Claiming what Docker uses and has not claimed again itself, at an operator's request.

It is held, but counts as leaked: after an import or a restore, or where the engine started while
the plugin was away. Only what is still as it was seen is claimed (seen.py), and then for the driver
name that Docker's networks have. See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from typing import NamedTuple

from pyipam.core.claims import claim_of, with_claim
from pyipam.core.decision import Decision, info
from pyipam.core.gateways import with_networks
from pyipam.core.messages import pool_not_held
from pyipam.core.seen import SeenLease, gateway_as_seen, lease_as_seen, pool_as_seen
from pyipam.core.state import State
from pyipam.errors import NotHeld
from pyipam.store.records import Change, Claim, LeaseRecord, PoolRecord, Put, Sharer

_UNDONE = "claimed"


class UsedLease(NamedTuple):
    """A lease that Docker uses: as the gateway of that many networks, or for a container, where
    that is None."""

    seen: SeenLease
    gateway_of: int | None = None


class UnclaimedPool(NamedTuple):
    """A pool as it was seen, made at the time `created`, with these claims. That many networks of
    the driver name use it, with these leases."""

    id: str
    created: float
    claims: frozenset[Claim]
    driver: str
    networks: int
    leases: tuple[UsedLease, ...]


def claim_pool(state: State, used: UnclaimedPool) -> Decision[None]:
    """Claim a pool with the leases that are used, in the present epoch of the driver name. Other
    leases of it stay as old as they are. Raises NotHeld or InUse where any of it has changed."""
    pool = pool_as_seen(state, used.id, used.created, used.claims, _UNDONE)
    known = claim_of(pool, used.driver)
    # A network that is being created is counted, and not yet seen. One too many does no harm.
    references = max(used.networks, 0 if known is None else known.references)
    claim = Claim(used.driver, _present_epoch(state, pool, used.driver), references)
    changes: list[Change] = [Put(with_claim(pool, claim))]
    changes += [Put(_claimed(state, each, pool, used.driver)) for each in used.leases]
    claimed = info("pool claimed", pool=pool.id, references=references, addresses=len(used.leases))
    return Decision(None, changes, [claimed])


def claim_address(state: State, driver: str, pool_id: str, used: UsedLease) -> Decision[None]:
    """Claim a lease for networks of the driver name on a pool. Raises NotHeld where they do not
    hold the pool, and NotHeld or InUse where the lease has changed."""
    pool = state.holdings.pool(pool_id)
    if pool is None or claim_of(pool, driver) is None:
        raise NotHeld(pool_not_held(pool_id))
    lease = _claimed(state, used, pool, driver)
    claimed = info("address claimed", address=lease.address, pool=pool.id, kind=lease.kind)
    return Decision(None, [Put(lease)], [claimed])


def _claimed(state: State, used: UsedLease, pool: PoolRecord, driver: str) -> LeaseRecord:
    epoch = _present_epoch(state, pool, driver)
    if used.gateway_of is None:
        return lease_as_seen(state, used.seen, _UNDONE)._replace(driver=driver, epoch=epoch)
    gateway = gateway_as_seen(state, used.seen, _UNDONE)
    return with_networks(gateway, Sharer(pool.id, driver, epoch), used.gateway_of)


def _present_epoch(state: State, pool: PoolRecord, driver: str) -> int:
    return state.holdings.epoch(driver, state.holdings.subnet_of(pool).space)
