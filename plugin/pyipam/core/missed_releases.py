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

    Swarm marks what it repeats of a network with options, and sends none of the others, where the
    docker command sends an empty object. Of the others it is the pool that shows it: its release
    can have been missed, it has a gateway, which swarm will name, and containers, the node's load
    balancer at least, each of which named its address.
    """
    if request.is_repeated:
        return request.space == "global" or pool.shared
    return (
        request.space == "local"
        and not request.has_options
        and request.ip_range is None
        and len(pool.claims) == 1
        and pool.created <= state.loaded_at
        and claim.epoch <= state.epoch_loaded(request.driver)
        and _is_like_those_of_swarm(state.holdings.leases_of(pool))
    )


def _is_like_those_of_swarm(leases: list[LeaseRecord]) -> bool:
    in_force = [lease for lease in leases if lease.released is None]
    containers = [lease for lease in in_force if lease.kind == "container"]
    return (
        any(lease.kind == "gateway" for lease in in_force)
        and bool(containers)
        and all(lease.named for lease in containers)
    )
