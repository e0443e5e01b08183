"""A further network on a subnet that is being created, until it is or Docker gives it up.

Where an address is refused, dockerd gives the network up by ReleasePool alone: what the network was
given before must not be lost. See moby's libnetwork/network.go, ipamAllocateVersion. The calls of a
creation are told from others by time: dockerd makes them one right after the other.

A container that asks for an address by name meanwhile makes the same call as a network does for an
auxiliary address. So only gateways go with a creation that failed. Its other addresses stay in use,
and are given again to the next network that is created on the pool and names them: to no container.
"""

from __future__ import annotations

from pyipam.core.announcements import Announcements, Creation
from pyipam.core.decision import Decision
from pyipam.core.gateways import without_holder
from pyipam.core.requests import AddressGrant, AddressRequest
from pyipam.core.state import State
from pyipam.space.address import parse_address
from pyipam.store.records import Change, Delete, LeaseRecord, PoolRecord, Put

# The longest pause between two calls of a creation. If dockerd takes longer, what the network was
# given leaks, and nobody loses an address.
_PAUSE_SECONDS = 0.2


def begun(state: State, pool_id: str) -> Creation:
    """The creation of a further network on a pool, which asks for the pool now."""
    is_alone = under_way(state, pool_id) is None
    return Creation(state.clock.monotonic(), is_alone=is_alone)


def under_way(state: State, pool_id: str) -> Creation | None:
    """The creation of a network on the subnet, if it can still be going on."""
    creation = state.announcements.creating.get(pool_id)
    if creation is None or state.clock.monotonic() - creation.last_call > _PAUSE_SECONDS:
        return None
    return creation


def with_address_noted(
    state: State, request: AddressRequest, decision: Decision[AddressGrant]
) -> Decision[AddressGrant]:
    """The decision on an address, which belongs to the network that is being created, if any is.
    Containers ask for any address, and then the network has been created."""
    now = decision.announcements or state.announcements
    if request.pool_id not in now.creating or request.is_new_container:
        return decision
    creation = under_way(state, request.pool_id)
    if creation is None or (request.kind != "gateway" and request.address is None):
        return decision._replace(announcements=now.without_creation(request.pool_id))
    address = decision.answer.address
    noted = creation._replace(
        last_call=state.clock.monotonic(), given=(*creation.given, address), refused=False
    )
    return decision._replace(announcements=now.with_creation(request.pool_id, noted))


def refusal_noted(state: State, request: AddressRequest) -> Decision[None]:
    """What is known once an address is refused that the network may have asked for."""
    creation = under_way(state, request.pool_id)
    now = state.announcements
    if request.is_new_container:
        return Decision(None)
    if creation is None:
        return Decision(None, announcements=now.without_creation(request.pool_id))
    noted = creation._replace(last_call=state.clock.monotonic(), refused=True)
    return Decision(None, announcements=now.with_creation(request.pool_id, noted))


def is_left_over(state: State, request: AddressRequest, lease: LeaseRecord) -> bool:
    """Whether a network that is being created asks for what one that failed was given."""
    return (
        lease in state.announcements.left_over
        and (lease.pool, lease.driver) == (request.pool_id, request.driver)
        and request.kind == "container"
        and not request.is_new_container
        and under_way(state, request.pool_id) is not None
    )


def after_failed_creation(
    state: State, pool: PoolRecord, driver: str
) -> tuple[list[Change], Announcements]:
    """What changes when Docker gives up a network whose creation has failed: its gateway goes, and
    what else it was given, or a container meanwhile, is left over. Nothing changes where another
    network is being created: nobody can tell whose gateway it is."""
    now = state.announcements.without_creation(pool.id)
    creation = under_way(state, pool.id)
    if creation is None or not creation.refused or not creation.is_alone:
        return [], now
    subnet = state.holdings.subnet_of(pool)
    given = [subnet.lease_of(parse_address(text)) for text in creation.given]
    changes: list[Change] = []
    for lease in given:
        if lease is not None and lease.kind == "gateway":
            left = without_holder(lease, pool.id, driver)
            changes.append(Delete(lease.key) if left is None else Put(left))
    others = (lease for lease in given if lease is not None and lease.kind != "gateway")
    return changes, now.with_left_over(others)


def is_undone(state: State, pool_id: str, lease: LeaseRecord) -> bool:
    """Whether a gateway that is released was given to a network whose creation is being undone:
    Docker refuses it for another reason than an address. Nobody has used it."""
    creation = under_way(state, pool_id)
    return lease.kind == "gateway" and creation is not None and lease.address in creation.given
