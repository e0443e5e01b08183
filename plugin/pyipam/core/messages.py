"""The sentences with which pools and addresses are refused.

Docker prints them after the name of the call. Each says what was asked, why it cannot be had, and
what would work. Selecting a scope is refused in `selection`, where the reasons are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.errors import listed
from pyipam.host.route import Route
from pyipam.plan.scope import Scope
from pyipam.space.address import Address, to_text
from pyipam.space.block import AddressRange, Block, Network
from pyipam.space.free_addresses import FreeAddresses
from pyipam.store.pool_id import parse_pool_id
from pyipam.store.records import LeaseRecord, PoolRecord

_MAX_ROUTES_SHOWN = 5
# With one task, on one node.
ADDRESSES_OF_SERVICE = 4


def named_routes(routes: Sequence[Route]) -> str:
    """Routes with their interfaces, the first ones by name."""
    return listed(routes, _MAX_ROUTES_SHOWN)


def maybe_turned_down(blocks: Sequence[Block]) -> str:
    """To be added where no block is left and Docker holds these unused, in ascending order."""
    if not blocks:
        return ""
    return (
        f". Docker was given {blocks[0]} to {blocks[-1]} just now and uses none of them: unless "
        "other networks are being created, it turned them down because they overlap a route or a "
        "name server (/etc/resolv.conf) of this host; put that under reserved in the schema"
    )


def no_further_aggregate(blocks: Sequence[Block], around: str) -> str:
    """Docker was given so many blocks, in ascending order, that no further aggregate is claimed;
    the last of them is in the aggregate that is named."""
    return (
        f"Docker was given {len(blocks)} blocks from {blocks[0]} to {blocks[-1]} just now and uses "
        f"none of them: a route of this host over {around} (ip route show scope link), or a name "
        "server in it (/etc/resolv.conf), is in the way. Nothing further is claimed; remove the "
        "route, or put that under reserved in the schema"
    )


def at_most_below_node_prefix(scope: Scope, node_prefix: int) -> str:
    """A network asks for a block that is not smaller than what nodes claim."""
    return (
        f"a network of scope {scope} gets at most a /{node_prefix + 1}: its nodes claim "
        f"/{node_prefix} blocks (node_prefix); ask for --ipam-opt prefix={node_prefix + 1} or "
        "longer"
    )


def too_small_for_service(pool_id: str, usable: int) -> str:
    """A network of a swarm has fewer addresses than a service needs."""
    addresses = "one address" if usable == 1 else f"{usable} addresses"
    return (
        f"pool {pool_id} has {addresses} for a network of a swarm, where a service needs at least "
        f"{ADDRESSES_OF_SERVICE}: gateway, load balancer, virtual address and a task. Its tasks "
        "will stay New: remove the network, and create it with a larger block (--ipam-opt "
        "prefix=24)"
    )


# What helps where Docker released something, and the plugin was away.
_FREE_IT = "has leaked: free it with `pyipam reconcile`, or restart Docker"
_IF_LEAKED = f"If no network has it, it {_FREE_IT}"


def subnet_overlaps(subnet: Network, pool: PoolRecord, request: PoolRequest) -> str:
    """An explicit subnet is in the way of a pool that is held."""
    return (
        f"subnet {subnet} overlaps pool {named(pool)}, which has been held since "
        f"{when(pool.created)}; ask for another subnet, or for none, or remove the network that "
        f"holds the pool. {_IF_LEAKED}{_give_swarm_its_own_scopes(request)}"
    )


def subnet_in_use(subnet: Network, pool: PoolRecord, request: PoolRequest | AddressRequest) -> str:
    """A subnet is asked for that a network has which does not share it, or not with this one."""
    return (
        f"subnet {subnet} is in use: pool {named(pool)} has been held since {when(pool.created)}; "
        "ask for another subnet, or for none, or remove the network that holds the pool. Two "
        "networks have one subnet only where both are created with --ipam-opt shared=true. "
        f"{_IF_LEAKED}{_give_swarm_its_own_scopes(request)}"
    )


def pool_not_held(pool_id: str) -> str:
    """A call names a pool that nobody was given."""
    return (
        f"pool {pool_id!r} is not held by pyipam: its network was made with another state of the "
        "plugin. Let `pyipam reconcile` take it in, or restart dockerd, which then tells the "
        "plugin about its networks; if this message comes again, remove the network and create it "
        "again"
    )


def address_in_use(address: Address, pool: PoolRecord, lease: LeaseRecord) -> str:
    """An address is asked for that is leased."""
    helps = ""
    if lease.kind != "gateway":
        helps = f". If no container has it any more, it {_FREE_IT}"
    if lease.kind == "container":
        helps += (
            ". To keep fixed addresses off other containers, create the network with an --ip-range "
            "that leaves them out, or list them under reserved in the schema"
        )
    return (
        f"address {address} of pool {named(pool)} has been in use since {when(lease.granted)} "
        f"({_user_of(lease)}); ask for another, or for none{helps}"
    )


def address_in_use_for_network(
    address: Address, pool: PoolRecord, lease: LeaseRecord, request: AddressRequest
) -> str:
    """The same, where it may be a network that asks, and not a container."""
    return address_in_use(address, pool, lease) + _give_swarm_its_own_scopes(request)


def address_in_use_elsewhere(address: Address, lease: LeaseRecord) -> str:
    """An address is asked for that a container of another node has."""
    return (
        f"address {address} has been in use since {when(lease.granted)} by a container in pool "
        f"{lease.pool}, on another node; ask for another, or for none. If no container there has "
        "it any more, it has leaked: free it there with `pyipam reconcile`"
    )


def addresses_exhausted(pool: PoolRecord, free: FreeAddresses) -> str:
    """A pool has no address left of those that it gives out to whoever asks for any."""
    capacity = free.capacity()
    if not capacity:
        return (
            f"pool {named(pool)} has no address to give out automatically: every address that it "
            "could give out is reserved in the schema; ask for one by name (--ip, --gateway), or "
            "create the network on another subnet"
        )
    parsed = parse_pool_id(pool.id)
    if parsed.ip_range is not None:
        place, larger = f"ip-range {parsed.ip_range}", "with a larger --ip-range, or without one"
    else:
        place, larger = "subnet", "with a larger block (--ipam-opt prefix=LENGTH or --subnet)"
    reserved = free.last - free.first + 1 - capacity
    beside = f" that {'is' if capacity == 1 else 'are'} not reserved" if reserved else ""
    taken = (
        f"the one address of its {place}{beside} is leased"
        if capacity == 1
        else f"all {capacity} addresses of its {place}{beside} are leased"
    )
    return (
        f"pool {named(pool)} has no free address: {taken}, gateway and auxiliary addresses "
        f"included. Remove containers that nobody needs, or create the network {larger}. What no "
        f"container has any more {_FREE_IT}"
    )


def address_outside(address: Address, block: Block, usable: AddressRange) -> str:
    """An address is asked for that is not in the pool's subnet."""
    return (
        f"address {address} is outside the pool's subnet {block}; {_ask_for_one_in(block, usable)}"
    )


