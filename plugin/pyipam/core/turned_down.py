"""Blocks that Docker has turned down.

Docker's daemon checks an automatic IPv4 block against the routes and the name servers of the host.
If they overlap, it keeps the block, asks for another one with the same request, and gives all of
them back in the end (moby, libnetwork/network.go, requestPoolHelper). What it checks is not always
known here: a name server in /etc/resolv.conf has no route of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from pyipam.core.requests import PoolRequest
from pyipam.core.state import State
from pyipam.core.subnet import Subnet
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.store.records import key_of

# It asks again at once. Until then, nothing asks for an address of the block.
_ASKS_AGAIN_WITHIN_SECONDS = 5.0


def blocks_turned_down(state: State, scopes: Iterable[Scope], request: PoolRequest) -> list[Block]:
    """The blocks of the scopes that the same request was given just now, and that nothing has used
    since, in order; none if it is a single one, which another network may be about to use."""
    found = sorted(chain.from_iterable(turned_down_by_scope(state, scopes, request).values()))
    return found if len(found) > 1 else []


def turned_down_by_scope(
    state: State, scopes: Iterable[Scope], request: PoolRequest
) -> dict[str, list[Block]]:
    """The blocks that the same request was given just now, and that nothing has used since, by the
    scopes as text, in their order; a single one may be about to be used."""
    lengths = {str(scope): request.length_in(scope) for scope in scopes}
    found: dict[str, list[Block]] = {scope: [] for scope in lengths}
    if request.space == "global" or request.version == 6:
        # The daemon takes what it is given there.
        return found
    # What has not been answered yet cannot have been turned down.
    unanswered = {key_of(change) for change in state.under_way}
    tags = "" if request.tag_filter is None else request.tag_filter.text
    earliest = state.clock.wall() - _ASKS_AGAIN_WITHIN_SECONDS
    pools = (
        (pool, subnet.block)
        for subnet in _new_subnets(state, earliest)
        if subnet.space == "local"
        and subnet.block.version == request.version
        and not subnet.ever_leased
        for pool in subnet.pools.values()
    )
    for pool, block in pools:
        if (
            pool.created >= earliest
            and pool.key not in unanswered
            and lengths.get(pool.scope) == block.length
            and (pool.tags, pool.label) == (tags, request.label)
            and [(claim.driver, claim.references) for claim in pool.claims] == [(request.driver, 1)]
        ):
            found[pool.scope].append(block)
    return found


def _new_subnets(state: State, earliest: float) -> Iterator[Subnet]:
    """The subnets that were created at this time or later, the last one first. Subnets are known in
    the order in which they came, but for those that were there at the start."""
    for subnet in reversed(state.holdings.subnets.values()):
        if all(pool.created < earliest for pool in subnet.pools.values()):
            return
        yield subnet
