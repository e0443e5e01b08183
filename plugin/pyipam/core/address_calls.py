"""RequestAddress and ReleaseAddress: which address a network or a container gets.

See "Giving out addresses" in docs/architecture.md. Nothing here changes the state: each function
returns what it decides.
"""

from __future__ import annotations

import random

from pyipam.core.announcements import Announcements
from pyipam.core.claims import references_of
from pyipam.core.creations import is_left_over, is_undone, under_way
from pyipam.core.decision import Decision, info, warning
from pyipam.core.epochs import (
    changes_for_new_leader,
    changes_for_second_network,
    first_epoch_of_boot,
    may_replay,
)
from pyipam.core.gateways import (
    is_second_network,
    repeated_gateway,
    without_holder,
)
from pyipam.core.messages import (
    address_in_use,
    address_in_use_elsewhere,
    address_in_use_for_network,
    address_not_usable,
    address_outside,
    addresses_exhausted,
    pool_not_held,
    subnet_in_use,
)
from pyipam.core.requests import AddressGrant, AddressRequest
from pyipam.core.state import State
from pyipam.core.subnet import Subnet, usable_range
from pyipam.errors import Exhausted, InUse, InvalidRequest, NotHeld
from pyipam.log import Line
from pyipam.space.address import Address, AddressSpace, to_number, to_text
from pyipam.space.block import Block
from pyipam.space.free_addresses import FreeAddresses
from pyipam.store.pool_id import make_subnet_id, parse_pool_id, split_node, subnet_id_of, subnet_of
from pyipam.store.records import Change, Delete, LeaseRecord, PoolRecord, Put

# How many free addresses above the lowest one is taken, at most, when other nodes contend for it.
_MAX_ADDRESSES_SKIPPED = 64


def held_pool(state: State, pool_id: str) -> tuple[PoolRecord, Subnet]:
    """A pool that is held, and its subnet. Raises NotHeld."""
    subnet = state.holdings.subnets.get(subnet_id_of(pool_id))
    pool = None if subnet is None else subnet.pools.get(pool_id)
    if subnet is None or pool is None or not pool.claims:
        raise NotHeld(pool_not_held(pool_id))
    return pool, subnet


def request_any(state: State, request: AddressRequest) -> Decision[AddressGrant]:
    """Give out an address of the plugin's choice. Raises NotHeld or Exhausted."""
    pool, subnet = held_pool(state, request.pool_id)
    _check_may_join(state, pool, subnet, request)
    changes, announcements = changes_for_second_network(state, pool, subnet, request)
    number = _free_number(state, subnet, request)
    if number is None and subnet.elsewhere is not None:
        # Addresses that other nodes have released are found only by looking at all of them again.
        subnet.forget_free_addresses()
        number = _free_number(state, subnet, request)
    if number is not None:
        return _given(state, subnet, request, changes, announcements, number)
    free = _free_addresses(state, subnet, request)
    former = subnet.longest_released(free)
    if former is not None:
        what = "held back address given out" if former.named else "resting address given out again"
    elif changes or (former := _oldest_leaked(state, subnet, request, free)) is None:
        raise Exhausted(addresses_exhausted(pool, free))
    else:
        what = "unclaimed address given out again"
    again = warning(what, pool=pool.id, address=former.address)
    number = to_number(former.address)
    decision = _given(state, subnet, request, changes, announcements, number, former.named)
    return decision._replace(events=[again, *decision.events])


