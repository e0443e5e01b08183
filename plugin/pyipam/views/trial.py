"""Which block a network would get, and why: what RequestPool would decide, without doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice

from pyipam.core.block_refusals import Obstacles
from pyipam.core.decision import Decision
from pyipam.core.drawing import Drawn, draw
from pyipam.core.messages import subnet_in_use
from pyipam.core.node_marks import check_not_forgotten
from pyipam.core.pool_calls import request_block, request_subnet
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Policy, scopes_for_block
from pyipam.core.state import State
from pyipam.errors import Exhausted, InUse, PyipamError
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block, block_of
from pyipam.store.pool_id import PoolId, parse_pool_id, space_of, split_node
from pyipam.store.records import AggregateKey, AggregateRecord, Delete, PoolRecord, Put
from pyipam.views.drawable import count_drawable
from pyipam.views.levels import cell_length, path_to

# How many scopes an answer says something about.
_MOST_SCOPES = 200


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A scope, and what it would do. `order` says when it is tried, from 1; it is None, and
    `reason` says why, where it is not tried. `reason` also says why a scope that is tried has no
    `block`. `free` counts its free blocks of the length, as a string. Where nodes claim blocks of
    the scope, `aggregate` is the one from which the block would come, and `claims` says whether
    this node would claim it first, or take it back."""

    network: str
    tags: tuple[str, ...]
    order: int | None
    free: str
    block: str | None
    reason: str | None
    aggregate: str | None = None
    claims: bool = False


@dataclass(frozen=True, slots=True)
class TrialView:
    """What a network would get: the `block`, of which `scope`. `outcome` is a sentence, in case of
    a refusal the one that Docker would print. `scopes` are at most 200, those that are tried
    first; none where a subnet was asked for. `around` is the network whose map shows the block
    among others. `aggregate` and `claims` are as for a scope."""

    block: str | None
    scope: str | None
    outcome: str
    scopes: tuple[CandidateView, ...]
    around: str | None = None
    aggregate: str | None = None
    claims: bool = False


def try_request(state: State, policy: Policy, request: PoolRequest) -> TrialView:
    """What would become of a request of a new network. Needs the lock of the state."""
    if request.subnet is None:
        return _try_block(state, policy, request)
    try:
        check_not_forgotten(state)
        held = state.holdings.pool(str(PoolId(request.space, request.subnet, request.ip_range)))
        if held is not None and held.claims and not (held.shared and request.shared):
            # The request could also be a replay.
            raise InUse(subnet_in_use(request.subnet, held, request))
        decision = request_subnet(state, policy, request, request.subnet)
    except PyipamError as error:
        return TrialView(None, None, str(error), ())
    pool = _pool_of(decision)
    return _given(state, decision, pool.scope or None, _outcome(state, decision, pool.scope), ())


def _try_block(state: State, policy: Policy, request: PoolRequest) -> TrialView:
    try:
        tried = scopes_for_block(state.placement.tree, policy, request)
    except PyipamError:
        # The request is refused with that below.
        tried = ()
    drawn = cache(partial(_draw, state, request))
    order = {scope: position for position, scope in enumerate(tried, start=1)}
    shown = islice(_tried_first(state, tried, order, request), _MOST_SCOPES)
    obstacles = Obstacles(state, tried, request)
    candidates = tuple(
        _candidate(state, scope, request, order.get(scope), drawn, obstacles) for scope in shown
    )
    try:
        check_not_forgotten(state)
        decision = request_block(state, policy, request)
    except Exhausted as error:
        return TrialView(None, None, str(error), candidates)
    except PyipamError as error:
        return TrialView(None, None, str(error), tuple(map(_withheld, candidates)))
    block = _block_of(decision)
    found = (each for each in tried for one in [drawn(each)] if one and one.block == block)
    scope = next(found, None)
    if scope is None:
        outcome = f"{block}, which rests or is unclaimed, as nothing else is free"
        return _given(state, decision, None, outcome, candidates)
    outcome = _outcome(state, decision, str(scope))
    return _given(state, decision, str(scope), outcome, candidates)


