"""One address: who has it, since when, and if nobody has it, whether somebody could."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import NamedTuple

from pyipam.core.ipam import Ipam
from pyipam.core.messages import when
from pyipam.core.reserved import named_entries
from pyipam.core.state import State
from pyipam.core.subnet import usable_range
from pyipam.host.route import Route
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import Address, to_text
from pyipam.space.block import AddressRange, Block
from pyipam.store.pool_id import is_local, make_subnet_id
from pyipam.views.aggregates import AggregateView, view_of_aggregate, with_pools
from pyipam.views.census import Censuses
from pyipam.views.leases import LeaseFilter, LeaseView, list_leases
from pyipam.views.order import (
    Part,
    Pause,
    Subnets,
    in_parts,
    of_one_schema,
    reading_scopes_of,
)
from pyipam.views.pools import PoolFilter, PoolView, list_pools
from pyipam.views.scopes import ScopeView, view_of_scope
from pyipam.views.whose import (
    fate_of_aggregate,
    whether_claimable,
    who_knows,
    whose_aggregate,
)

# A block is held once in each space of each node, at most.
_MOST_POOLS = Part(limit=200)


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route of the host, and its interface."""

    route: str
    interface: str


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """What is known of an address.

    `state` is one of: in use, unclaimed, resting, held back, free, reserved, not usable (a network
    or broadcast address of its pool), outside (of every scope and pool), claimed (in an aggregate
    of another node, of which nothing else is known). `scopes` are the networks of the scopes around
    it, the largest first; `scope` is the last of them. `pools` are those that it lies in, `leases`
    its leases, and `aggregate` the one around it, if there is one. `rests_until` is a UNIX time, as
    far as the clock of now on can say.
    """

    address: str
    state: str
    sentences: tuple[str, ...]
    scopes: tuple[str, ...]
    scope: ScopeView | None
    pools: tuple[PoolView, ...]
    leases: tuple[LeaseView, ...]
    rests_until: float | None
    route: RouteView | None
    aggregate: AggregateView | None = None


class _AroundAddress(NamedTuple):
    """The aggregate around an address, a sentence about it, and, where it is of another node, one
    about the address."""

    view: AggregateView | None = None
    of_block: str = ""
    of_address: str = ""


@of_one_schema
def explain(
    ipam: Ipam, subnets: Subnets, censuses: Censuses, address: Address, node: str, pause: Pause
) -> ExplanationView:
    """What is known of an address. `node` is the name of this node where a plan is shared."""
    block = Block(address.version, address.number, 32 if address.version == 4 else 128)
    around = PoolFilter(overlapping=block, everywhere=True)
    pools = list_pools(ipam, subnets, around, _MOST_POOLS, node, pause).items
    wanted = LeaseFilter(around, address=str(address))
    leases = list_leases(ipam, subnets, wanted, _MOST_POOLS, node, pause).items
    tree = ipam.tree
    chain = _chain(tree, block)
    scope = chain[-1] if chain else None
    route = _route_over(ipam, block, pause)
    with reading_scopes_of(ipam, tree) as state:
        delay = state.reuse_delay(block)
        usable = all(_is_usable(state, pool, address) for pool in pools)
        claimed = _claimed_around(state, block)
        free = "" if pools or claimed.view or scope is None else _claimable(state, scope, block)
        strays = {pool.id for pool in pools if pool.stray}
    reserved = _reserved_range(scope, address)
    if claimed.of_address and not pools:
        found = "claimed"
    else:
        found = _state_of(leases, usable, reserved) if pools or chain else "outside"
    until = _rests_until(leases, delay) if found == "resting" else None
    sentences = (
        claimed.of_address if found == "claimed" else _about_leases(address, found, leases, until),
        *_about_pools(pools, strays),
        *filter(None, (claimed.of_block, free)),
        *_about_plan(tree, scope, block if reserved else None),
        *_about_route(route),
    )
    return ExplanationView(
        address=str(address),
        state=found,
        sentences=sentences,
        scopes=tuple(map(str, chain)),
        scope=None if scope is None else _view_of(ipam, censuses, tree, scope, pause),
        pools=pools,
        leases=leases,
        rests_until=until,
        route=None if route is None else RouteView(str(route.block), route.interface),
        aggregate=claimed.view and with_pools(ipam, subnets, claimed.view, pause),
    )


def _claimed_around(state: State, address: Block) -> _AroundAddress:
    aggregate = state.aggregates.around(address)
    if aggregate is None:
        return _AroundAddress()
    of_block = f"it lies in {whose_aggregate(aggregate)}{fate_of_aggregate(state, aggregate)}"
    name = to_text(address.version, address.start)
    of_address = "" if is_local(aggregate.id) else who_knows(state, name, aggregate)
    return _AroundAddress(view_of_aggregate(state, aggregate), of_block, of_address)


