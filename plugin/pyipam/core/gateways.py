"""The gateway that several networks of a subnet share: it ends with the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyipam.core.announcements import Announcements
from pyipam.core.claims import claim_of, with_claim
from pyipam.core.requests import AddressRequest
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import is_global
from pyipam.store.records import Change, Claim, LeaseRecord, PoolRecord, Put, Sharer

# Within which after its announcement, or after the replay before, an engine that nothing identifies
# replays. libnetwork asks for the capabilities of a driver right before it replays.
_REPLAY_SECONDS = 60.0


class Repeated(NamedTuple):
    """A gateway that is asked for although it is leased: what becomes of the lease, and what else
    changes."""

    lease: LeaseRecord
    changes: list[Change]
    announcements: Announcements


def repeated_gateway(
    state: State, pool: PoolRecord, subnet: Subnet, request: AddressRequest, lease: LeaseRecord
) -> Repeated | None:
    """What becomes of a gateway that another network has, or that the engine may have asked for
    before; None if the request cannot be served."""
    if (request.kind, lease.kind) != ("gateway", "gateway"):
        return None
    epoch = state.holdings.epoch(request.driver, subnet.space)
    now = state.announcements
    me = Sharer(pool.id, request.driver, epoch)
    claim = claim_of(pool, request.driver)
    stale = next(
        (
            sharer
            for sharer in lease.sharers
            if sharer[:2] == me[:2] and claim is not None and sharer.epoch < claim.epoch
        ),
        None,
    )
    if stale is not None:
        left = _without(lease.sharers, stale)
        return Repeated(lease._replace(sharers=(*left, me)), [], now)
    before = now.unsure.get((request.driver, pool.id), 0)
    if before and claim is not None:
        if _is_replay_of_unknown_engine(state, pool, request, lease):
            started = Claim(request.driver, epoch, max(claim.references - before, 1))
            now = now.without_unsure((request.driver, pool.id))
            now = now.with_outstanding((request.driver, pool.id), before - 1)
            now = now.with_replay(request.driver, subnet.space)
            now = now.with_back_until(request.driver, "", state.clock.monotonic())
            return Repeated(lease._replace(epoch=epoch), [Put(with_claim(pool, started))], now)
    elif not pool.shared:
        return None
    return Repeated(lease._replace(sharers=(*lease.sharers, me)), [], now)


def is_second_network(
    state: State, pool: PoolRecord, subnet: Subnet, request: AddressRequest
) -> bool:
    """Whether a network that does not let others have its subnet is met by another one. An engine
    that repeats itself names the gateway that it has."""
    if request.kind != "gateway" or pool.shared:
        return False
    return (request.driver, pool.id) in state.announcements.unsure and any(
        lease.kind == "gateway" and lease.released is None and lease.driver == request.driver
        for lease in subnet.leases_of(pool.id)
    )


def without_holder(lease: LeaseRecord, pool_id: str, driver: str) -> LeaseRecord | None:
    """The lease without one of the networks of this pool and driver name that have the address;
    None if no other has it."""
    holders = _holders(lease)
    mine = [item for item in holders if (item.pool, item.driver) == (pool_id, driver)]
    # Whoever releases an address in the pool that it was given in may do so, as ever.
    gone = mine[-1] if mine else holders[0] if lease.pool == pool_id else None
    left = list(holders)
    if gone is not None:
        left.remove(gone)
    return _held_by(lease, left)


def without_pool(lease: LeaseRecord, pool_id: str) -> LeaseRecord | None:
    """The lease without every network of a pool; None if no other has the address."""
    return _held_by(lease, [item for item in _holders(lease) if item.pool != pool_id])


def without_driver(lease: LeaseRecord, pool_id: str, driver: str) -> LeaseRecord | None:
    """The lease without every network of a pool under a driver name; None if no other has the
    address."""
    others = [item for item in _holders(lease) if (item.pool, item.driver) != (pool_id, driver)]
    return _held_by(lease, others)


def _holders(lease: LeaseRecord) -> list[Sharer]:
    """The networks that have the address, the one that was given it first before the others."""
    return [Sharer(lease.pool, lease.driver, lease.epoch), *lease.sharers]


def _held_by(lease: LeaseRecord, holders: Sequence[Sharer]) -> LeaseRecord | None:
    if not holders:
        return None
    first, *rest = holders
    return lease._replace(
        pool=first.pool, driver=first.driver, epoch=first.epoch, sharers=tuple(rest)
    )


def _without(sharers: tuple[Sharer, ...], gone: Sharer) -> tuple[Sharer, ...]:
    position = sharers.index(gone)
    return (*sharers[:position], *sharers[position + 1 :])


def may_replay(state: State, request: AddressRequest) -> bool:
    """Whether an engine that nothing identifies announced itself, or repeated itself, so short ago
    that it may still be repeating itself."""
    announced = state.announcements.back_until.get((request.driver, ""), 0.0)
    return state.clock.monotonic() - announced < _REPLAY_SECONDS


def _is_replay_of_unknown_engine(
    state: State, pool: PoolRecord, request: AddressRequest, lease: LeaseRecord
) -> bool:
    space: AddressSpace = "global" if is_global(pool.id) else "local"
    return (
        not pool.shared
        and (lease.pool, lease.driver) == (pool.id, request.driver)
        and lease.epoch < state.holdings.epoch(request.driver, space)
        and may_replay(state, request)
    )
