"""Several networks on one subnet, and replays: who asks for a pool that is held already.

Two networks have one subnet only where both were made with `shared=true`. Whoever asks for a pool
in the epoch in which it was claimed is a further network; whoever asks in a later one may repeat
itself. See "Replays and epochs" in docs/architecture.md.
"""

from __future__ import annotations

from pyipam.core.announcements import Announcements
from pyipam.core.claimed_subnets import follows_swarm
from pyipam.core.claims import MOST_COUNTED, claim_of, with_claim
from pyipam.core.creations import begun
from pyipam.core.decision import Decision, info
from pyipam.core.epochs import epoch_begun_by, is_first_request, is_unknown, may_replay
from pyipam.core.leaks import gives_way, is_on_host, is_used_since
from pyipam.core.messages import subnet_in_use
from pyipam.core.missed_releases import may_repeat_swarm
from pyipam.core.requests import PoolRequest
from pyipam.core.state import State
from pyipam.errors import InUse
from pyipam.space.block import Network
from pyipam.store.pool_id import make_subnet_id, split_node
from pyipam.store.records import Claim, PoolRecord, Put


def claim_again(state: State, pool: PoolRecord, request: PoolRequest) -> Decision[str]:
    """Give a pool that is held to whoever asks for it again; the answer is its id. Raises InUse
    where that is a second network, and not both let others have their subnet."""
    epoch = state.holdings.epoch(request.driver, request.space)
    claim = claim_of(pool, request.driver)
    key = (request.driver, pool.id)
    now = state.announcements
    if request.subnet is not None and follows_swarm(state, request, request.subnet):
        # Earlier versions did not keep that.
        pool = pool._replace(follows_swarm=True)
    if claim is None:
        if not _leads_after(pool, request):
            _check_shared(pool, request)
            now = now.with_creation(pool.id, begun(state, pool.id))
        return _claimed(pool, Claim(request.driver, epoch, 1), now)
    is_first = is_first_request(state, pool, request)
    if is_first and not _lives_on(state, pool, claim, request):
        now = now.with_replay(request.driver, request.space)
        now = now.with_outstanding(key, claim.references - 1)
        now = now.with_back_until(request.driver, "", state.clock.monotonic())
        return _claimed(pool, Claim(request.driver, epoch, 1), now)
    if is_first or (claim.epoch < epoch and is_unknown(state, claim, request)):
        return _claimed_by_unknown(state, pool, claim, request)
    if now.outstanding.get(key, 0):
        now = now.with_outstanding(key, now.outstanding[key] - 1)
    elif not (pool.shared and request.shared) and may_repeat_swarm(state, pool, claim, request):
        now = now.with_unsure(key)
    else:
        _check_shared(pool, request)
        now = now.with_creation(pool.id, begun(state, pool.id))
    return _claimed(pool, claim._replace(references=claim.references + 1), now)


def _lives_on(state: State, pool: PoolRecord, claim: Claim, request: PoolRequest) -> bool:
    """Whether the network of a claim is there without a replay, as the engine started while the
    plugin was away: then the first request for its pool may come from a second network. A bridge
    is there before a replay, too, and a replay does not come late."""
    begun = epoch_begun_by(state, request.driver, request.engine, request.space)
    return is_used_since(state, pool, claim, begun) or (
        not may_replay(state, claim.driver) and is_on_host(state, pool)
    )


def _claimed_by_unknown(
    state: State, pool: PoolRecord, claim: Claim, request: PoolRequest
) -> Decision[str]:
    """Give a pool to an engine of which nobody can tell whether it has the pool already. One
    reference too many keeps a block, one too few would free it under a network.

    The claim stays as old as it is: no lease counts as unclaimed for it. Networks that do not share
    their subnet are counted as two at most, however often the engine starts: a third one is refused
    as long as two are there. Of those that share it, each may be a further one.
    """
    now = state.announcements
    key = (request.driver, pool.id)
    if may_replay(state, request.driver):
        now = now.with_back_until(request.driver, "", state.clock.monotonic())
    if key not in now.unsure:
        now = now.with_unsure(key).with_outstanding(key, claim.references - 1)
    elif now.outstanding.get(key, 0):
        now = now.with_outstanding(key, now.outstanding[key] - 1)
    elif claim.references > 1:
        _check_shared(pool, request)
    if pool.shared:
        now = now.with_creation(pool.id, begun(state, pool.id))
    most = MOST_COUNTED if pool.shared else 2
    references = max(claim.references, min(claim.references + 1, most))
    return _claimed(pool, claim._replace(references=references), now)


def pools_in_the_way(state: State, request: PoolRequest, subnet: Network) -> list[PoolRecord]:
    """The pools of the same subnet, with other ip-ranges, that a new network cannot share, and that
    have all leaked. Raises InUse where one of them has not."""
    here = state.holdings.subnets.get(make_subnet_id(request.space, str(subnet)))
    if here is None:
        return []
    others = [pool for pool in here.pools.values() if pool.claims]
    if request.shared and all(pool.shared for pool in others):
        return []
    for pool in others:
        if not gives_way(state, pool, request):
            raise InUse(subnet_in_use(subnet, pool, request))
    return others


def _check_shared(pool: PoolRecord, request: PoolRequest) -> None:
    if not (pool.shared and request.shared) and request.subnet is not None:
        raise InUse(subnet_in_use(request.subnet, pool, request))


def _leads_after(pool: PoolRecord, request: PoolRequest) -> bool:
    """Whether only former leaders of the swarm, on other nodes, have claimed the pool."""
    return all(
        claim.driver != request.driver and split_node(claim.driver)[0] == request.driver
        for claim in pool.claims
    )


def _claimed(pool: PoolRecord, claim: Claim, announcements: Announcements) -> Decision[str]:
    claimed = info("pool claimed", pool=pool.id, references=claim.references)
    return Decision(pool.id, [Put(with_claim(pool, claim))], [claimed], announcements)
