"""The gateway that several networks of a subnet share: it ends with the last of them."""

from __future__ import annotations

from collections.abc import Sequence

from pyipam.core.claims import claim_of
from pyipam.core.requests import AddressRequest
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.store.records import LeaseRecord, PoolRecord, Sharer


def repeated_gateway(
    state: State, pool: PoolRecord, subnet: Subnet, request: AddressRequest, lease: LeaseRecord
) -> LeaseRecord | None:
    """What becomes of the lease of a gateway that another network has, or that the engine may have
    asked for before; None if the request cannot be served."""
    if (request.kind, lease.kind) != ("gateway", "gateway"):
        return None
    epoch = state.holdings.epoch(request.driver, subnet.space)
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
        return lease._replace(sharers=(*left, me))
    if claim is None or not (
        pool.shared or (request.driver, pool.id) in state.announcements.unsure
    ):
        return None
    # No more networks have the gateway than have the pool: the call may be a repeated one.
    having = sum(holder[:2] == me[:2] for holder in _holders(lease))
    if having >= claim.references:
        return lease
    return lease._replace(sharers=(*lease.sharers, me))


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


def with_networks(lease: LeaseRecord, network: Sharer, count: int) -> LeaseRecord:
    """The lease as that of `count` networks, or of as many more as it had, of one pool and driver
    name, all claimed in the same epoch; and of the others that have the address."""
    holders = _holders(lease)
    mine = [at for at, item in enumerate(holders) if item[:2] == network[:2]]
    others = [item for item in holders if item[:2] != network[:2]]
    first = mine[0] if mine else 0 if lease.pool == network.pool else len(others)
    claimed = [network] * max(count, len(mine), 1)
    return _held_by(lease, [*others[:first], *claimed, *others[first:]]) or lease


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
