"""A further network on a subnet that is being created, until it is or Docker gives it up.

Where an address is refused, dockerd gives the network up by ReleasePool alone: what the network was
given before must go with it. See moby's libnetwork/network.go, ipamAllocateVersion. Containers may
ask for addresses of the same pool, and must keep them. They are told from the network by time:
dockerd makes the calls of a creation one right after the other.
"""

from __future__ import annotations

from pyipam.core.announcements import Creation
from pyipam.core.decision import Decision
from pyipam.core.gateways import without_holder
from pyipam.core.requests import AddressGrant, AddressRequest
from pyipam.core.state import State
from pyipam.space.address import parse_address
from pyipam.store.records import Change, Delete, LeaseRecord, PoolRecord, Put

# The longest pause between two calls of a creation. If dockerd takes longer, what the network was
# given leaks, and nobody loses an address.
_PAUSE_SECONDS = 0.2


def with_address_noted(
    state: State, request: AddressRequest, decision: Decision[AddressGrant]
) -> Decision[AddressGrant]:
    """The decision on an address, which belongs to the network that is being created, if any is.
    Containers ask for any address, and then the network has been created."""
    now = decision.announcements or state.announcements
    if request.pool_id not in now.creating:
        return decision
    creation = _under_way(state, request.pool_id)
    if creation is None or (request.kind != "gateway" and request.address is None):
        return decision._replace(announcements=now.without_creation(request.pool_id))
    address = decision.answer.address
    noted = Creation(state.clock.monotonic(), (*creation.given, address))
    return decision._replace(announcements=now.with_creation(request.pool_id, noted))


def refusal_noted(state: State, request: AddressRequest) -> Decision[None]:
    """What is known once an address is refused that the network may have asked for."""
    creation = _under_way(state, request.pool_id)
    now = state.announcements
    if creation is None:
        return Decision(None, announcements=now.without_creation(request.pool_id))
    noted = Creation(state.clock.monotonic(), creation.given, refused=True)
    return Decision(None, announcements=now.with_creation(request.pool_id, noted))


def given_to_failed_creation(state: State, pool: PoolRecord, driver: str) -> list[Change]:
    """The changes that take back what a network was given whose creation has failed."""
    creation = _under_way(state, pool.id)
    if creation is None or not creation.refused:
        return []
    subnet = state.holdings.subnet_of(pool)
    changes: list[Change] = []
    for text in creation.given:
        lease = subnet.lease_of(parse_address(text))
        if lease is not None:
            left = without_holder(lease, pool.id, driver)
            changes.append(Delete(lease.key) if left is None else Put(left))
    return changes


def is_undone(state: State, pool_id: str, lease: LeaseRecord) -> bool:
    """Whether a gateway that is released was given to a network whose creation is being undone:
    Docker refuses it for another reason than an address. Nobody has used it."""
    creation = _under_way(state, pool_id)
    return lease.kind == "gateway" and creation is not None and lease.address in creation.given


def _under_way(state: State, pool_id: str) -> Creation | None:
    """The creation of a network on the subnet, if it can still be going on."""
    creation = state.announcements.creating.get(pool_id)
    if creation is None or state.clock.monotonic() - creation.last_call > _PAUSE_SECONDS:
        return None
    return creation
