"""The sentences with which pools and addresses are refused.

Docker prints them after the name of the call. Each says what was asked, why it cannot be had, and
what would work. Selecting a scope is refused in `selection`, where the reasons are found.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pyipam.space.address import Address, AddressSpace
from pyipam.space.block import Block, Network
from pyipam.store.records import LeaseRecord, PoolRecord


def blocks_exhausted(wanted: str, tried: str) -> str:
    """No scope has a block left. `wanted` names the network that is asked for, `tried` says of
    each scope why it has none."""
    return (
        f"no block is free for {wanted}: {tried}. Remove networks that nobody needs, ask for a "
        "smaller block with --ipam-opt prefix=LENGTH, or widen the schema"
    )


def blocks_taken(length: int, total: int, free: int) -> str:
    """How full a scope is that has no block of this length to offer."""
    reserved = f", {free} are reserved" if free else ""
    return f"is full ({total - free} of its {total} /{length} blocks are taken{reserved})"


def subnet_overlaps(subnet: Network, pool: PoolRecord, space: AddressSpace) -> str:
    """An explicit subnet is in the way of a pool that is held."""
    return (
        f"subnet {subnet} overlaps pool {named(pool)}, which has been held since "
        f"{when(pool.created)}; ask for another subnet, or for none, or remove the network that "
        f"holds the pool{_give_swarm_its_own_scopes(space)}"
    )


def pool_not_held(pool_id: str) -> str:
    """A call names a pool that nobody was given."""
    return (
        f"pool {pool_id!r} is not held by pyipam: its network was made with another state of the "
        "plugin; remove the network and create it again"
    )


def address_in_use(
    address: Address, pool: PoolRecord, lease: LeaseRecord, space: AddressSpace, *, by_network: bool
) -> str:
    """An address is asked for that is leased. `by_network` says that a network may stand behind
    the request, not only a container."""
    cure = _give_swarm_its_own_scopes(space) if by_network else ""
    return (
        f"address {address} of pool {named(pool)} has been in use since {when(lease.granted)} "
        f"({lease.kind}); ask for another, or for none{cure}"
    )


def address_in_use_elsewhere(address: Address, lease: LeaseRecord) -> str:
    """An address is asked for that a container of another node has."""
    return (
        f"address {address} has been in use since {when(lease.granted)} by a container in pool "
        f"{lease.pool}, on another node; ask for another, or for none"
    )


def addresses_exhausted(pool_id: str, capacity: int) -> str:
    """A pool has no address left; `capacity` is how many it can give out."""
    return (
        f"pool {pool_id} has no free address: all {capacity} that can be given out are leased or "
        "resting. Remove containers that nobody needs, or create the network with a larger block "
        "(--ipam-opt prefix=LENGTH or --subnet)"
    )


def address_outside(address: Address, block: Block) -> str:
    """An address is asked for that is not in the pool's subnet."""
    return f"address {address} is outside the pool's subnet {block}"


def address_not_usable(address: Address, block: Block, name: str) -> str:
    """An address is asked for that the protocol keeps from hosts; `name` is what it is called."""
    return f"address {address} is the {name} of {block}, which no host may have"


def named(pool: PoolRecord) -> str:
    """A pool by its id, and by the label that the user gave it."""
    return f"{pool.id} (id {pool.label})" if pool.label else pool.id


def when(seconds: float) -> str:
    """A time of the wall clock, in seconds, for people: UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _give_swarm_its_own_scopes(space: AddressSpace) -> str:
    """What to do when a host cannot have a subnet that swarm gave out for all hosts."""
    if space == "global":
        return ""
    return (
        ". If it was swarm that asked, a network of this host is in the way: give swarm and the "
        "hosts scopes of their own (address_space in the schema)"
    )
