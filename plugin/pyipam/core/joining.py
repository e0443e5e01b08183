"""Several networks on one subnet, and replays: who asks for a pool that is held already.

Two networks have one subnet only where both were made with `shared=true`. Whoever asks for a pool
in the epoch in which it was claimed is a further network; whoever asks in a later one may repeat
itself. See "Replays and epochs" in docs/architecture.md.
"""

from __future__ import annotations

from pyipam.core.announcements import Announcements, Creation
from pyipam.core.claims import claim_of, with_claim
from pyipam.core.decision import Decision, info
from pyipam.core.epochs import is_certain_replay
from pyipam.core.leaks import was_left
from pyipam.core.messages import subnet_in_use
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
    if claim is None:
        if not _leads_after(pool, request):
            _check_shared(pool, request)
            now = now.with_creation(pool.id, Creation(state.clock.monotonic()))
        return _claimed(pool, Claim(request.driver, epoch, 1), now)
    is_certain = is_certain_replay(state, pool, request)
    if is_certain or (claim.epoch < epoch and _is_unknown(state, request)):
        if is_certain or (request.driver, request.space) in now.replayed:
            now = now.with_replay(request.driver, request.space)
            now = now.with_outstanding(key, claim.references - 1)
            return _claimed(pool, Claim(request.driver, epoch, 1), now)
        # A reference too many keeps a block, one too few would free it under a network.
        now = now.with_unsure(key, claim.references)
    elif now.outstanding.get(key, 0):
        now = now.with_outstanding(key, now.outstanding[key] - 1)
    else:
        _check_shared(pool, request)
        now = now.with_creation(pool.id, Creation(state.clock.monotonic()))
    return _claimed(pool, claim._replace(references=claim.references + 1), now)


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
        if not all(was_left(state, claim, request, request.space) for claim in pool.claims):
            raise InUse(subnet_in_use(subnet, pool, request.space))
    return others


def _check_shared(pool: PoolRecord, request: PoolRequest) -> None:
    if not (pool.shared and request.shared) and request.subnet is not None:
        raise InUse(subnet_in_use(request.subnet, pool, request.space))


def _leads_after(pool: PoolRecord, request: PoolRequest) -> bool:
    """Whether only former leaders of the swarm, on other nodes, have claimed the pool."""
    return all(
        claim.driver != request.driver and split_node(claim.driver)[0] == request.driver
        for claim in pool.claims
    )


def _is_unknown(state: State, request: PoolRequest) -> bool:
    """Whether nobody can tell which engine asks, or which one announced itself."""
    record = state.holdings.drivers.get(request.driver)
    return record is None or "" in (record.engine, request.engine)


def _claimed(pool: PoolRecord, claim: Claim, announcements: Announcements) -> Decision[str]:
    claimed = info("pool claimed", pool=pool.id, references=claim.references)
    return Decision(pool.id, [Put(with_claim(pool, claim))], [claimed], announcements)