def _given(
    state: State,
    decision: Decision[str],
    scope: str | None,
    outcome: str,
    candidates: tuple[CandidateView, ...],
) -> TrialView:
    block = _block_of(decision)
    return TrialView(
        str(block),
        scope,
        outcome,
        candidates,
        _around(state.placement.tree, block),
        _pool_of(decision).aggregate or None,
        bool(_claimed_by(decision)),
    )


def _outcome(state: State, decision: Decision[str], scope: str) -> str:
    block, aggregate = _block_of(decision), _pool_of(decision).aggregate
    of_scope = f"{block} of scope {scope}" if scope else f"{block}, which is in no scope"
    if not aggregate:
        return of_scope
    claimed = _claimed_by(decision)
    if not claimed:
        return f"{of_scope}, from {aggregate}, which this node has claimed"
    if state.aggregates.find(claimed[0].id) is not None:
        return f"{of_scope}, for which this node would take back {aggregate}, which rests"
    former = [
        f" of node {split_node(space_of(change.key.id))[1]}, which was forgotten"
        for change in decision.changes
        if isinstance(change, Delete) and isinstance(change.key, AggregateKey)
    ]
    return f"{of_scope}, for which this node would claim {aggregate}{''.join(former)}"


def _pool_of(decision: Decision[str]) -> PoolRecord:
    """The pool that a network would get by a decision."""
    records = (change.record for change in decision.changes if isinstance(change, Put))
    pools = (record for record in records if isinstance(record, PoolRecord))
    return next(pool for pool in pools if pool.id == decision.answer)


def _claimed_by(decision: Decision[str]) -> list[AggregateRecord]:
    """The aggregate that this node would claim or take back by a decision, if it would."""
    records = (change.record for change in decision.changes if isinstance(change, Put))
    return [record for record in records if isinstance(record, AggregateRecord)]


def _block_of(decision: Decision[str]) -> Block:
    return block_of(parse_pool_id(decision.answer).subnet)


def _draw(state: State, request: PoolRequest, scope: Scope) -> Drawn | None:
    return draw(state, scope, request)


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
    drawn: Callable[[Scope], Drawn | None],
    obstacles: Obstacles,
) -> CandidateView:
    if order is None:
        return _view(state, scope, request, None, None, _why_not_tried(scope, request))
    found, reason = drawn(scope), None
    if found is None:
        reason = obstacles.why_not(scope)
    return _view(state, scope, request, order, found, reason)


def _view(
    state: State,
    scope: Scope,
    request: PoolRequest,
    order: int | None,
    drawn: Drawn | None,
    reason: str | None,
) -> CandidateView:
    length = request.length_in(scope)
    can_give = scope.can_be_drawn_from and length >= scope.block.length
    return CandidateView(
        network=str(scope),
        tags=tuple(sorted(scope.tags)),
        order=order,
        free=str(count_drawable(state, scope, length)) if can_give else "0",
        block=None if drawn is None else str(drawn.block),
        reason=reason,
        aggregate=None if drawn is None else drawn.aggregate or None,
        claims=drawn is not None and bool(drawn.changes),
    )


def _withheld(candidate: CandidateView) -> CandidateView:
    """A scope that has a block, which the network does not get for another reason."""
    if candidate.block is None:
        return candidate
    why = "has a block, but the network would be refused before any scope is tried"
    return replace(candidate, block=None, reason=why, aggregate=None, claims=False)


def _why_not_tried(scope: Scope, request: PoolRequest) -> str:
    if scope.child_prefix is None:
        return "gives out nothing: it has no child_prefix"
    if not scope.can_be_drawn_from:
        return "gives out nothing from its own space (lock_down)"
    tags = ", ".join(sorted(scope.tags)) or "none"
    return f"is not selected by the tags (its own are: {tags})"
