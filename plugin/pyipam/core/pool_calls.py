"""RequestPool and ReleasePool: which subnet a network gets, and when it ends.

See "Carving blocks" in docs/architecture.md. Nothing here changes the state: each function returns
what it decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pyipam.core.block_refusals import Obstacles
from pyipam.core.claimed_subnets import (
    Claimed,
    check_is_part,
    claim_for_subnet,
    follows_swarm,
    own_aggregate_of,
    own_aggregate_with,
    repeats_swarm,
    resting_elsewhere,
)
from pyipam.core.claims import claim_of, with_claim, with_one_less
from pyipam.core.creations import after_failed_creation
from pyipam.core.decision import Decision, info, warning
from pyipam.core.drawing import aggregate_around, draw, too_many_turned_down
from pyipam.core.early_reuse import RestingBlock, find_resting_block
from pyipam.core.gateways import without_driver, without_pool
from pyipam.core.giving_back import after_last_pool
from pyipam.core.joining import claim_again, pools_in_the_way
from pyipam.core.leaks import LeakedBlock, ended, find_leaked_block, leaked_pools_under
from pyipam.core.length_alone import pool_of_length
from pyipam.core.messages import (
    ADDRESSES_OF_SERVICE,
    at_most_below_node_prefix,
    maybe_turned_down,
    no_further_aggregate,
    too_small_for_service,
)
from pyipam.core.node_marks import check_not_drained
from pyipam.core.requests import ExplicitSubnet, PoolRequest
from pyipam.core.selection import (
    Policy,
    Reason,
    reason_against,
    scope_for_repeated_subnet,
    scope_for_subnet,
    scopes_for_block,
)
from pyipam.core.state import State
from pyipam.core.subnet import Subnet, usable_range
from pyipam.core.turned_down import blocks_turned_down
from pyipam.errors import Exhausted, PyipamError, Unavailable
from pyipam.log import Line
from pyipam.plan.network_options import check_spelling
from pyipam.plan.scope import Scope
from pyipam.space.block import Block, Network, block_of
from pyipam.store.pool_id import PoolId, is_global, make_subnet_id, parse_pool_id
from pyipam.store.records import Change, Claim, Delete, LeaseKey, LeaseRecord, PoolRecord, Put


def request_block(state: State, policy: Policy, request: PoolRequest) -> Decision[str]:
    """Give a network a block of its own; the answer is the pool's id.

    Raises Unavailable, InvalidRequest, NotManaged or Exhausted.
    """
    _check_ready(state, policy, request)
    scopes = scopes_for_block(state.placement.tree, policy, request)
    for scope in scopes:
        drawn = draw(state, scope, request)
        if drawn is not None:
            pool_id = make_subnet_id(request.space, str(drawn.block))
            claimed = Claimed(drawn.aggregate, drawn.changes, drawn.events)
            return _new_pool(state, request, pool_id, str(scope), claimed)
    _check_node_prefixes(state, scopes, request)
    resting = find_resting_block(state, scopes, request)
    if resting is not None:
        return _end_rest(state, request, resting)
    able = [scope for scope in scopes if reason_against(scope, request) is None]
    turned_down = blocks_turned_down(state, able, request)
    # No leaked pool ends for a block that Docker would turn down as well.
    leaked = None if turned_down else find_leaked_block(state, scopes, request)
    if leaked is None:
        obstacles = Obstacles(state, scopes, request)
        raise Exhausted(obstacles.sentence() + maybe_turned_down(turned_down))
    return _take_leaked(state, request, leaked)


def request_subnet(
    state: State, policy: Policy, request: PoolRequest, subnet: Network
) -> Decision[str]:
    """Give a network the subnet that it names; the answer is the pool's id.

    A pool that is held already is claimed, and what swarm repeats is given, whatever the schema
    says by now. Raises Unavailable, InvalidRequest, NotManaged or InUse.
    """
    pool_id = str(PoolId(request.space, subnet, request.ip_range))
    pool = state.holdings.pool(pool_id)
    if pool is not None and pool.claims:
        return claim_again(state, pool, request)
    if not int(subnet.network_address):
        return claim_again(state, pool_of_length(state, request, subnet), request)
    place = _place_of_subnet(state, policy, request, subnet)
    displaced = pools_in_the_way(state, request, subnet)
    displaced += leaked_pools_under(state, request, subnet)
    local = request.space == "local"
    moved = resting_elsewhere(state, subnet, place.claimed) if local else []
    decision = _new_pool(
        state,
        request,
        pool_id,
        "" if place.scope is None else str(place.scope),
        place.claimed,
        before=[change for pool in (*displaced, *moved) for change in ended(state, pool)],
    )
    warnings = [
        *place.warnings,
        *(warning("unclaimed pool displaced", pool=each.id, by=pool_id) for each in displaced),
    ]
    return decision._replace(events=[*decision.events, *warnings])


class _Place(NamedTuple):
    """Where an explicit subnet lies: its scope, if any, and the aggregate that it is in; and what
    is to be logged of that."""

    scope: Scope | None
    claimed: Claimed
    warnings: Sequence[Line] = ()


def _place_of_subnet(state: State, policy: Policy, request: PoolRequest, subnet: Network) -> _Place:
    tree = state.placement.tree
    own = own_aggregate_of(state, subnet) if request.space == "local" else None
    if not repeats_swarm(state, request, subnet):
        _check_ready(state, policy, request)
        scope = scope_for_subnet(tree, policy, request, subnet)
        if own is None:
            would_get_block = partial(_would_get_block, state, policy, request)
            asked = ExplicitSubnet(subnet, scope, would_get_block)
            return _Place(scope, claim_for_subnet(state, asked))
        check_is_part(scope, subnet, own)
        return _Place(scope, own)
    scope, objection = scope_for_repeated_subnet(tree, policy, request, subnet)
    if not objection:
        return _Place(scope, own or Claimed())
    served = warning(
        "subnet of a swarm served against the schema",
        pool=make_subnet_id(request.space, str(subnet)),
        reason=objection,
    )
    return _Place(scope, own or Claimed(), [served])


def _would_get_block(state: State, policy: Policy, request: PoolRequest) -> bool:
    """Whether the network of a request for a subnet would get a block if it named none."""
    try:
        request_block(state, policy, request._replace(subnet=None, ip_range=None))
    except PyipamError:
        return False
    return True


def release_pool(state: State, driver: str, pool_id: str) -> Decision[None]:
    """Drop one of a driver name's references to a pool; the last one frees the pool and all its
    leases. Releasing what is not held is logged, and is not an error: Docker repeats itself."""
    pool = state.holdings.pool(pool_id)
    claim = None if pool is None else claim_of(pool, driver)
    if pool is None or claim is None:
        missing = warning("release of a pool that is not held", pool=pool_id, driver=driver)
        return Decision(None, events=[missing])
    left = with_claim(pool, with_one_less(claim))
    if left.claims:
        return _drop_reference(state, left, driver)
    announcements = state.announcements.without_creation(pool_id)
    return end_pool(state, left)._replace(announcements=announcements)


def _check_ready(state: State, policy: Policy, request: PoolRequest) -> None:
    """Only new networks are checked: those that exist keep the options they were made with."""
    if policy.refusal is not None:
        raise Unavailable(policy.refusal)
    check_not_drained(state, request)
    if request.unknown_options:
        check_spelling(request.unknown_options)


def _check_node_prefixes(state: State, scopes: Sequence[Scope], request: PoolRequest) -> None:
    """Raise Exhausted where no block was found because of how nodes claim blocks."""
    for scope in scopes:
        if reason_against(scope, request) is not Reason.NODE_PREFIX:
            break
    else:
        raise Exhausted(
            "; ".join(
                at_most_below_node_prefix(scope, scope.node_prefix)
                for scope in scopes
                if scope.node_prefix is not None
            )
        )
    turned_down = too_many_turned_down(state, scopes, request)
    if turned_down:
        around = aggregate_around(state, turned_down[-1]) or str(turned_down[-1])
        raise Exhausted(no_further_aggregate(turned_down, around))


def _new_pool(
    state: State,
    request: PoolRequest,
    pool_id: str,
    scope: str,
    claimed: Claimed,
    before: Sequence[Change] = (),
) -> Decision[str]:
    pool = PoolRecord(
        id=pool_id,
        scope=scope,
        label=request.label,
        tags="" if request.tag_filter is None else request.tag_filter.text,
        claims=(Claim(request.driver, state.holdings.epoch(request.driver, request.space), 1),),
        created=state.clock.wall(),
        shared=request.shared,
        aggregate=claimed.aggregate,
        follows_swarm=request.subnet is not None and follows_swarm(state, request, request.subnet),
    )
    events = [
        *claimed.events,
        info("pool", pool=pool_id, scope=scope or "none", label=request.label),
    ]
    too_small = warning_about_size(pool)
    if too_small is not None:
        events.append(warning("the operator must act", reason=too_small))
    announcements = state.announcements.without_pool(pool_id)
    changes = [*claimed.changes, *before, Put(pool)]
    return Decision(pool_id, changes, events, announcements)


def warning_about_size(pool: PoolRecord) -> str | None:
    """A sentence about a pool of a swarm in which no service can run, or None."""
    if not is_global(pool.id):
        return None
    usable = usable_range(block_of(parse_pool_id(pool.id).subnet))
    count = usable.last - usable.first + 1
    return too_small_for_service(pool.id, count) if count < ADDRESSES_OF_SERVICE else None


def _take_leaked(state: State, request: PoolRequest, leaked: LeakedBlock) -> Decision[str]:
    pool_id = make_subnet_id(request.space, str(leaked.block))
    before = ended(state, leaked.pool)
    claimed = _where_it_is(state, request, leaked.block)
    decision = _new_pool(state, request, pool_id, str(leaked.scope), claimed, before)
    again = warning("unclaimed pool given out again", pool=pool_id, was=leaked.pool.id)
    return decision._replace(events=[*decision.events, again])


def _end_rest(state: State, request: PoolRequest, resting: RestingBlock) -> Decision[str]:
    pool_id = make_subnet_id(request.space, str(resting.block))
    before = [change for pool in resting.pools for change in ended(state, pool)]
    claimed = _where_it_is(state, request, resting.block)
    decision = _new_pool(state, request, pool_id, str(resting.scope), claimed, before)
    was = ",".join(pool.id for pool in resting.pools)
    again = warning("resting block given out again", pool=pool_id, was=was)
    return decision._replace(events=[*decision.events, again])


def _where_it_is(state: State, request: PoolRequest, block: Block) -> Claimed:
    """The aggregate of this node around a block that was held already."""
    own = own_aggregate_with(state, block) if request.space == "local" else None
    return own or Claimed()


def _drop_reference(state: State, left: PoolRecord, driver: str) -> Decision[None]:
    changes: list[Change] = [Put(left)]
    announcements = state.announcements.without_creation(left.id)
    if claim_of(left, driver) is None:
        subnet = state.holdings.subnet_of(left)
        ended = {x.key: without_driver(x, left.id, driver) for x in subnet.leases.values()}
        changes += _end_in_shared_subnet(state, subnet, ended)
    else:
        taken_back, announcements = after_failed_creation(state, left, driver)
        changes += taken_back
    dropped = info("pool reference dropped", pool=left.id, driver=driver)
    return Decision(None, changes, [dropped], announcements)


def end_pool(state: State, pool: PoolRecord) -> Decision[None]:
    """End a pool that has no claim left, with its leases; it rests, if its scope says so."""
    subnet = state.holdings.subnet_of(pool)
    leases = subnet.leases_of(pool.id)
    changes: list[Change]
    if any(other.claims and other.id != pool.id for other in subnet.pools.values()):
        ended = {x.key: without_pool(x, pool.id) for x in subnet.leases.values()}
        changes = _end_in_shared_subnet(state, subnet, ended)
    else:
        changes = [Delete(lease.key) for lease in leases]
    released = info("pool released", pool=pool.id, leases=len(leases))
    if subnet.ever_leased and state.reuse_delay(subnet.block):
        changes.append(Put(pool._replace(released=state.clock.wall())))
    else:
        changes.append(Delete(pool.key))
    given_back = after_last_pool(state, pool)
    return Decision(None, [*changes, *given_back.changes], [released, *given_back.events])


def _end_in_shared_subnet(
    state: State, subnet: Subnet, left: Mapping[LeaseKey, LeaseRecord | None]
) -> list[Change]:
    """What ends leases in a subnet that somebody else still draws from; `left` is what is left of
    each lease of the subnet. Where nothing is, the address rests as if it had been released."""
    delay = state.reuse_delay(subnet.block)
    now = state.clock.wall()
    changes: list[Change] = []
    for lease in subnet.leases.values():
        rest = left[lease.key]
        if rest is not None:
            if rest != lease:
                changes.append(Put(rest))
        elif not delay:
            changes.append(Delete(lease.key))
        elif lease.released is None:
            changes.append(Put(lease._replace(released=now)))
    return changes
