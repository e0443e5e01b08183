"""Explicit subnets in scopes with `node_prefix`: the aggregate that each of them lies in.

A subnet in free space is claimed with the block of `node_prefix` around it. In another node's
aggregate it is refused, unless it repeats what a swarm has. See "Aggregates" in
docs/architecture.md.
"""

from __future__ import annotations

from typing import NamedTuple

from pyipam.core.aggregates import cidr_of
from pyipam.core.growth import (
    Grown,
    claim,
    claim_of_forgotten_node,
    may_be_claimed_with_subnet,
    take_back,
)
from pyipam.core.requests import ExplicitSubnet, PoolRequest
from pyipam.core.state import State
from pyipam.core.subnet_refusals import (
    beside_older,
    beside_pool,
    beside_scope_below,
    claimed_by_other,
    not_taken_in,
)
from pyipam.errors import InUse, NotManaged
from pyipam.log import Line
from pyipam.plan.scope import Scope
from pyipam.space.block import Block, Network, block_of
from pyipam.store.pool_id import (
    is_local,
    make_subnet_id,
    parse_subnet_id,
    space_of,
    split_node,
    subnet_id_of,
    subnet_of,
)
from pyipam.store.records import Change, Delete, PoolRecord


class Claimed(NamedTuple):
    """The aggregate that an explicit subnet lies in, empty if it lies in none, and the changes by
    which this node gets it first, if it has to."""

    aggregate: str = ""
    changes: tuple[Change, ...] = ()
    events: tuple[Line, ...] = ()


def repeats_swarm(state: State, request: PoolRequest, subnet: Network) -> bool:
    """Whether a network of a swarm has the subnet already. Swarm marks only the networks that were
    made with options; of the others the plugin of a manager knows those that it leads, and in a
    plan that nodes share every plugin knows all."""
    return request.is_repeated or (
        request.space == "local" and make_subnet_id("global", str(subnet)) in state.holdings.subnets
    )


def follows_swarm(state: State, request: PoolRequest, subnet: Network) -> bool:
    """Whether the subnet is this node's part of a network of a swarm."""
    return request.space == "local" and repeats_swarm(state, request, subnet)


def own_aggregate_of(state: State, subnet: Network) -> Claimed | None:
    """The aggregate of this node that contains a subnet of its local space; None if there is none.
    One that rests is taken back."""
    block = block_of(subnet)
    known = state.holdings.subnets.get(make_subnet_id("local", str(subnet)))
    if known is not None and any(pool.claims for pool in known.pools.values()):
        # Further pools of a subnet are drawn from where its first one was.
        return Claimed(next(iter(known.pools.values())).aggregate)
    return own_aggregate_with(state, block)


def own_aggregate_with(state: State, block: Block) -> Claimed | None:
    """The same by where the block is alone."""
    own = state.aggregates.own_around(block)
    if own is None:
        return None
    return Claimed(cidr_of(own)) if own.released is None else _as_claimed(take_back(own))


def check_is_part(scope: Scope | None, subnet: Network, own: Claimed) -> None:
    """Raise NotManaged if a new subnet of a scope with `node_prefix` is an aggregate of this node
    as a whole: the direct route to its bridge would take the place of the aggregate's."""
    if scope is None or scope.node_prefix is None or own.aggregate != str(subnet):
        return
    _check_length(scope, scope.node_prefix, subnet)
    raise NotManaged(
        f"subnet {subnet} is an aggregate of this node as a whole, which would not be announced "
        "beside it (node_prefix); ask for a part of it, or for a subnet elsewhere"
    )


def resting_elsewhere(state: State, subnet: Network, claimed: Claimed) -> list[PoolRecord]:
    """The pools of a subnet of the local space that rest, and were drawn from another aggregate
    than the one that the subnet lies in by now, or from none. They end for a new pool: those of one
    subnet are stored together."""
    known = state.holdings.subnets.get(make_subnet_id("local", str(subnet)))
    if known is None:
        return []
    pools = known.pools.values()
    return [each for each in pools if not each.claims and each.aggregate != claimed.aggregate]


