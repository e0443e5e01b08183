"""Why no scope has a block for a network, and what would help: of each scope, what holds for it.

Only a request that is about to be refused pays for this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyipam.core.messages import named_routes
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Reason, described, reason_against
from pyipam.core.state import State
from pyipam.host.route import Route
from pyipam.plan.scope import Scope


def why_exhausted(state: State, scopes: Sequence[Scope], request: PoolRequest) -> str:
    """The sentence for a request that none of the scopes to be tried can serve."""
    routes = state.placement.routes_by_scope()
    tried = "; ".join(
        f"scope {scope} {why_not(state, scope, request, routes.get(scope, ()))}" for scope in scopes
    )
    cures = dict.fromkeys(
        cure for scope in scopes for cure in _cures(state, scope, request, routes.get(scope, ()))
    )
    return f"no block is free for {described(request)}: {tried}. What helps: {', or '.join(cures)}"


def why_not(state: State, scope: Scope, request: PoolRequest, routes: Sequence[Route]) -> str:
    """Why a scope that would be tried has no block: a predicate. `routes` are those in it."""
    length = request.length_in(scope)
    match reason_against(scope, request):
        case Reason.ADDRESS_SPACE:
            kind = _kind_of_network(scope.address_space)
            return f"is for {kind} networks only (address_space {scope.address_space})"
        case Reason.TOO_SMALL:
            return f"is smaller than a /{length}"
        case Reason.ONLY_CHILDREN:
            return f"gives out only its /{scope.child_prefix} children (lock_down)"
        case None if covering := _covering(scope, routes):
            return f"lies on the route {covering} of this host"
        case None if routes:
            shown = f"counting those on routes of this host: {named_routes(routes)}"
            return f"is full ({_how_full(state, scope, length)}, {shown})"
        case None:
            return f"is full ({_how_full(state, scope, length)})"


def _how_full(state: State, scope: Scope, length: int) -> str:
    total = 1 << (length - scope.network.prefixlen)
    reserved = state.placement.count_free(scope, length)
    smaller = _largest_free(state, scope, length)
    taken = "taken" if not scope.children else "taken or belong to the scopes below it"
    in_part = (
        "" if smaller is None else f" at least in part; its largest free block is a /{smaller}"
    )
    if total == 1:
        return f"its one /{length} block is {'reserved' if reserved else f'taken{in_part}'}"
    if not reserved:
        return f"all {total} of its /{length} blocks are {taken}{in_part}"
    kept = f"{reserved} {'is' if reserved == 1 else 'are'} reserved"
    return f"{total - reserved} of its {total} /{length} blocks are {taken}{in_part}, {kept}"


def _cures(
    state: State, scope: Scope, request: PoolRequest, routes: Sequence[Route]
) -> Iterator[str]:
    length = request.length_in(scope)
    match reason_against(scope, request):
        case Reason.ADDRESS_SPACE:
            yield _name_another_scope(state, request)
        case Reason.TOO_SMALL:
            yield f"ask for a smaller block (--ipam-opt prefix={scope.network.prefixlen} or longer)"
        case Reason.ONLY_CHILDREN:
            yield f"ask for a /{scope.child_prefix}, by leaving out prefix"
        case None if covering := _covering(scope, routes):
            yield "select another scope by its tags"
            yield f"remove the route {covering}"
            yield "move the scope to addresses to which the host has no direct route"
        case None:
            smaller = None if scope.only_children else _largest_free(state, scope, length)
            if smaller is not None:
                yield f"ask for a smaller block (--ipam-opt prefix={smaller})"
            if state.placement.count_free(scope, length):
                yield "ask for a reserved block by name (--subnet)"
            yield "remove networks that nobody needs"
            yield "enlarge the scope in the schema"
            if routes:
                yield f"remove routes ({named_routes(routes)})"


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