def address_not_usable(address: Address, block: Block, name: str, usable: AddressRange) -> str:
    """An address is asked for that the protocol keeps from hosts; `name` is what it is called."""
    return (
        f"address {address} is the {name} of {block}, which no host may have; "
        f"{_ask_for_one_in(block, usable)}"
    )


def _ask_for_one_in(block: Block, usable: AddressRange) -> str:
    first, last = (to_text(block.version, number) for number in (usable.first, usable.last))
    return f"ask for one from {first} to {last}" if first != last else f"ask for {first}"


def _user_of(lease: LeaseRecord) -> str:
    if lease.kind == "gateway":
        return "a gateway"
    if lease.kind == "mirror":
        return "a container of the swarm"
    return "a container or an auxiliary address"


def named(pool: PoolRecord) -> str:
    """A pool by its id, and by the label that the user gave it."""
    return f"{pool.id} (id {pool.label})" if pool.label else pool.id


def when(seconds: float) -> str:
    """A time of the wall clock, in seconds, for people: UTC (Z), ISO 8601."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def on_day(seconds: float) -> str:
    """The day of a time of the wall clock, in seconds: UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _give_swarm_its_own_scopes(request: PoolRequest | AddressRequest) -> str:
    """What to do when a host cannot have a subnet that swarm gave out for all hosts."""
    if not request.may_be_of_swarm:
        return ""
    return (
        ". If it was swarm that asked, a network of this host is in the way: give swarm and the "
        "hosts scopes of their own (address_space in the schema)"
    )
