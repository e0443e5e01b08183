"""Which block a network would get, and why: what RequestPool would decide, without doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

from pyipam.core.block_refusals import Unused, unused_by_now, why_not
from pyipam.core.pool_calls import next_free, request_block
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Policy, scopes_for_block
from pyipam.core.state import State
from pyipam.errors import PyipamError
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block, block_of
from pyipam.store.pool_id import parse_pool_id
from pyipam.views.levels import cell_length, path_to

# How many scopes an answer says something about.
_MOST_SCOPES = 200


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A scope, and what it would do. `order` says when it is tried, from 1; it is None, and
    `reason` says why, where it is not tried. `reason` also says why a scope that is tried has no
    `block`. `free` counts its free blocks of the length, as a string."""

    network: str
    tags: tuple[str, ...]
    order: int | None
    free: str
    block: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class TrialView:
    """What a network would get: the `block`, of which `scope`. `outcome` is a sentence, in case of
    a refusal the one that Docker would print. `scopes` are at most 200, those that are tried
    first. `around` is the network whose map shows the block among others."""

    block: str | None
    scope: str | None
    outcome: str
    scopes: tuple[CandidateView, ...]
    around: str | None = None


def try_request(state: State, policy: Policy, request: PoolRequest) -> TrialView:
    """What would become of a request for a block. Needs the lock of the state."""
    try:
        tried = scopes_for_block(state.placement.tree, policy, request)
    except PyipamError:
        # The request is refused with that below.
        tried = ()
    order = {scope: position for position, scope in enumerate(tried, start=1)}
    shown = islice(_tried_first(state, tried, order, request), _MOST_SCOPES)
    # It visits every pool: only where some scope has no block.
    unused = cache(partial(unused_by_now, state, request))
    candidates = tuple(
        _candidate(state, scope, request, order.get(scope), unused) for scope in shown
    )
    try:
        decision = request_block(state, policy, request)
    except PyipamError as error:
        return TrialView(None, None, str(error), candidates)
    block = block_of(parse_pool_id(decision.answer).subnet)
    scope = next((each for each in tried if next_free(state, each, request) == block), None)
    if scope is None:
        outcome = f"{block}, which rests or is unclaimed, as nothing else is free"
    else:
        outcome = f"{block} of scope {scope}"
    return TrialView(
        str(block),
        None if scope is None else str(scope),
        outcome,
        candidates,
        _around(state.placement.tree, block),
    )


def _around(tree: ScopeTree, block: Block) -> str:
    path = path_to(tree, block)[:-1]
    of_blocks = [each for each in path if cell_length(each, tree.containing(each)) < each.width]
    return str((of_blocks or path or [block])[-1])


def _tried_first(
    state: State, tried: Sequence[Scope], order: Mapping[Scope, int], request: PoolRequest
) -> Iterator[Scope]:
    yield from tried
    for scope in state.placement.tree:
        if scope.network.version == request.version and scope not in order:
            yield scope


def _candidate(
    state: State,
    scope: Scope,
    request: PoolRequest,
    order: int | None,
    unused: Callable[[], Unused],
) -> CandidateView:
    if order is None:
        return _view(state, scope, request, None, None, _why_not_tried(scope, request))
    block, reason = next_free(state, scope, request), None
    if block is None:
        reason = why_not(state, scope, request, unused())
    return _view(state, scope, request, order, block, reason)


def _view(
    state: State,
    scope: Scope,
    request: PoolRequest,
    order: int | None,
    block: Block | None,
    reason: str | None,
) -> CandidateView:
    length = request.length_in(scope)
    can_give = scope.can_be_drawn_from and length >= scope.block.length
    return CandidateView(
        network=str(scope),
        tags=tuple(sorted(scope.tags)),
        order=order,
        free=str(state.placement.count_free(scope, length)) if can_give else "0",
        block=None if block is None else str(block),
        reason=reason,
    )


def _why_not_tried(scope: Scope, request: PoolRequest) -> str:
    if scope.child_prefix is None:
        return "gives out nothing: it has no child_prefix"
    if not scope.can_be_drawn_from:
        return "gives out nothing from its own space (lock_down)"
    tags = ", ".join(sorted(scope.tags)) or "none"
    return f"is not selected by the tags (its own are: {tags})"
