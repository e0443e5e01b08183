"""The gateway that several networks of a subnet share: it ends with the last of them."""

from __future__ import annotations

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
    """The lease without one of the networks that have the address, of this pool and driver name;
    None if no other has it."""
    mine = [item for item in lease.sharers if (item.pool, item.driver) == (pool_id, driver)]
    if mine:
        return lease._replace(sharers=_without(lease.sharers, mine[0]))
    if lease.pool != pool_id or not lease.sharers:
        return None if lease.pool == pool_id else lease
    first, *rest = lease.sharers
    return lease._replace(
        pool=first.pool, driver=first.driver, epoch=first.epoch, sharers=tuple(rest)
    )


def without_pool(lease: LeaseRecord, pool_id: str) -> LeaseRecord | None:
    """The lease without every network of a pool; None if no other has the address."""
    left: LeaseRecord | None = lease
    while left is not None and pool_id in (left.pool, *(item.pool for item in left.sharers)):
        gone = next((item.driver for item in left.sharers if item.pool == pool_id), left.driver)
        left = without_holder(left, pool_id, gone)
    return left


def _without(sharers: tuple[Sharer, ...], gone: Sharer) -> tuple[Sharer, ...]:
    position = sharers.index(gone)
    return (*sharers[:position], *sharers[position + 1 :])


def _space(pool: PoolRecord) -> AddressSpace:
    return "global" if is_global(pool.id) else "local"


def _is_replay_of_unknown_engine(
    state: State, pool: PoolRecord, request: AddressRequest, lease: LeaseRecord
) -> bool:
    announced = state.announcements.back_until.get((request.driver, ""), 0.0)
    return (
        not pool.shared
        and (lease.pool, lease.driver) == (pool.id, request.driver)
        and lease.epoch < state.holdings.epoch(request.driver, _space(pool))
        and state.clock.monotonic() - announced < _REPLAY_SECONDS
    )
