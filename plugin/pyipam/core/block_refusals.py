"""Why no scope has a block for a network, and what would help: of each scope, what holds for it.

Only a request that is about to be refused pays for this.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pyipam.core.aggregate_refusals import (
    aggregate_in_the_way,
    claimers_in,
    cures_of_what_is_in_the_way,
    cures_without_aggregate,
    free_parts,
    why_in_the_way,
    why_no_aggregate,
)
from pyipam.core.drawing import draw
from pyipam.core.early_reuse import find_resting_block, rests
from pyipam.core.leaks import find_leaked_block, has_leaked
from pyipam.core.messages import named_routes
from pyipam.core.requests import PoolRequest
from pyipam.core.reserved import named_entries
from pyipam.core.selection import Reason, described, reason_against
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.host.route import Route
from pyipam.plan.scope import Scope
from pyipam.space.block import AddressRange, Block, merge_ranges


class Unused(NamedTuple):
    """What keeps blocks from a request though no network has them: the routes of the host that are
    in scopes, and the subnets that rest or have leaked."""

    routes: Mapping[Scope, Sequence[Route]]
    subnets: Sequence[Subnet]

    def routes_in(self, scope: Scope) -> Sequence[Route]:
        """The routes in a scope."""
        return self.routes.get(scope, ())


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


def why_exhausted(state: State, scopes: Sequence[Scope], request: PoolRequest) -> str:
    """The sentence for a request that none of the scopes to be tried can serve."""
    unused = unused_by_now(state, request)
    tried = "; ".join(f"scope {scope} {why_not(state, scope, request, unused)}" for scope in scopes)
    cures = [cure for scope in scopes for cure in _cures(state, scope, scopes, request, unused)]
    smaller = _largest_given(state, scopes, request)
    if smaller is not None:
        cures.insert(0, f"ask for a smaller block (--ipam-opt prefix={smaller})")
    helps = ", or ".join(dict.fromkeys(cures or ["enlarge the scope in the schema"]))
    return f"no block is free for {described(request)}: {tried}. What helps: {helps}"


def unused_by_now(state: State, request: PoolRequest) -> Unused:
    """What no network has and the request does not get, either. Visits every pool and route."""
    placement = state.placement
    subnets: Iterable[Subnet] = state.holdings.subnets.values()
    # There may be many pools, and nearly all of them have networks.
    if not any(scope.reserved for scope in placement.tree):
        on_route = placement.is_on_route
        subnets = (each for each in subnets if on_route(each.block)) if placement.routes else ()
    return Unused(
        placement.routes_by_scope(),
        [subnet for subnet in subnets if rests(subnet) or has_leaked(state, subnet, request)],
    )


def why_not(state: State, scope: Scope, request: PoolRequest, unused: Unused) -> str:
    """Why a scope that would be tried has no block: a predicate."""
    match reason_against(scope, request):
        case Reason.ADDRESS_SPACE:
            kind = _kind_of_network(scope.address_space)
            key = f"address_space {scope.address_space}"
            why = key if scope.node_prefix is None else "node_prefix"
            return f"is for {kind} networks only ({why})"
        case Reason.TOO_SMALL:
            return f"is smaller than a /{request.length_in(scope)}"
        case Reason.ONLY_CHILDREN:
            only = f"gives out only its /{scope.child_prefix} children (lock_down)"
            return only if _gives_child(state, scope, request) else f"{only}, and has none left"
        case Reason.NODE_PREFIX:
            return f"gives nothing as large, as its nodes claim /{scope.node_prefix} blocks"
        case None if covering := _covering(scope, unused.routes_in(scope)):
            return f"lies on the route {covering} of this host"
        case None if claimed := aggregate_in_the_way(state, scope, request.space):
            return why_in_the_way(state, scope, claimed)
        case None if scope.node_prefix is not None and not _is_in_own_aggregate(state, scope):
            length, routes = request.length_in(scope), unused.routes_in(scope)
            return why_no_aggregate(state, scope, scope.node_prefix, length, routes)
        case None:
            return _why_full(_fullness(state, scope, request, unused))


def _fullness(state: State, scope: Scope, request: PoolRequest, unused: Unused) -> _Fullness:
    length = request.length_in(scope)
    kept = _kept_back(state, scope, length, unused)
    return _Fullness(
        length,
        _shares(state, scope, length),
        _largest_free(state, scope, length),
        kept,
        unused.routes_in(scope),
        claimers_in(state, scope),
        _entries(state, scope, length, kept),
        state.placement.unreserved_in(scope, scope.block, length) is None,
    )


def _entries(state: State, scope: Scope, length: int, kept: _KeptBack | None) -> str:
    """The entries under `reserved` that keep back what is free, or could be given out again."""
    found = free_parts(state, scope, length)
    if kept is not None and kept.route is None:
        found.append(kept.block)
    return named_entries(state.placement.tree, scope, found)


def _is_in_own_aggregate(state: State, scope: Scope) -> bool:
    return state.placement.own_aggregate_around(scope) is not None


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


def _kept_back(state: State, scope: Scope, length: int, unused: Unused) -> _KeptBack | None:
    """The first block of the scope that only a route or the schema keeps from being given out
    again, as one of this length."""
    for subnet in unused.subnets:
        block = subnet.block
        if block.length > length or not block.is_inside(scope.block):
            continue
        if state.placement.is_on_route(block):
            routes = sorted(state.placement.routes)
            return _KeptBack(block, next(item for item in routes if item.block.overlaps(block)))
        if state.placement.unreserved_in(scope, block, length) is None:
            return _KeptBack(block, None)
    return None


def _cures(
    state: State, scope: Scope, tried: Sequence[Scope], request: PoolRequest, unused: Unused
) -> Iterator[str]:
    match reason_against(scope, request):
        case Reason.ADDRESS_SPACE:
            yield _name_another_scope(state, request)
        case Reason.TOO_SMALL | Reason.NODE_PREFIX:
            # A smaller block alone, if there is one.
            return
        case Reason.ONLY_CHILDREN:
            if _gives_child(state, scope, request):
                yield f"ask for a /{scope.child_prefix}, by leaving out prefix"
            else:
                yield from _cures(state, scope, tried, _for_child(scope, request), unused)
        case None if covering := _covering(scope, unused.routes_in(scope)):
            yield "select another scope by its tags"
            yield f"remove the route {covering}"
            yield "move the scope to addresses to which the host has no direct route"
        case None if claimed := aggregate_in_the_way(state, scope, request.space):
            yield from cures_of_what_is_in_the_way(state, claimed)
        case None if scope.node_prefix is not None and not _is_in_own_aggregate(state, scope):
            length, routes = request.length_in(scope), unused.routes_in(scope)
            yield from cures_without_aggregate(state, scope, length, routes)
        case None:
            yield from _cures_of_full(scope, tried, _fullness(state, scope, request, unused))


def _gives_child(state: State, scope: Scope, request: PoolRequest) -> bool:
    """Whether a scope that gives out only its children has one for a request, also one that rests
    or has leaked."""
    child = _for_child(scope, request)
    return (
        draw(state, scope, child) is not None
        or find_resting_block(state, [scope], child) is not None
        or find_leaked_block(state, [scope], child) is not None
    )


def _for_child(scope: Scope, request: PoolRequest) -> PoolRequest:
    return request._replace(length=scope.child_prefix)


def _largest_given(state: State, scopes: Iterable[Scope], request: PoolRequest) -> int | None:
    """The length of the largest block that one of the scopes would give instead of what is asked
    for; None if none gives any in which a gateway and a container have room."""
    found = (_largest_of_scope(state, scope, request) for scope in scopes)
    return min((length for length in found if length is not None), default=None)


def _largest_of_scope(state: State, scope: Scope, request: PoolRequest) -> int | None:
    def gives(length: int) -> bool:
        return draw(state, scope, request._replace(length=length)) is not None

    shortest, longest = request.length_in(scope) + 1, scope.network.max_prefixlen - 2
    if scope.only_children:
        assert scope.child_prefix is not None
        is_smaller = shortest <= scope.child_prefix <= longest
        return scope.child_prefix if is_smaller and gives(scope.child_prefix) else None
    if shortest > longest or not gives(longest):
        return None
    # What has room for a block has it for every smaller one.
    return bisect_left(range(longest), True, lo=shortest, key=gives)


def _cures_of_full(scope: Scope, tried: Sequence[Scope], full: _Fullness) -> Iterator[str]:
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


def _covering(scope: Scope, routes: Sequence[Route]) -> Route | None:
    """The first route on which all of the scope lies, or None."""
    return next((route for route in routes if scope.block.is_inside(route.block)), None)


def _largest_free(state: State, scope: Scope, length: int) -> int | None:
    """The length of the largest block below this one that the scope can give; None if there is
    none in which a gateway and a container have room."""
    longest = scope.network.max_prefixlen - 2
    lengths = range(length + 1, longest + 1)
    return next((each for each in lengths if state.placement.lowest(scope, each) is not None), None)


def _name_another_scope(state: State, request: PoolRequest) -> str:
    kind = _kind_of_network(request.space)
    scopes = [
        scope
        for scope in state.placement.tree.in_order(None, request.version)
        if scope.address_space in (None, request.space)
    ]
    tags = sorted({tag for scope in scopes for tag in scope.tags})
    if not tags:
        return f"add a scope for {kind} networks to the schema"
    return f"name a tag of the scopes that are for {kind} networks too ({', '.join(tags)})"


def _kind_of_network(space: str | None) -> str:
    return "swarm" if space == "global" else "single-host"
