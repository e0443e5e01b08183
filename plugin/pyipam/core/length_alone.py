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
    raise InvalidRequest(_why_refused(subnet))


def _has_size_of(pool: PoolRecord, version: int, length: int) -> bool:
    pool_id = parse_pool_id(pool.id)
    size = (pool_id.subnet.version, pool_id.subnet.prefixlen)
    return pool_id.space == "local" and size == (version, length) and pool_id.ip_range is None


def _why_refused(subnet: Network) -> str:
    length = subnet.prefixlen
    if length == 0:
        return f"subnet '{subnet}' asks for the whole IPv{subnet.version} address space"
    if subnet.version == 6 and length <= 32:
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
