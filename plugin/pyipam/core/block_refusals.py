"""Why no scope has a block for a network, and what would help: of each scope, what holds for it.

Only a request that is about to be refused pays for this.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from pyipam.core.aggregate_refusals import (
    Obstacle,
    aggregate_in_the_way,
    claimers_in,
    free_parts,
    in_the_way,
    without_aggregate,
)
from pyipam.core.drawing import draw
from pyipam.core.early_reuse import resting_blocks, rests
from pyipam.core.leaks import has_leaked, leaked_blocks, scope_of
from pyipam.core.messages import named_routes
from pyipam.core.requests import PoolRequest
from pyipam.core.reserved import named_entries
from pyipam.core.selection import Reason, described, reason_against
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.host.route import Route
from pyipam.plan.scope import Scope
from pyipam.space.block import AddressRange, Block, merge_ranges


class _KeptBack(NamedTuple):
    """A block that has rested or leaked, and could be given out again but for a route of the host,
    or, where `route` is None, but for being reserved."""

    block: Block
    route: Route | None


class _Shares(NamedTuple):
    """How many blocks of one length a scope has, and how many of them networks have taken, scopes
    below it have, and are reserved."""

    total: int
    taken: int
    below: int
    reserved: int


class _Fullness(NamedTuple):
    """What a scope that could serve a request has of blocks of that `length`: how they are shared
    out, the length of the largest free block below, the block that could be given out again, the
    routes of the host in the scope, and how many aggregates nodes have there. `entries` are those
    under `reserved` that keep back what is not taken; `all_reserved` says that nothing of the
    scope, taken or not, would be given out unasked."""

    length: int
    shares: _Shares
    smaller: int | None
    kept: _KeptBack | None
    routes: Sequence[Route]
    claimers: str
    entries: str
    all_reserved: bool


class Obstacles:
    """Why scopes have no block for a request, and what would help. What is the same for all scopes
    is found once, when it is first needed: a plan may have thousands of them. Needs the lock of the
    state, which must not change meanwhile."""

    def __init__(self, state: State, tried: Sequence[Scope], request: PoolRequest) -> None:
        self._state = state
        self._tried = tried
        self._request = request

    def sentence(self) -> str:
        """The sentence for a request that none of the scopes to be tried can serve."""
        found = [self._of(scope) for scope in self._tried]
        pairs = zip(self._tried, found, strict=True)
        tried = "; ".join(f"scope {scope} {each.why}" for scope, each in pairs)
        cures = [cure for each in found for cure in each.cures]
        smaller = _largest_given(self._state, self._tried, self._request)
        if smaller is not None:
            cures.insert(0, f"ask for a smaller block (--ipam-opt prefix={smaller})")
        helps = ", or ".join(dict.fromkeys(cures or ["enlarge the scope in the schema"]))
        asked = described(self._request)
        return f"no block is free for {asked}: {tried}. What helps: {helps}"

    def why_not(self, scope: Scope) -> str:
        """Why a scope that would be tried has no block: a predicate."""
        return self._of(scope).why

    def _of(self, scope: Scope) -> Obstacle:
        length = self._request.length_in(scope)
        match reason_against(scope, self._request):
            case Reason.ADDRESS_SPACE:
                return _for_other_networks(scope, self._other_scopes)
            case Reason.TOO_SMALL:
                # A smaller block alone helps, if there is one.
                return Obstacle(f"is smaller than a /{length}")
            case Reason.ONLY_CHILDREN:
                return self._of_only_children(scope)
            case Reason.NODE_PREFIX:
                claimed = f"as its nodes claim /{scope.node_prefix} blocks"
                return Obstacle(f"gives nothing as large, {claimed}")
            case None:
                return self._of_able(scope, length)

    def _of_only_children(self, scope: Scope) -> Obstacle:
        length = scope.child_prefix
        assert length is not None
        why = f"gives out only its /{length} children (lock_down)"
        child = draw(self._state, scope, self._request._replace(length=length))
        if child is not None or scope in self._with_unused_child:
            return Obstacle(why, [f"ask for a /{length}, by leaving out prefix"])
        return Obstacle(f"{why}, and has none left", self._of_able(scope, length).cures)

    def _of_able(self, scope: Scope, length: int) -> Obstacle:
        """Of a scope that gives such a block where it has one."""
        state, routes = self._state, self._routes.get(scope, ())
        covering = next((route for route in routes if scope.block.is_inside(route.block)), None)
        if covering is not None:
            return _on_route(covering)
        claimed = aggregate_in_the_way(state, scope, self._request.space)
        if claimed is not None:
            return in_the_way(state, scope, claimed)
        if scope.node_prefix is not None and state.placement.own_aggregate_around(scope) is None:
            return without_aggregate(state, scope, scope.node_prefix, length, routes)
        full = self._fullness(scope, length, routes)
        return Obstacle(_why_full(full), [*_cures_of_full(scope, self._scopes_tried, full)])

    def _fullness(self, scope: Scope, length: int, routes: Sequence[Route]) -> _Fullness:
        state = self._state
        kept = self._kept_back(scope, length)
        return _Fullness(
            length,
            _shares(state, scope, length),
            _largest_free(state, scope, length),
            kept,
            routes,
            claimers_in(state, scope),
            _entries(state, scope, length, kept),
            state.placement.unreserved_in(scope, scope.block, length) is None,
        )

    def _kept_back(self, scope: Scope, length: int) -> _KeptBack | None:
        """The first block of the scope that only a route or the schema keeps from being given out
        again, as one of this length."""
        placement = self._state.placement
        for block in self._unused.get(scope, ()):
            if block.length > length:
                continue
            on_route = placement.first_route_on(block)
            if on_route is not None:
                return _KeptBack(block, self._first_routes[on_route])
            if placement.unreserved_in(scope, block, length) is None:
                return _KeptBack(block, None)
        return None

    @cached_property
    def _scopes_tried(self) -> frozenset[Scope]:
        return frozenset(self._tried)

    @cached_property
    def _routes(self) -> Mapping[Scope, Sequence[Route]]:
        """The routes of the host that are in scopes."""
        return self._state.placement.routes_by_scope()

    @cached_property
    def _first_routes(self) -> Mapping[Block, Route]:
        """The routes of the host by their blocks; of several, the first one."""
        return {route.block: route for route in sorted(self._state.placement.routes, reverse=True)}

    @cached_property
    def _unused(self) -> Mapping[Scope, Sequence[Block]]:
        """The blocks of scopes that no network has, and that the request does not get, either: they
        rest or have leaked. Visits every pool."""
        state, placement = self._state, self._state.placement
        subnets: Iterable[Subnet] = state.holdings.subnets.values()
        # There may be many pools, and nearly all of them have networks.
        if not any(scope.reserved for scope in placement.tree):
            on_route = placement.is_on_route
            subnets = (each for each in subnets if on_route(each.block)) if placement.routes else ()
        found: defaultdict[Scope, list[Block]] = defaultdict(list)
        for subnet in subnets:
            if rests(subnet) or has_leaked(state, subnet, self._request):
                scope = scope_of(state, subnet.block)
                if scope is not None:
                    found[scope].append(subnet.block)
        return found

    @cached_property
    def _with_unused_child(self) -> frozenset[Scope]:
        """The scopes that give out only their children, and have one that rests or has leaked."""
        request = self._request._replace(length=None)
        scopes = [scope for scope in self._tried if scope.only_children]
        resting = (each.scope for each in resting_blocks(self._state, scopes, request))
        leaked = (each.scope for each in leaked_blocks(self._state, scopes, request))
        return frozenset(chain(resting, leaked))

    @cached_property
    def _other_scopes(self) -> str:
        """What helps where a scope is for other networks: one that is for such networks."""
        request, tree = self._request, self._state.placement.tree
        kind = _kind_of_network(request.space)
        scopes = [
            scope
            for scope in tree.in_order(None, request.version)
            if scope.address_space in (None, request.space)
        ]
        tags = sorted({tag for scope in scopes for tag in scope.tags})
        if not tags:
            return f"add a scope for {kind} networks to the schema"
        return f"name a tag of the scopes that are for {kind} networks too ({', '.join(tags)})"


def _for_other_networks(scope: Scope, cure: str) -> Obstacle:
    kind = _kind_of_network(scope.address_space)
    key = f"address_space {scope.address_space}" if scope.node_prefix is None else "node_prefix"
    return Obstacle(f"is for {kind} networks only ({key})", [cure])


def _on_route(covering: Route) -> Obstacle:
    cures = [
        "select another scope by its tags",
        f"remove the route {covering}",
        "move the scope to addresses to which the host has no direct route",
    ]
    return Obstacle(f"lies on the route {covering} of this host", cures)


def _entries(state: State, scope: Scope, length: int, kept: _KeptBack | None) -> str:
    """The entries under `reserved` that keep back what is free, or could be given out again."""
    if not scope.reserved:
        return ""
    found = free_parts(state, scope, length)
    if kept is not None and kept.route is None:
        found.append(kept.block)
    return named_entries(state.placement.tree, scope, found)


def _why_full(full: _Fullness) -> str:
    shares, smaller, kept = full.shares, full.smaller, full.kept
    how = _how_full(shares, full.length, "" if smaller is None else " at least in part")
    if full.routes:
        how += f", counting those on routes of this host: {named_routes(full.routes)}"
    if full.claimers:
        how += f", counting those in aggregates ({full.claimers})"
    if smaller is not None:
        how += f"; its largest free block is a /{smaller}"
    if kept is not None:
        where = (
            f"lies on the route {kept.route} of this host" if kept.route else "is reserved by now"
        )
        how += f"; {kept.block} could be given out again, but {where}"
    if full.entries:
        how += f"; reserved in the schema: {full.entries}"
    return f"{'is full' if shares.taken else 'has no free block'} ({how})"


def _shares(state: State, scope: Scope, length: int) -> _Shares:
    total = 1 << (length - scope.network.prefixlen)
    # What is free and not given out is reserved.
    reserved = state.placement.count_free(scope, length)
    below = {
        child.block.start >> (child.block.width - length)
        for child in scope.children
        if child.block.length >= length
    }
    larger = (child.block for child in scope.children if child.block.length < length)
    count = len(below) + sum(1 << (length - block.length) for block in larger)
    return _Shares(total, total - reserved - count, count, reserved)


def _count_on(routes: Sequence[Route], scope: Scope, length: int) -> int:
    """How many blocks of this length of a scope the routes touch; the scope contains them."""
    shift = scope.block.width - length
    ranges = (AddressRange(r.block.start >> shift, r.block.last >> shift) for r in routes)
    return sum(item.last - item.first + 1 for item in merge_ranges(ranges))


def _how_full(shares: _Shares, length: int, in_part: str) -> str:
    """The shares in words. `in_part` is added to what is taken, or belongs to others."""
    parts = [
        (shares.taken, "are", f"taken{in_part}"),
        (shares.below, "belong", f"to the scopes below it{in_part}"),
        (shares.reserved, "are", "reserved"),
    ]
    there = [part for part in parts if part[0]]
    if len(there) == 1:
        ((_, verb, what),) = there
        few = f"its one /{length} block {_singular(verb)} {what}"
        many = f"all {shares.total} of its /{length} blocks {verb} {what}"
        return few if shares.total == 1 else many
    listed = ", ".join(
        f"{count} {verb if count > 1 else _singular(verb)} {what}" for count, verb, what in there
    )
    return f"of its {shares.total} /{length} blocks, {listed}"


def _singular(verb: str) -> str:
    return "is" if verb == "are" else f"{verb}s"


def _cures_of_full(scope: Scope, tried: Set[Scope], full: _Fullness) -> Iterator[str]:
    shares, kept = full.shares, full.kept
    if shares.reserved or (kept is not None and kept.route is None):
        yield "ask for a reserved block by name (--subnet)"
        yield "reserve less in the schema"
    if full.all_reserved and shares.reserved:
        return
    if any(child.can_be_drawn_from and child not in tried for child in scope.children):
        yield "name tags that select the scopes below it"
    if not full.all_reserved and shares.taken > _count_on(full.routes, scope, full.length):
        yield "remove networks that nobody needs"
        yield "free what has leaked with `pyipam reconcile`"
    if full.claimers:
        yield "release aggregates that nodes do not need (`pyipam claims`)"
    yield "enlarge the scope in the schema"
    if kept is not None and kept.route is not None:
        yield f"remove the route {kept.route}"
    if full.routes:
        yield f"remove routes ({named_routes(full.routes)})"


def _largest_free(state: State, scope: Scope, length: int) -> int | None:
    """The length of the largest block below this one that the scope can give; None if there is
    none in which a gateway and a container have room."""
    placement, longest = state.placement, scope.network.max_prefixlen - 2
    if length >= longest:
        return None
    # A free part that has no block of one length has none of a longer one.
    lengths = {max(length + 1, each) for each in placement.free_blocks(scope, longest)}
    return next((each for each in sorted(lengths) if placement.lowest(scope, each)), None)


def _largest_given(state: State, scopes: Iterable[Scope], request: PoolRequest) -> int | None:
    """The length of the largest block that one of the scopes would give instead of what is asked
    for; None if none gives any in which a gateway and a container have room."""
    found = None
    for scope in scopes:
        # Of further scopes, only a larger one counts.
        longest = scope.network.max_prefixlen - 2 if found is None else found - 1
        found = _largest_of_scope(state, scope, request, longest) or found
    return found


def _largest_of_scope(state: State, scope: Scope, request: PoolRequest, longest: int) -> int | None:
    def gives(length: int) -> bool:
        return draw(state, scope, request._replace(length=length)) is not None

    shortest = request.length_in(scope) + 1
    if scope.only_children:
        assert scope.child_prefix is not None
        is_smaller = shortest <= scope.child_prefix <= longest
        return scope.child_prefix if is_smaller and gives(scope.child_prefix) else None
    if shortest > longest or not gives(longest):
        return None
    # What has room for a block has it for every smaller one.
    return bisect_left(range(longest), True, lo=shortest, key=gives)


def _kind_of_network(space: str | None) -> str:
    return "swarm" if space == "global" else "single-host"