def request_given(
    state: State, request: AddressRequest, address: Address
) -> Decision[AddressGrant]:
    """Give out the address that is asked for. Raises NotHeld, InvalidRequest or InUse."""
    pool, subnet = held_pool(state, request.pool_id)
    check_usable(subnet.block, address)
    lease = subnet.lease_of(address)
    changes, announcements = changes_for_new_leader(state, pool, request)
    # A new leader of a swarm names every address, and swarm returns to one only after all others.
    named = request.kind == "container" and not request.serial
    anew = _new_lease(state, subnet, request, address.number, named)
    if lease is None or lease.released is not None:
        if not changes:
            _check_may_join(state, pool, subnet, request)
            changes, announcements = changes_for_second_network(state, pool, subnet, request)
        check_free_elsewhere(state, anew, subnet.space, address)
    elif _is_replay(subnet, lease, request) or (changes and _is_same_driver(lease, request)):
        anew = anew._replace(granted=lease.granted, named=lease.named, sharers=lease.sharers)
    elif _may_be_repeated(state, pool, subnet, request, lease) or _is_of_earlier_boot(
        state, subnet, request, lease
    ):
        anew = anew._replace(granted=lease.granted, named=lease.named)
    elif is_left_over(state, request, lease):
        announcements = announcements.without_left_over(lease)
    elif (repeated := repeated_gateway(state, pool, subnet, request, lease)) is not None:
        anew = repeated
    else:
        is_second = references_of(pool) > 1
        if is_second or request.kind == "gateway":
            raise InUse(address_in_use_for_network(address, pool, lease, request))
        raise InUse(address_in_use(address, pool, lease))
    grant = AddressGrant(anew.address, subnet.block.length)
    return Decision(grant, [*changes, Put(anew)], [_granted(grant, request)], announcements)


def release_address(state: State, driver: str, pool_id: str, address: Address) -> Decision[None]:
    """Take an address back. Releasing what is not held is logged, and is not an error: Docker
    repeats itself."""
    subnet = state.holdings.subnets.get(subnet_id_of(pool_id))
    lease = None if subnet is None else subnet.lease_of(address)
    is_held = lease is not None and lease.released is None and _is_held_through(lease, pool_id)
    if subnet is None or lease is None or not is_held:
        missing = warning("release of an address that is not held", pool=pool_id, address=address)
        return Decision(None, events=[missing])
    released = info("lease released", address=address, pool=pool_id, driver=driver)
    announcements = state.announcements.without_creation(pool_id)
    left = without_holder(lease, pool_id, driver) if lease.sharers else None
    if left is not None:
        return Decision(None, [Put(left)], [released], announcements)
    rests = state.reuse_delay(subnet.block) and not is_undone(state, pool_id, lease)
    if not lease.named and not rests:
        return Decision(None, [Delete(lease.key)], [released], announcements)
    changes: list[Change] = [Put(lease._replace(released=state.clock.wall()))]
    forgotten = subnet.longest_held_back() if lease.named else None
    if forgotten is not None:
        changes.append(Delete(forgotten.key))
    return Decision(None, changes, [released], announcements)


def _is_held_through(lease: LeaseRecord, pool_id: str) -> bool:
    return lease.pool == pool_id or any(sharer.pool == pool_id for sharer in lease.sharers)


def _check_may_join(
    state: State, pool: PoolRecord, subnet: Subnet, request: AddressRequest
) -> None:
    if is_second_network(state, pool, subnet, request):
        raise InUse(subnet_in_use(parse_pool_id(pool.id).subnet, pool, request))


def _may_be_repeated(
    state: State, pool: PoolRecord, subnet: Subnet, request: AddressRequest, lease: LeaseRecord
) -> bool:
    """Whether an engine that nothing identifies may ask again for the address of a container. Where
    networks share the pool, a new one of them may have asked for it: dockerd repeats a network and
    its addresses one right after the other."""
    return (
        (not pool.shared or under_way(state, pool.id) is not None)
        and not request.is_new_container
        and (request.kind, lease.kind) == ("container", "container")
        and (lease.pool, lease.driver) == (pool.id, request.driver)
        and (request.driver, pool.id) in state.announcements.unsure
        and lease.epoch < state.holdings.epoch(request.driver, subnet.space)
        and may_replay(state, request.driver)
    )


def _oldest_leaked(
    state: State, subnet: Subnet, request: AddressRequest, free: FreeAddresses
) -> LeaseRecord | None:
    """The lease that leaked first: Docker has not claimed it again, or, where Docker claims nothing
    because the plugin was away, the host was started since."""
    leaked = subnet.oldest_unclaimed(free)
    if leaked is None and subnet.space == "local":
        began = first_epoch_of_boot(state, request.driver)
        leaked = subnet.oldest_before(began, request.driver, free)
    return leaked


