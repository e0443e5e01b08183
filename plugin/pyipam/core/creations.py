"""A further network on a subnet that is being created, until it is or Docker gives it up.

Where an address is refused, dockerd gives the network up by ReleasePool alone: the gateway that it
was given before must go with it. See moby's libnetwork/network.go, ipamAllocateVersion.
"""

from __future__ import annotations

from pyipam.core.announcements import Creation
from pyipam.core.decision import Answer, Decision
from pyipam.core.gateways import without_holder
from pyipam.core.requests import AddressRequest
from pyipam.core.state import State
from pyipam.space.address import parse_address
from pyipam.store.records import Change, Delete, PoolRecord, Put


def with_address_noted(
    state: State, request: AddressRequest, decision: Decision[Answer]
) -> Decision[Answer]:
    """The decision on an address, which belongs to the network that is being created, if any is.
    Containers ask for any address, and then the network has been created."""
    now = decision.announcements or state.announcements
    creation = now.creating.get(request.pool_id)
    if creation is None:
        return decision
    if request.kind != "gateway" and request.address is None:
        return decision._replace(announcements=now.without_creation(request.pool_id))
    address = str(decision.answer).partition("/")[0]
    noted = Creation((*creation.given, address))
    return decision._replace(announcements=now.with_creation(request.pool_id, noted))


def refusal_noted(state: State, request: AddressRequest) -> Decision[None]:
    """What is known once an address is refused that the network may have asked for."""
    creation = state.announcements.creating[request.pool_id]
    noted = creation._replace(refused=True)
    return Decision(None, [], [], state.announcements.with_creation(request.pool_id, noted))


def given_to_failed_creation(state: State, pool: PoolRecord, driver: str) -> list[Change]:
    """The changes that take back what a network was given whose creation has failed."""
    creation = state.announcements.creating.get(pool.id)
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
