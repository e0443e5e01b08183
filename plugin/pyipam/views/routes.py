"""What a node has to announce to the routers around it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pyipam.core.aggregates import block_of_aggregate, node_of
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.plan.scope import Scope
from pyipam.plan.tag_filter import TagFilter
from pyipam.space.block import Block
from pyipam.space.merging import merge_blocks
from pyipam.store.pool_id import (
    is_global,
    is_local,
    is_on_other_node,
    make_subnet_id,
    space_of,
    split_node,
    subnet_of,
)
from pyipam.views.order import Key, Pause, Subnets, in_parts
from pyipam.views.pools import pools_of
from pyipam.views.strays import is_known_stray

# An aggregate is announced merged with its neighbours; a stray, and with `exact` every pool, as
# exactly the subnet that its networks have.
RouteKind = Literal["aggregate", "stray", "exact"]
RouteState = Literal["active", "draining"]
_VERSION_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class RouteView:
    """A prefix to be announced by `node`. `scope` is the network of the scope that it lies in, with
    its `tags`; where there is none, the scope that an aggregate was claimed from, or empty. `pools`
    counts the pools that are in use in it. While the node is drained, the state is draining; an
    aggregate of this node is then a route while it has pools."""

    prefix: str
    kind: RouteKind
    scope: str
    tags: tuple[str, ...]
    state: RouteState
    pools: int
    node: str


@dataclass(frozen=True, slots=True)
class RoutesView:
    """What `node` has to announce. `version` is the same as long as the routes are, apart from how
    many pools they have. `plan` are the outermost scopes: what lies in none of them is no business
    of this plan."""

    version: str
    node: str
    plan: tuple[str, ...]
    routes: tuple[RouteView, ...]


class RouteFilter(NamedTuple):
    """Which routes are wanted: those of a node, by default this one, or of all nodes `everywhere`;
    those in scopes with certain tags; with `exact`, every pool by itself as well."""

    exact: bool = False
    tags: TagFilter | None = None
    node: str | None = None
    everywhere: bool = False


class Held(NamedTuple):
    """A block that a node holds and that is to be announced as a kind of route."""

    block: Block
    kind: RouteKind
    scope: str
    tags: tuple[str, ...]
    state: RouteState
    pools: int
    node: str


def list_routes(
    ipam: Ipam, subnets: Subnets, wanted: RouteFilter, this_node: str, pause: Pause
) -> RoutesView:
    """What is to be announced now. `this_node` is the name of the node that answers."""
    node = wanted.node or this_node
    with ipam.reading() as state:
        held = list(_aggregates_in(state, wanted, this_node))
    if wanted.exact or any(scope.node_prefix is not None for scope in ipam.tree):
        for keys in in_parts(subnets.keys(pause)):
            with ipam.reading() as state:
                held += _pools_in(state, keys, wanted, this_node)
            pause()
    routes = merge_routes(held)
    plan = tuple(str(scope) for scope in ipam.tree.roots_drawn_from())
    return RoutesView(_version_of(node, plan, routes), node, plan, routes)


def merge_routes(held: Iterable[Held]) -> tuple[RouteView, ...]:
    """The routes that announce exactly what is held, by address. Aggregates that make up a larger
    block are one route, if they are alike: a filter on a router is made for one scope."""
    alike: dict[tuple[object, ...], list[Held]] = {}
    for each in held:
        # What is announced exactly stays by itself.
        apart = None if each.kind == "aggregate" else each.block
        alike.setdefault((each[1:5], each.node, apart), []).append(each)
    found = sorted(route for group in alike.values() for route in _merged(group))
    return tuple(route for _, route in found)


def _merged(alike: list[Held]) -> Iterator[tuple[tuple[Block, str, str], RouteView]]:
    first = alike[0]
    for block in merge_blocks(each.block for each in alike):
        pools = sum(each.pools for each in alike if each.block.is_inside(block))
        route = RouteView(
            prefix=str(block),
            kind=first.kind,
            scope=first.scope,
            tags=first.tags,
            state=first.state,
            pools=pools,
            node=first.node,
        )
        yield (block, first.kind, first.node), route


def _aggregates_in(state: State, wanted: RouteFilter, this_node: str) -> Iterator[Held]:
    """The aggregates that are wanted; those at rest are not announced. Needs the lock."""
    for record in (*state.aggregates.own(), *state.aggregates.elsewhere()):
        node = node_of(record) or this_node
        if record.released is not None or not _is_of_wanted_node(state, node, wanted, this_node):
            continue
        block = block_of_aggregate(record)
        scope = state.placement.tree.containing(block)
        if wanted.tags is not None and (scope is None or not wanted.tags.matches(scope)):
            continue
        # It may have been enlarged or divided since.
        name = record.scope if scope is None else str(scope)
        tags = () if scope is None else tuple(sorted(scope.tags))
        in_use = sum(pool.released is None for pool in state.pools_in(record))
        drained = _route_state(state, node)
        if drained == "draining" and not in_use and is_local(record.id):
            # No network comes to it any more. Of other nodes nobody else knows that it is empty.
            continue
        yield Held(block, "aggregate", name, tags, drained, in_use, node)


def _is_of_wanted_node(state: State, node: str, wanted: RouteFilter, this_node: str) -> bool:
    """Whether a node's routes are wanted, and it has not been forgotten."""
    mark = state.marks.get(node)
    forgotten = mark is not None and mark.forgotten is not None
    return not forgotten and (wanted.everywhere or node == (wanted.node or this_node))