def _is_of_earlier_boot(
    state: State, subnet: Subnet, request: AddressRequest, lease: LeaseRecord
) -> bool:
    """Whether a container that was started again, and the host before, asks for its address."""
    return (
        subnet.space == "local"
        and (request.kind, lease.kind) == ("container", "container")
        and (lease.pool, lease.driver) == (request.pool_id, request.driver)
        and lease.epoch < first_epoch_of_boot(state, request.driver)
    )


def _free_addresses(state: State, subnet: Subnet, request: AddressRequest) -> FreeAddresses:
    return subnet.free_addresses(request.pool_id, state.reserved)


def _free_number(state: State, subnet: Subnet, request: AddressRequest) -> int | None:
    free = _free_addresses(state, subnet, request)
    previous = subnet.last_given if request.serial else None
    number = free.lowest() if previous is None else free.after(previous)
    if number is None or not state.contested:
        return number
    return _spread(free, number, state.contested[subnet_of(subnet.id)])


def _spread(free: FreeAddresses, number: int, losses: int) -> int:
    """A free address somewhat above `number`, the further the more of its neighbours were lost to
    other nodes: nodes that begin at the same place do not meet again."""
    if not losses:
        return number
    for _ in range(random.randrange(min(1 << losses, _MAX_ADDRESSES_SKIPPED))):
        following = free.after(number)
        if following is None or following < number:
            break
        number = following
    return number


def _is_same_driver(lease: LeaseRecord, request: AddressRequest) -> bool:
    return split_node(lease.driver)[0] == request.driver


def _is_replay(subnet: Subnet, lease: LeaseRecord, request: AddressRequest) -> bool:
    is_first = (lease.pool, lease.kind) == (request.pool_id, request.kind)
    return (
        (is_first or not lease.sharers)
        and _is_same_driver(lease, request)
        and subnet.is_unclaimed_by_first(lease)
    )


def _given(
    state: State,
    subnet: Subnet,
    request: AddressRequest,
    changes: list[Change],
    announcements: Announcements,
    number: int,
    named: bool = False,
) -> Decision[AddressGrant]:
    lease = _new_lease(state, subnet, request, number, named)
    grant = AddressGrant(lease.address, subnet.block.length)
    return Decision(grant, [*changes, Put(lease)], [_granted(grant, request)], announcements)


def _new_lease(
    state: State, subnet: Subnet, request: AddressRequest, number: int, named: bool
) -> LeaseRecord:
    return LeaseRecord(
        request.pool_id,
        to_text(subnet.block.version, number),
        "mirror" if _is_mirror(state, subnet, request) else request.kind,
        request.driver,
        state.holdings.epoch(request.driver, subnet.space),
        state.clock.wall(),
        None,
        named,
    )


def _is_mirror(state: State, subnet: Subnet, request: AddressRequest) -> bool:
    """Whether the address follows one that the swarm's leader was given."""
    return (
        request.kind == "container"
        and subnet.space == "local"
        and subnet.elsewhere is not None
        and make_subnet_id("global", subnet_of(subnet.id)) in state.holdings.subnets
    )


def _granted(grant: AddressGrant, request: AddressRequest) -> Line:
    return info("lease", address=grant, pool=request.pool_id, kind=request.kind)


def check_free_elsewhere(
    state: State, lease: LeaseRecord, space: AddressSpace, address: Address
) -> None:
    """Raise InUse where a container of another node has the address: containers of two nodes cannot
    have one, whatever networks they are on."""
    if space != "local" or lease.kind != "container":
        return
    other = state.elsewhere.leases(address.version).get(address.number)
    if other is not None and other.released is None:
        raise InUse(address_in_use_elsewhere(address, other))


def check_usable(block: Block, address: Address) -> None:
    """Raise InvalidRequest for an address of a subnet that no host can have."""
    usable = usable_range(block)
    if not block.contains(address):
        raise InvalidRequest(address_outside(address, block, usable))
    if not usable.first <= address.number <= usable.last:
        name = "network address" if address.number < usable.first else "broadcast address"
        if block.version == 6:
            name = "subnet-router anycast address"
        raise InvalidRequest(address_not_usable(address, block, name, usable))