def _claimable(state: State, scope: Scope, address: Block) -> str:
    """Whether this node could claim a block around an address, in words, where nodes do that."""
    if scope.node_prefix is None or scope.child_prefix is None or not scope.can_be_drawn_from:
        return ""
    return whether_claimable(state, scope, scope.child_prefix, address)


def _view_of(
    ipam: Ipam, censuses: Censuses, tree: ScopeTree, scope: Scope, pause: Pause
) -> ScopeView:
    parent = tree.parents().get(scope)
    return view_of_scope(ipam, tree, scope, parent, censuses.latest(pause), pause)


def _chain(tree: ScopeTree, block: Block) -> list[Scope]:
    """The scopes around a block, the largest first."""
    chain: list[Scope] = []
    scopes = tree.roots
    while inside := [scope for scope in scopes if block.is_inside(scope.block)]:
        chain.append(inside[0])
        scopes = inside[0].children
    return chain


def _route_over(ipam: Ipam, block: Block, pause: Pause) -> Route | None:
    """The narrowest route of the host that the address lies on and that no pool's bridge has."""
    with ipam.reading() as state:
        routes = list(state.placement.routes)
    found: list[Route] = []
    for some in in_parts(routes, 1000):
        found += [route for route in some if block.is_inside(route.block)]
        pause()
    with ipam.reading() as state:
        found = [route for route in found if state.placement.scopes_under(route)]
    return max(found, key=lambda route: route.block.length, default=None)


def _is_usable(state: State, pool: PoolView, address: Address) -> bool:
    subnet = state.holdings.subnets.get(make_subnet_id(pool.space, pool.subnet))
    if subnet is None:
        return True
    usable = usable_range(subnet.block)
    return usable.first <= address.number <= usable.last


def _reserved_range(scope: Scope | None, address: Address) -> AddressRange | None:
    ranges = () if scope is None else scope.reserved
    return next((item for item in ranges if item.first <= address.number <= item.last), None)


def _state_of(leases: tuple[LeaseView, ...], usable: bool, reserved: AddressRange | None) -> str:
    if any(not lease.resting and lease.claimed for lease in leases):
        return "in use"
    if any(not lease.resting for lease in leases):
        return "unclaimed"
    if any(lease.held_back for lease in leases):
        return "held back"
    if leases:
        return "resting"
    if not usable:
        return "not usable"
    if reserved is not None:
        return "reserved"
    return "free"


def _rests_until(leases: tuple[LeaseView, ...], delay: float) -> float:
    return max(lease.released + delay for lease in leases if lease.released is not None)


def _about_leases(
    address: Address, state: str, leases: tuple[LeaseView, ...], until: float | None
) -> str:
    lease = next((each for each in leases if not each.resting), leases[0] if leases else None)
    since = "" if lease is None else f"since {when(lease.granted)}"
    where = "" if lease is None or not lease.node else f" on node {lease.node}"
    match state:
        case "in use":
            assert lease is not None
            kind = {"gateway": "as a gateway", "mirror": "by a container of a swarm"}
            return (
                f"{address} has been in use {since} {kind.get(lease.kind, 'by a container')}{where}"
            )
        case "unclaimed":
            return (
                f"{address} was given out {since}{where}, and Docker has not named it since it "
                "last started: it is given out again when nothing else is free"
            )
        case "held back":
            return (
                f"{address} is free, and kept for whoever asks for it by name, as somebody did "
                "before; it is given to others last"
            )
        case "resting":
            assert until is not None
            return f"{address} was released, and rests until {when(until)} (reuse_delay)"
        case "not usable":
            return (
                f"{address} is the network or broadcast address of its subnet: no host can have it"
            )
        case "reserved":
            return f"{address} is free, and given out only to whoever asks for it by name"
        case "free":
            return f"{address} is free"
        case _:
            return f"{address} is outside every scope of the schema and every pool"


def _about_pools(pools: tuple[PoolView, ...], strays: Container[str]) -> list[str]:
    found = []
    for pool in pools:
        label = f" ({pool.label})" if pool.label else ""
        if pool.resting:
            state = "rests since its network was removed"
        elif pool.claimed:
            state = f"has been held since {when(pool.created)}"
        else:
            state = f"has been held since {when(pool.created)} and is unclaimed"
        where = f", on node {pool.node}" if pool.node else ""
        outside = ", outside every aggregate of its node" if pool.id in strays else ""
        found.append(f"it lies in pool {pool.id}{label}, which {state}{where}{outside}")
    return found


def _about_plan(tree: ScopeTree, scope: Scope | None, reserved: Block | None) -> list[str]:
    """What the schema says of an address; `reserved` is the address where that is."""
    if scope is None:
        return []
    tags = ", ".join(sorted(scope.tags)) or "none"
    found = [f"its scope is {scope} (tags: {tags})"]
    if reserved is not None:
        found.append(f"the schema reserves {named_entries(tree, scope, [reserved])}")
    return found


def _about_route(route: Route | None) -> list[str]:
    if route is None:
        return []
    return [
        f"the host reaches it by its route {route}: no network gets a block there automatically"
    ]