def _route_state(state: State, node: str) -> RouteState:
    mark = state.marks.get(node)
    return "active" if mark is None or mark.draining is None else "draining"


def _pools_in(
    state: State, keys: Iterable[Key], wanted: RouteFilter, this_node: str
) -> Iterator[Held]:
    """The subnets of networks of single hosts that are wanted: the strays, or all. Needs the
    lock."""
    for *start, subnet_id in keys:
        node = split_node(space_of(subnet_id))[1] or this_node
        if is_global(subnet_id) or not _is_of_wanted_node(state, node, wanted, this_node):
            continue
        if not is_on_other_node(subnet_id) and _follows_swarm(state, subnet_id):
            continue
        block = Block(*start)
        scope = state.placement.tree.containing(block)
        if wanted.tags is not None and (scope is None or not wanted.tags.matches(scope)):
            continue
        is_left = is_known_stray(state, subnet_id, scope) or _is_left_out(
            state, subnet_id, block, scope, wanted.tags
        )
        kind: RouteKind = "stray" if is_left else "exact"
        in_use = sum(pool.released is None for pool in pools_of(state, subnet_id))
        if in_use and (wanted.exact or kind == "stray"):
            name, tags = ("", ()) if scope is None else (str(scope), tuple(sorted(scope.tags)))
            yield Held(block, kind, name, tags, _route_state(state, node), in_use, node)


def _is_left_out(
    state: State, subnet_id: str, block: Block, scope: Scope | None, tags: TagFilter | None
) -> bool:
    """Whether tags select a subnet of this node, but not the aggregate that it lies in: its scope,
    which has `node_prefix`, was added inside that."""
    if tags is None or scope is None or scope.node_prefix is None or not is_local(subnet_id):
        return False
    aggregate = state.aggregates.own_around(block)
    if aggregate is None:
        return False
    around = state.placement.tree.containing(block_of_aggregate(aggregate))
    return around is None or not tags.matches(around)


def _follows_swarm(state: State, subnet_id: str) -> bool:
    """Whether a subnet of this node is its part of a network of the swarm, whose addresses are on
    several nodes."""
    return make_subnet_id("global", subnet_of(subnet_id)) in state.holdings.subnets


def _version_of(node: str, plan: Iterable[str], routes: Iterable[RouteView]) -> str:
    announced = [
        (route.prefix, route.kind, route.scope, route.tags, route.state, route.node)
        for route in routes
    ]
    content = repr((node, tuple(plan), announced)).encode()
    return hashlib.sha256(content).hexdigest()[:_VERSION_CHARACTERS]
