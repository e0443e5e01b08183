"""Which block a network would get, and why: what RequestPool would decide, without doing it."""

from __future__ import annotations

from dataclasses import dataclass

from pyipam.core.block_refusals import unused_by_now, why_not
from pyipam.core.pool_calls import lowest_free, request_block
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Policy, scopes_for_block
from pyipam.core.state import State
from pyipam.errors import PyipamError
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.store.pool_id import parse_pool_id


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
    a refusal the one that Docker would print."""

    block: str | None
    scope: str | None
    outcome: str
    scopes: tuple[CandidateView, ...]


def try_request(state: State, policy: Policy, request: PoolRequest) -> TrialView:
    """What would become of a request for a block. Needs the lock of the state."""
    try:
        tried = scopes_for_block(state.placement.tree, policy, request)
    except PyipamError:
        # The request is refused with that below.
        tried = ()
    unused = unused_by_now(state, request)
    candidates = []
    for scope in state.placement.tree:
        if scope.network.version == request.version:
            order = tried.index(scope) + 1 if scope in tried else None
            reason = _why_not_tried(scope, request) if order is None else None
            block = None if order is None else lowest_free(state, scope, request)
            if order is not None and block is None:
                reason = why_not(state, scope, request, unused)
            candidates.append(_view(state, scope, request, order, block, reason))
    in_order = tuple(sorted(candidates, key=lambda item: (item.order is None, item.order or 0)))
    try:
        decision = request_block(state, policy, request)
    except PyipamError as error:
        return TrialView(None, None, str(error), in_order)
    block_text = str(parse_pool_id(decision.answer).subnet)
    scope_text = next((item.network for item in in_order if item.block == block_text), None)
    if scope_text is None:
        outcome = f"{block_text}, which rests or is unclaimed, as nothing else is free"
    else:
        outcome = f"{block_text} of scope {scope_text}"
    return TrialView(block_text, scope_text, outcome, in_order)


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
