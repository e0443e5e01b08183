"""Taking in what Docker uses and the plugin does not hold, as after it was installed again.

The networks and containers are there, so nothing is chosen here and the schema refuses nothing. A
pool comes with all its addresses at once: no container can be given one of them in between. Where
nodes claim blocks, the one around a pool is claimed with it; where it cannot be, the pool is a
stray, unless another node has claimed it. See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from typing import NamedTuple

from pyipam.core.address_calls import check_free_elsewhere, check_usable
from pyipam.core.claimed_subnets import (
    Claimed,
    check_nobody_else_claimed,
    claim_for_subnet,
    follows_swarm,
    own_aggregate_of,
    repeats_swarm,
    resting_elsewhere,
)
from pyipam.core.claims import claim_of, with_claim
from pyipam.core.decision import Decision, info, warning
from pyipam.core.leaks import ended
from pyipam.core.messages import pool_not_held, subnet_in_use, subnet_overlaps
from pyipam.core.requests import ExplicitSubnet, PoolRequest
from pyipam.core.selection import Policy, scope_for_repeated_subnet
from pyipam.core.state import State
from pyipam.errors import InUse, InvalidRequest, NotHeld, NotManaged
from pyipam.log import Line
from pyipam.plan.scope import Scope
from pyipam.space.address import Address
from pyipam.space.block import Network, block_of
from pyipam.store.pool_id import PoolId, is_local, make_subnet_id, subnet_of
from pyipam.store.records import Change, Claim, LeaseKind, LeaseRecord, PoolRecord, Put, Sharer


class UsedAddress(NamedTuple):
    """An address in use: by a container, or by `networks` networks as their gateway. `named` says
    that the container asked for it by name."""

    address: Address
    networks: int = 0
    named: bool = False


class LeftOut(NamedTuple):
    """An address that could not be taken in with its pool, and why."""

    address: Address
    why: str


class UsedPool(NamedTuple):
    """A pool in use: by how many networks of the driver name in `request`, which names its subnet,
    and with which addresses."""

    request: PoolRequest
    subnet: Network
    networks: int
    addresses: tuple[UsedAddress, ...]


def take_in_pool(state: State, policy: Policy, used: UsedPool) -> Decision[tuple[LeftOut, ...]]:
    """Hold a pool that networks have, with its addresses; the answer is what had to be left out:
    what no host can have, or what somebody else has. Raises InUse where the pool is held, in the
    way of something that is, or over an aggregate of another node."""
    request = used.request
    pool_id = str(PoolId(request.space, used.subnet, request.ip_range))
    _check_free(state, pool_id, request, used.subnet)
    scope, objection = scope_for_repeated_subnet(state.placement.tree, policy, request, used.subnet)
    claim = Claim(
        request.driver, state.holdings.epoch(request.driver, request.space), used.networks
    )
    held = state.holdings.pool(pool_id)
    claimed, outside = _claimed_around(state, request, scope, used.subnet)
    if held is not None and held.claims:
        pool = with_claim(held, claim)
    else:
        pool = PoolRecord(
            id=pool_id,
            scope="" if scope is None else str(scope),
            label=request.label,
            tags="" if request.tag_filter is None else request.tag_filter.text,
            claims=(claim,),
            created=state.clock.wall(),
            shared=request.shared,
            aggregate=claimed.aggregate,
            follows_swarm=follows_swarm(state, request, used.subnet),
        )
    changes: list[Change] = []
    left_out: list[LeftOut] = []
    for item in used.addresses:
        try:
            changes.append(Put(_taken_in(state, pool, claim, used, item)))
        except (InUse, InvalidRequest) as error:
            left_out.append(LeftOut(item.address, str(error)))
    events: list[Line] = [*claimed.events]
    events.append(info("pool taken in", pool=pool_id, addresses=len(changes)))
    events += [
        warning("address not taken in", pool=pool_id, address=item.address, reason=item.why)
        for item in left_out
    ]
    if objection:
        events.append(warning("pool taken in against the schema", pool=pool_id, reason=objection))
    if outside:
        reason = warning("pool taken in outside every aggregate", pool=pool_id, reason=outside)
        events.append(reason)
    announcements = state.announcements.without_pool(pool_id)
    moved = resting_elsewhere(state, used.subnet, claimed) if is_local(pool_id) else []
    before = [change for each in moved for change in ended(state, each)]
    changes = [*claimed.changes, *before, Put(pool), *changes]
    return Decision(tuple(left_out), changes, events, announcements)


def _claimed_around(
    state: State, request: PoolRequest, scope: Scope | None, subnet: Network
) -> tuple[Claimed, str]:
    """The aggregate that a pool in a scope is taken in with, and why there can be none: empty if
    there is one, or need not be. Raises InUse where another node has one."""
    if request.space != "local":
        return Claimed(), ""
    own = own_aggregate_of(state, subnet)
    if own is not None or repeats_swarm(state, request, subnet):
        return own or Claimed(), ""
    check_nobody_else_claimed(state, subnet)
    try:
        return claim_for_subnet(state, ExplicitSubnet(subnet, scope)), ""
    except (InUse, NotManaged) as error:
        return Claimed(), str(error)


def take_in_address(state: State, driver: str, pool_id: str, used: UsedAddress) -> Decision[None]:
    """Hold an address of a pool that is held. Raises NotHeld where the pool is not, InUse where the
    address is, and InvalidRequest for one that no host can have."""
    pool = state.holdings.pool(pool_id)
    claim = None if pool is None else claim_of(pool, driver)
    if pool is None or claim is None:
        raise NotHeld(pool_not_held(pool_id))
    subnet = state.holdings.subnet_of(pool)
    known = subnet.lease_of(used.address)
    if known is not None and known.released is None:
        raise InUse(
            f"address {used.address} of pool {pool_id} is already held; nothing has been taken in"
        )
    check_usable(subnet.block, used.address)
    lease = _lease(state, pool, claim, used)
    check_free_elsewhere(state, lease, subnet.space, used.address)
    taken = info("address taken in", address=lease.address, pool=pool_id, kind=lease.kind)
    return Decision(None, [Put(lease)], [taken])


def _check_free(state: State, pool_id: str, request: PoolRequest, subnet: Network) -> None:
    """Raise InUse unless the pool can be held beside all that is. What rests gives way."""
    block = block_of(subnet)
    here = state.holdings.subnets.get(make_subnet_id(request.space, str(subnet)))
    for pool in () if here is None else here.pools.values():
        is_same = pool.id == pool_id and claim_of(pool, request.driver) is not None
        if pool.claims and (is_same or not (pool.shared and request.shared)):
            raise InUse(subnet_in_use(subnet, pool, request))
    if state.placement.is_free(request.space, block):
        return
    for other in state.holdings.subnets.values():
        if other.space == request.space and other.block != block and block.overlaps(other.block):
            for pool in other.pools.values():
                if pool.claims:
                    raise InUse(subnet_overlaps(subnet, pool, request))


def _taken_in(
    state: State, pool: PoolRecord, claim: Claim, used: UsedPool, item: UsedAddress
) -> LeaseRecord:
    """The lease of an address of a pool that is taken in. Raises InUse or InvalidRequest."""
    check_usable(block_of(used.subnet), item.address)
    here = state.holdings.subnets.get(make_subnet_id(used.request.space, str(used.subnet)))
    known = None if here is None else here.lease_of(item.address)
    lease = _lease(state, pool, claim, item)
    if known is None or known.released is not None:
        check_free_elsewhere(state, lease, used.request.space, item.address)
        return lease
    if lease.kind == known.kind == "gateway":
        further = (Sharer(pool.id, claim.driver, claim.epoch),) * item.networks
        return known._replace(sharers=(*known.sharers, *further))
    raise InUse(f"address {item.address} of subnet {used.subnet} is held through pool {known.pool}")


def _lease(state: State, pool: PoolRecord, claim: Claim, used: UsedAddress) -> LeaseRecord:
    """A lease as claimed as its pool. A gateway of several networks is shared by them."""
    kind: LeaseKind = "gateway" if used.networks else "container"
    if kind == "container" and _is_mirrored(state, pool):
        kind = "mirror"
    further = (Sharer(pool.id, claim.driver, claim.epoch),) * (used.networks - 1)
    return LeaseRecord(
        pool.id,
        str(used.address),
        kind,
        claim.driver,
        claim.epoch,
        state.clock.wall(),
        named=used.named,
        sharers=further,
    )


def _is_mirrored(state: State, pool: PoolRecord) -> bool:
    """Whether the pool follows one that a swarm's leader has in a plan that nodes share."""
    followed = make_subnet_id("global", subnet_of(pool.id))
    return state.shared and is_local(pool.id) and followed in state.holdings.subnets