def claim_for_subnet(state: State, asked: ExplicitSubnet) -> Claimed:
    """The aggregate that is claimed with a new subnet, which lies in no aggregate of this node;
    none where its scope has no `node_prefix`, as that of any subnet of the global space. Raises
    NotManaged or InUse where the subnet cannot be given out."""
    scope, subnet = asked.scope, asked.subnet
    if scope is None or scope.node_prefix is None:
        return _outside_of_others(state, asked)
    block = block_of(subnet)
    _check_length(scope, scope.node_prefix, subnet)
    other = state.aggregates.around(block)
    if other is not None:
        if not may_be_claimed_with_subnet(state, other):
            raise InUse(claimed_by_other(state, asked, other))
        return _as_claimed(claim_of_forgotten_node(state, scope, other))
    around = block.widened_to(scope.node_prefix)
    _check_claimable(state, asked, around)
    return _as_claimed(claim(state, scope, around))


def _outside_of_others(state: State, asked: ExplicitSubnet) -> Claimed:
    """What changes for a subnet that needs no aggregate. It may still lie in one of another node,
    whose schema has `node_prefix`, or had it: which addresses are in use there is known to that
    node alone. Raises InUse."""
    block = block_of(asked.subnet)
    if state.placement.is_free("aggregates", block):
        return Claimed()
    others = [each for each in state.aggregates.overlapping(block) if not is_local(each.id)]
    for other in others:
        if not may_be_claimed_with_subnet(state, other):
            raise InUse(claimed_by_other(state, asked, other))
    return Claimed(changes=tuple(Delete(other.key) for other in others))


def check_nobody_else_claimed(state: State, subnet: Network) -> None:
    """Raise InUse if a subnet that a network of this host has overlaps an aggregate of another
    node: containers of both could have one address."""
    block = block_of(subnet)
    if state.placement.is_free("aggregates", block):
        return
    for other in state.aggregates.overlapping(block):
        if not is_local(other.id) and not may_be_claimed_with_subnet(state, other):
            raise InUse(not_taken_in(state, subnet, other))


def _as_claimed(grown: Grown) -> Claimed:
    return Claimed(cidr_of(grown.aggregate), grown.changes, grown.events)


def _check_length(scope: Scope, node_prefix: int, subnet: Network) -> None:
    if subnet.prefixlen <= node_prefix:
        raise NotManaged(
            f"subnet {subnet} is too large: a network of scope {scope} gets at most a "
            f"/{node_prefix + 1}, as its nodes claim /{node_prefix} blocks (node_prefix); ask for "
            f"a subnet of /{node_prefix + 1} or longer"
        )


def _check_claimable(state: State, asked: ExplicitSubnet, around: Block) -> None:
    """Raise NotManaged or InUse unless a block of the scope can be claimed with a subnet in it.
    Pools of this node alone may be there already."""
    if state.placement.tree.overlapped_by(around) != [asked.scope]:
        raise NotManaged(beside_scope_below(state, asked, around))
    for other in state.aggregates.overlapping(around):
        raise InUse(
            beside_older(state, asked, around, other)
            if is_local(other.id)
            else claimed_by_other(state, asked, other)
        )
    for held in _held_by_others(state, around):
        raise InUse(beside_pool(state, asked, around, held))


def _held_by_others(state: State, around: Block) -> list[tuple[str, str]]:
    """What another node, or a swarm, holds in a block, and who it is."""
    placement = state.placement
    if placement.is_free("elsewhere", around) and placement.is_free("global", around):
        return []
    swarm = [
        (str(subnet.block), "a swarm")
        for subnet in state.holdings.subnets.values()
        if subnet.space == "global" and subnet.block.overlaps(around)
    ]
    others = [
        (subnet_of(pool.id), f"node {split_node(space_of(pool.id))[1]}")
        for pool in state.elsewhere.pools()
        if parse_subnet_id(subnet_id_of(pool.id))[1].overlaps(around)
    ]
    return [*swarm, *others]
