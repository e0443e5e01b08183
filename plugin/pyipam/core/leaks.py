"""Leaks: pools that an engine held once, and has not claimed since it started again.

See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pyipam.core.drawing import may_be_drawn
from pyipam.core.epochs import epoch_begun_by, may_replay
from pyipam.core.messages import subnet_overlaps
from pyipam.core.placement import Space
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import reason_against
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.errors import InUse
from pyipam.plan.scope import Scope
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block, Network, block_of
from pyipam.store.pool_id import is_global, split_node
from pyipam.store.records import Change, Claim, Delete, PoolRecord


class LeakedBlock(NamedTuple):
    """A block that can be had by ending a pool that leaked."""

    pool: PoolRecord
    scope: Scope
    block: Block


def ended(state: State, pool: PoolRecord) -> list[Change]:
    """The changes by which a pool ends, with all its leases."""
    return [*(Delete(lease.key) for lease in state.holdings.leases_of(pool)), Delete(pool.key)]


def leaked_pools_under(state: State, request: PoolRequest, subnet: Network) -> list[PoolRecord]:
    """The pools that an explicit subnet overlaps, and that have all leaked. Raises InUse where one
    of them has not."""
    block = block_of(subnet)
    if state.placement.is_free(request.space, block):
        return []
    overlapped = [
        pool
        for other in state.holdings.subnets.values()
        if other.space == request.space and other.block != block
        for pool in other.pools.values()
        if pool.claims and block.overlaps(other.block)
    ]
    for pool in overlapped:
        if not gives_way(state, pool, request):
            raise InUse(subnet_overlaps(subnet, pool, request))
    return overlapped


def find_leaked_block(
    state: State, scopes: Iterable[Scope], request: PoolRequest
) -> LeakedBlock | None:
    """A block for a request that no free one serves: of the pools that leaked, the one that leaked
    first and is large enough; None where there is none."""
    return next(leaked_blocks(state, scopes, request), None)


def leaked_blocks(
    state: State, scopes: Iterable[Scope], request: PoolRequest
) -> Iterator[LeakedBlock]:
    """The blocks of scopes that a request could have by ending pools that leaked, those that leaked
    first before others."""
    wanted = {scope for scope in scopes if reason_against(scope, request) is None}
    leaked = sorted(
        (pool for pool in state.holdings.pools() if _is_leaked(state, pool, request)),
        key=lambda pool: (max(claim.epoch for claim in pool.claims), pool.created),
    )
    for pool in leaked:
        subnet = state.holdings.subnet_of(pool)
        scope = scope_of(state, subnet.block)
        if scope not in wanted or subnet.block.length > request.length_in(scope):
            continue
        length = request.length_in(scope)
        block = state.placement.unreserved_in(scope, subnet.block, length)
        other_space: AddressSpace = "global" if subnet.space == "local" else "local"
        if (
            block is not None
            and may_be_drawn(state, scope, block, request.space)
            and len(subnet.pools) == 1
            # Docker would not take it, or its network is still there.
            and not state.placement.is_on_route(block)
            and _is_free_in(state, block, other_space, "elsewhere", "aggregates")
        ):
            yield LeakedBlock(pool, scope, block)


def has_leaked(state: State, subnet: Subnet, request: PoolRequest) -> bool:
    """Whether all pools of a subnet have leaked, as far as a request for a block may take them."""
    return all(_is_leaked(state, pool, request) for pool in subnet.pools.values())


def scope_of(state: State, block: Block) -> Scope | None:
    """The scope in force in whose own space the whole block lies. When the pool was made, it may
    have been another one."""
    overlapped = state.placement.tree.overlapped_by(block)
    scope = state.placement.tree.containing(block)
    return scope if overlapped == [scope] else None


def _is_free_in(state: State, block: Block, *spaces: Space) -> bool:
    return all(state.placement.is_free(space, block) for space in spaces)


def _is_leaked(state: State, pool: PoolRecord, request: PoolRequest) -> bool:
    """Whether an engine that has started again claimed other pools of the space, and not this
    one. An engine that claimed none may have started while the plugin was disabled.

    In the global space, only a request for a block of that space shows that the claims are over:
    a swarm's leader asks for all that it has before it asks for anything new (swarmkit,
    manager/allocator/network.go). Networks of the host are made meanwhile.
    """
    if is_global(pool.id):
        return (
            request.space == "global"
            and bool(pool.claims)
            and all(_is_stale(state, claim) for claim in pool.claims)
        )
    replayed = state.announcements.replayed
    return bool(pool.claims) and all(
        (claim.driver, "local") in replayed and _was_left(state, pool, claim, request)
        for claim in pool.claims
    )


def _is_stale(state: State, claim: Claim) -> bool:
    """Whether the swarm's leader, which is told of every network here, has left the claim out."""
    driver, _ = split_node(claim.driver)
    has_replayed = (driver, "global") in state.announcements.replayed
    return has_replayed and claim.epoch < state.holdings.epoch(driver, "global")


def gives_way(state: State, pool: PoolRecord, request: PoolRequest) -> bool:
    """Whether a pool ends for an explicit subnet of its space that overlaps it: nobody has claimed
    it again, and nothing of its network is seen."""
    return all(
        _would_be_replayed(state, pool, claim, request) and _was_left(state, pool, claim, request)
        for claim in pool.claims
    ) and not is_on_host(state, pool)


def _would_be_replayed(state: State, pool: PoolRecord, claim: Claim, request: PoolRequest) -> bool:
    """Whether the engine would have claimed a pool that it has. One that has claimed nothing at all
    may have started while the plugin was away. But after its start, the first call of all may be
    the replay of a swarm's leader, or of a node for its tasks."""
    return (
        is_global(pool.id)
        or request.is_repeated
        or (claim.driver, "local") in state.announcements.replayed
        or may_replay(state, claim.driver)
    )


def is_used_since(state: State, pool: PoolRecord, claim: Claim, begun: int) -> bool:
    """Whether the network of a claim on a pool of this node was given an address since this epoch
    began: the engine that began it has the network, though it has not asked for the pool again. It
    may have started while the plugin was away."""
    return not is_global(pool.id) and any(
        lease.released is None and lease.driver == claim.driver and lease.epoch >= begun
        for lease in state.holdings.leases_of(pool)
    )


def is_on_host(state: State, pool: PoolRecord) -> bool:
    """Whether a route of the host leads into a pool of this node, as one does to the bridge of a
    network. Visits every route."""
    block = state.holdings.subnet_of(pool).block
    return not is_global(pool.id) and any(
        route.block.is_inside(block) for route in state.placement.routes
    )


def _was_left(state: State, pool: PoolRecord, claim: Claim, request: PoolRequest) -> bool:
    """Whether the engine that asks has started again since the claim, and neither repeated it nor
    used the pool. That is known only of an engine that can be identified, and only when it asks
    itself: another process that announced itself says nothing about it."""
    driver = state.holdings.drivers.get(claim.driver)
    if driver is None or driver.run_of(request.engine) is None:
        return False
    space: AddressSpace = "global" if is_global(pool.id) else "local"
    begun = epoch_begun_by(state, claim.driver, request.engine, space)
    return claim.epoch < begun and not is_used_since(state, pool, claim, claim.epoch + 1)
