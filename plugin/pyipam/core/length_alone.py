"""Subnets at address 0, such as 0.0.0.0/26, with which Docker asks for a length alone.

Docker before version 29 keeps what the user wrote, and sends it again after each start: of two
such networks of one length, nobody could tell which one asks. See "Selecting scopes" in
docs/architecture.md.
"""

from __future__ import annotations

from pyipam.core.claims import claim_of
from pyipam.core.epochs import is_first_request
from pyipam.core.requests import PoolRequest
from pyipam.core.state import State
from pyipam.errors import InvalidRequest
from pyipam.space.block import Network, block_of
from pyipam.store.pool_id import parse_pool_id
from pyipam.store.records import PoolRecord

# The shortest length that `--ipam-opt prefix` can ask for: up to 32, it is one of IPv4.
_SHORTEST_OPTION = {4: 1, 6: 33}


def pool_of_length(state: State, request: PoolRequest, subnet: Network) -> PoolRecord:
    """The pool of a network that an older pyipam made with a length alone, and that the engine
    asks for again: the only one that it can be. Raises InvalidRequest for anything else."""
    tags = "" if request.tag_filter is None else request.tag_filter.text
    wanted = block_of(subnet)
    found = [
        pool
        for pool in state.holdings.pools()
        if request.space == "local"
        and (pool.label, pool.tags) == (request.label, tags)
        and claim_of(pool, request.driver) is not None
        and _has_size_of(pool, wanted.version, wanted.length)
    ]
    if len(found) == 1 and is_first_request(state, found[0], request):
        return found[0]
    raise InvalidRequest(_why_refused(state, subnet))


def _has_size_of(pool: PoolRecord, version: int, length: int) -> bool:
    pool_id = parse_pool_id(pool.id)
    size = (pool_id.subnet.version, pool_id.subnet.prefixlen)
    return pool_id.space == "local" and size == (version, length) and pool_id.ip_range is None


def _why_refused(state: State, subnet: Network) -> str:
    length, width = subnet.prefixlen, subnet.max_prefixlen
    if length == 0:
        return f"subnet '{subnet}' asks for the whole IPv{subnet.version} address space"
    scopes = state.placement.tree.in_order(None, subnet.version)
    shortest = min((scope.network.prefixlen for scope in scopes), default=length)
    if length == width:
        cure = (
            "a block of one address has room for the network's gateway alone; ask with "
            f"--ipam-opt prefix={width - 2} instead, without --subnet"
        )
    elif length < shortest:
        cure = (
            "no scope has room for a block of that length; ask with --ipam-opt "
            f"prefix={max(shortest, _SHORTEST_OPTION[subnet.version])} or longer, without --subnet"
        )
    elif length < _SHORTEST_OPTION[subnet.version]:
        cure = "name a subnet of that length instead"
    else:
        cure = (
            f"ask with --ipam-opt prefix={length} instead, without --subnet, or, in Compose, with "
            f"a driver alias that has prefix={length}"
        )
    return (
        f"subnet '{subnet}' asks for a length alone, which Docker would take for the subnet itself "
        f"when it starts again, and so would a swarm; {cure}"
    )
