"""Blocks that rest, for requests that nothing else serves: a rest says which block is given out,
never that there is none.

See "Carving blocks" in docs/architecture.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from pyipam.core.aggregates import block_of_aggregate
from pyipam.core.drawing import may_be_drawn
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import reason_against
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.space.held_blocks import HeldBlocks
from pyipam.store.records import PoolRecord


class RestingBlock(NamedTuple):
    """A block that can be had by ending the rest of these pools."""

    pools: tuple[PoolRecord, ...]
    scope: Scope
    block: Block


def find_resting_block(
    state: State, scopes: Iterable[Scope], request: PoolRequest
) -> RestingBlock | None:
    """In the first of the scopes that has any, the block that has rested for longest; or None."""
    return next(resting_blocks(state, scopes, request), None)


def resting_blocks(
    state: State, scopes: Iterable[Scope], request: PoolRequest
) -> Iterator[RestingBlock]:
    """Of each of the scopes that has any, in their order, the block that has rested for longest.

    It may be a part of what rests, or consist of several blocks that do.
    """
    resting = [subnet for subnet in state.holdings.subnets.values() if rests(subnet)]
    if not resting:
        return
    in_use = _blocks_in_use(state)
    by_scope: defaultdict[Scope | None, list[Subnet]] = defaultdict(list)
    for subnet in resting:
        by_scope[state.placement.tree.containing(subnet.block)].append(subnet)
    for scope in scopes:
        if scope not in by_scope or reason_against(scope, request) is not None:
            continue
        candidates = _candidates(state, scope, request.length_in(scope), by_scope[scope])
        for candidate in sorted(candidates, key=_end_of_use):
            block = candidate.block
            is_free = in_use[block.version].is_free(block.start, block.length)
            is_here = may_be_drawn(state, scope, block, request.space)
            if is_free and is_here and not state.placement.is_on_route(block):
                yield candidate
                break


def rests(subnet: Subnet) -> bool:
    """Whether nobody holds the subnet any more."""
    return not any(pool.claims for pool in subnet.pools.values())


def _blocks_in_use(state: State) -> dict[int, HeldBlocks]:
    """Everything that is held and does not rest, on any node, by IP version; of what other nodes
    hold in their aggregates, the aggregates."""
    in_use = {4: HeldBlocks(32), 6: HeldBlocks(128)}
    for subnet in state.holdings.subnets.values():
        if not rests(subnet):
            in_use[subnet.block.version].hold(subnet.block.start, subnet.block.length)
    of_other_nodes = chain(
        state.elsewhere.blocks(), map(block_of_aggregate, state.aggregates.elsewhere())
    )
    for block in of_other_nodes:
        in_use[block.version].hold(block.start, block.length)
    return in_use


def _candidates(
    state: State, scope: Scope, length: int, resting: Iterable[Subnet]
) -> Iterator[RestingBlock]:
    """The blocks of this length in the scope's own space that hold, or lie in, what rests there."""
    pools: defaultdict[Block, list[PoolRecord]] = defaultdict(list)
    for subnet in resting:
        pools[subnet.block.widened_to(length)] += subnet.pools.values()
    for around, found in pools.items():
        if state.placement.tree.overlapped_by(around) == [scope]:
            part = state.placement.unreserved_in(scope, around, length)
            if part is not None:
                yield RestingBlock(tuple(found), scope, part)


def _end_of_use(candidate: RestingBlock) -> float:
    return max(pool.released or 0.0 for pool in candidate.pools)
