"""Subnets of a swarm's networks that a node asks for again, having released them unheard.

A node removes its copy of a swarm's network with the last task there, and asks for the same subnet
with the next one. Where the plugin was away when it was released, the pool is still held, and no
replay follows, as the engine has not started. No task may wait for that for ever.
"""

from __future__ import annotations

from pyipam.core.requests import PoolRequest
from pyipam.core.state import State
from pyipam.store.records import Claim, LeaseRecord, PoolRecord


def may_repeat_swarm(state: State, pool: PoolRecord, claim: Claim, request: PoolRequest) -> bool:
    """Whether a pool that is claimed may be asked for by swarm, which has it already.

    Swarm marks what it repeats of a network with options only. Of the others it is the pool that
    shows it: its release can have been missed, it has a gateway, which swarm will name, and each
    container in it named its address, as those of a swarm do to the plugin of their node.
    """
    if request.is_repeated:
        return request.space == "global" or pool.shared
    is_plain = request.tag_filter is None and not request.label and request.ip_range is None
    return (
        request.space == "local"
        and is_plain
        and not request.shared
        and len(pool.claims) == 1
        and pool.created <= state.loaded_at
        and claim.epoch <= state.epoch_loaded(request.driver)
        and _is_like_those_of_swarm(state.holdings.leases_of(pool))
    )


def _is_like_those_of_swarm(leases: list[LeaseRecord]) -> bool:
    in_force = [lease for lease in leases if lease.released is None]
    return any(lease.kind == "gateway" for lease in in_force) and all(
        lease.named or lease.kind != "container" for lease in in_force
    )
