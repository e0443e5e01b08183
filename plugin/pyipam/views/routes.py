"""What a node has to announce to the routers around it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pyipam.core.aggregates import block_of_aggregate, node_of
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.plan.tag_filter import TagFilter
from pyipam.space.block import Block
from pyipam.space.merging import merge_blocks
from pyipam.store.pool_id import (
    is_global,
    is_local,
    parse_subnet_id,
    space_of,
    split_node,
    subnet_id_of,
    subnet_of,
)
from pyipam.views.moment import Moment, block_around, moment_of
from pyipam.views.order import Pause, in_parts

# An aggregate is announced merged with its neighbours; a stray, and with `exact` every pool, as
# exactly the subnet that its networks have.
RouteKind = Literal["aggregate", "stray", "exact"]
RouteState = Literal["active", "draining"]
_VERSION_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class RouteView:
    """A prefix to be announced by `node`. `scope` is the network of the scope that it lies in, with
    its `tags`; where there is none, the scope that an aggregate was claimed from, or empty. `pools`
    counts the pools that are in use in it, which is not known of another node's aggregate, and
    null. While the node is drained, the state is draining; an
    aggregate of this node is then a route while it has pools."""

    prefix: str
    kind: RouteKind
    scope: str
    tags: tuple[str, ...]
    state: RouteState
    pools: int | None
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
    pools: int | None
    node: str


class InUse(NamedTuple):
    """A subnet in a local space with pools that are in use, and the aggregate of this node that it
    lies in. Of other nodes, the subnets in their aggregates are not known."""

    id: str
    block: Block
    aggregate: Block | None
    pools: int
    follows_swarm: bool


def list_routes(ipam: Ipam, wanted: RouteFilter, this_node: str, pause: Pause) -> RoutesView:
    """What is to be announced at this moment. `this_node` is the name of the node that answers."""
    node = wanted.node or this_node
    with ipam.reading() as state:
        moment = _looked_at(state, wanted)
    subnets = list(_in_use(moment, pause))
    pools: Counter[Block] = Counter()
    for each in subnets:
        if each.aggregate is not None:
            pools[each.aggregate] += each.pools
    held = list(_aggregates_in(moment, pools, wanted, this_node))
    for part in in_parts(subnets):
        held += _announced_exactly(moment, part, wanted, this_node)
        pause()
    routes = merge_routes(held)
    plan = tuple(str(scope) for scope in moment.tree.roots_drawn_from())
    return RoutesView(_version_of(node, plan, routes), node, plan, routes)


def _looked_at(state: State, wanted: RouteFilter) -> Moment:
    """What the routes depend on; no pools where there are no routes but those of pools, and these
    are not wanted. Needs the lock."""
    tree = state.placement.tree
    if wanted.exact or state.aggregates or any(scope.node_prefix is not None for scope in tree):
        return moment_of(state)
    return Moment(tree, {}, (), ())


def _in_use(moment: Moment, pause: Pause) -> Iterator[InUse]:
    counts: Counter[str] = Counter()
    of_swarm: set[str] = set()
    for part in in_parts(moment.pools):
        counts.update(subnet_id_of(pool.id) for pool in part if pool.released is None)
        of_swarm.update(
            subnet_of(pool.id) for pool in part if pool.follows_swarm or is_global(pool.id)
        )
        pause()
    own = sorted(block_of_aggregate(each) for each in moment.aggregates if is_local(each.id))
    for part_of_counts in in_parts(counts.items()):
        for subnet_id, pools in part_of_counts:
            if not is_global(subnet_id):
                block = parse_subnet_id(subnet_id)[1]
                aggregate = block_around(own, block) if is_local(subnet_id) else None
                follows = subnet_of(subnet_id) in of_swarm
                yield InUse(subnet_id, block, aggregate, pools, follows)
        pause()


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
        pools = [each.pools for each in alike if each.block.is_inside(block)]
        route = RouteView(
            prefix=str(block),
            kind=first.kind,
            scope=first.scope,
            tags=first.tags,
            state=first.state,
            pools=None if None in pools else sum(filter(None, pools)),
            node=first.node,
        )
        yield (block, first.kind, first.node), route


def _aggregates_in(
    moment: Moment, in_use: Mapping[Block, int], wanted: RouteFilter, this_node: str
) -> Iterator[Held]:
    """The aggregates that are wanted; those at rest are not announced. `in_use` counts the pools in
    use in those of this node."""
    for record in moment.aggregates:
        node = node_of(record) or this_node
        if record.released is not None or not _is_of_wanted_node(moment, node, wanted, this_node):
            continue
        block = block_of_aggregate(record)
        scope = moment.tree.containing(block)
        if wanted.tags is not None and (scope is None or not wanted.tags.matches(scope)):
            continue
        # It may have been enlarged or divided since.
        name = record.scope if scope is None else str(scope)
        tags = () if scope is None else tuple(sorted(scope.tags))
        count = in_use.get(block, 0) if is_local(record.id) else None
        drained = _route_state(moment, node)
        if drained == "draining" and count == 0:
            # No network comes to it any more.
            continue
        yield Held(block, "aggregate", name, tags, drained, count, node)


def _is_of_wanted_node(moment: Moment, node: str, wanted: RouteFilter, this_node: str) -> bool:
    """Whether a node's routes are wanted, and it has not been forgotten."""
    mark = moment.marks.get(node)
    forgotten = mark is not None and mark.forgotten is not None
    return not forgotten and (wanted.everywhere or node == (wanted.node or this_node))


def _route_state(moment: Moment, node: str) -> RouteState:
    mark = moment.marks.get(node)
    return "active" if mark is None or mark.draining is None else "draining"


def _announced_exactly(
    moment: Moment, subnets: Iterable[InUse], wanted: RouteFilter, this_node: str
) -> Iterator[Held]:
    """The subnets of networks of single hosts that are wanted: the strays, or all."""
    for subnet in subnets:
        node = split_node(space_of(subnet.id))[1] or this_node
        if subnet.follows_swarm or not _is_of_wanted_node(moment, node, wanted, this_node):
            continue
        scope = moment.tree.containing(subnet.block)
        if wanted.tags is not None and (scope is None or not wanted.tags.matches(scope)):
            continue
        is_stray = (scope is not None and scope.node_prefix is not None) and (
            subnet.aggregate is None or _is_left_out(moment, subnet.aggregate, wanted.tags)
        )
        if wanted.exact or is_stray:
            kind: RouteKind = "stray" if is_stray else "exact"
            name, tags = ("", ()) if scope is None else (str(scope), tuple(sorted(scope.tags)))
            state = _route_state(moment, node)
            yield Held(subnet.block, kind, name, tags, state, subnet.pools, node)


def _is_left_out(moment: Moment, aggregate: Block, tags: TagFilter | None) -> bool:
    """Whether tags that select a subnet do not select the aggregate that it lies in: the scope of
    the subnet was added inside that."""
    around = moment.tree.containing(aggregate)
    return tags is not None and (around is None or not tags.matches(around))


def _version_of(node: str, plan: Iterable[str], routes: Iterable[RouteView]) -> str:
    announced = [
        (route.prefix, route.kind, route.scope, route.tags, route.state, route.node)
        for route in routes
    ]
    content = repr((node, tuple(plan), announced)).encode()
    return hashlib.sha256(content).hexdigest()[:_VERSION_CHARACTERS]
