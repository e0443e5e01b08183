"""What a core holds, read at one moment."""

from __future__ import annotations

from pyipam.core.address_calls import held_pool
from pyipam.core.ipam import Ipam
from pyipam.core.subnet import Subnet
from pyipam.plan.scope import Scope
from pyipam.store.records import LeaseRecord, PoolRecord


def pools_in(ipam: Ipam) -> list[tuple[PoolRecord, Subnet]]:
    """Every pool of this node and of the global space, held or resting, with its subnet."""
    with ipam.reading() as state:
        return [(pool, state.holdings.subnet_of(pool)) for pool in state.holdings.pools()]


def leases_in(ipam: Ipam, pool_id: str) -> list[tuple[LeaseRecord, bool]]:
    """The leases of a pool by address, each with whether Docker's claim to it stands. Raises
    NotHeld."""
    with ipam.reading() as state:
        pool, subnet = held_pool(state, pool_id)
        return [
            (lease, not subnet.is_unclaimed(lease))
            for _, lease in sorted(subnet.leases.items())
            if lease.pool == pool.id
        ]


def count_free(ipam: Ipam, scope: Scope, length: int) -> int:
    """How many blocks of this prefix length are free in the scope's own space."""
    with ipam.reading() as state:
        return state.placement.count_free(scope, length)
