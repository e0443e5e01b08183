"""Pools and leases as an operator saw them: whatever has changed since is another one.

A lease that was released and given out again is another one, though it has the same address: it has
another epoch or another time. See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from pyipam.core.messages import named, when
from pyipam.core.state import State
from pyipam.errors import InUse, NotHeld
from pyipam.space.address import Address
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import Claim, LeaseRecord, PoolRecord


class SeenLease(NamedTuple):
    """A lease as it was seen: given out at the time `granted`, and last claimed in `epoch`."""

    pool_id: str
    address: Address
    epoch: int
    granted: float


def lease_as_seen(state: State, seen: SeenLease, undone: str) -> LeaseRecord:
    """The lease in force that was seen. Raises NotHeld where there is none any more, and InUse
    where it is another one; `undone` says what has not been done then."""
    lease = _lease_in_force(state, seen, undone)
    if (lease.epoch, lease.granted) != (seen.epoch, seen.granted):
        raise _changed(seen, lease, undone)
    return lease


def gateway_as_seen(state: State, seen: SeenLease, undone: str) -> LeaseRecord:
    """The same of a gateway: it is still the one that was seen if networks have claimed it since.
    Raises NotHeld or InUse."""
    lease = _lease_in_force(state, seen, undone)
    if lease.kind != "gateway" or lease.granted != seen.granted:
        raise _changed(seen, lease, undone)
    return lease


def _lease_in_force(state: State, seen: SeenLease, undone: str) -> LeaseRecord:
    subnet = state.holdings.subnets.get(subnet_id_of(seen.pool_id))
    lease = None if subnet is None else subnet.lease_of(seen.address)
    if lease is None or lease.released is not None or lease.pool != seen.pool_id:
        raise NotHeld(
            f"address {seen.address} of pool {seen.pool_id} is no longer held; nothing has been "
            f"{undone}"
        )
    return lease


def _changed(seen: SeenLease, lease: LeaseRecord, undone: str) -> InUse:
    return InUse(
        f"address {seen.address} of pool {seen.pool_id} was given out, or claimed, again since it "
        f"was seen (at {when(lease.granted)}, epoch {lease.epoch}); nothing has been {undone}"
    )


def pool_as_seen(
    state: State, pool_id: str, created: float, claims: Collection[Claim], undone: str
) -> PoolRecord:
    """The pool that is held and was seen, made at the time `created`, with these claims. Raises
    NotHeld or InUse, as `lease_as_seen` does."""
    pool = state.holdings.pool(pool_id)
    if pool is None or not pool.claims:
        raise NotHeld(f"pool {pool_id} is no longer held; nothing has been {undone}")
    if (pool.created, frozenset(pool.claims)) != (created, frozenset(claims)):
        raise InUse(
            f"pool {named(pool)} was claimed again, or by others, since it was seen; nothing has "
            f"been {undone}"
        )
    return pool
