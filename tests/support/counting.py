"""How much a core holds: as it keeps it in its counts, and as one finds it by counting."""

from __future__ import annotations

from pyipam.core.ipam import Ipam


def counted(ipam: Ipam) -> dict[str, int]:
    """Found by counting."""
    with ipam.reading() as state:
        pools = list(state.holdings.pools())
        leases = [x for subnet in state.holdings.subnets.values() for x in subnet.leases.values()]
        unclaimed = [
            lease
            for subnet in state.holdings.subnets.values()
            for lease in subnet.leases.values()
            if lease.released is None and subnet.is_unclaimed(lease)
        ]
    return {
        "pools": len(pools),
        "resting_pools": sum(pool.released is not None for pool in pools),
        "leases": len(leases),
        "resting_leases": sum(x.released is not None and not x.named for x in leases),
        "held_back_leases": sum(x.released is not None and x.named for x in leases),
        "unclaimed": len(unclaimed),
    }


def kept(ipam: Ipam) -> dict[str, int]:
    """Kept while it changed."""
    counts = ipam.counts()
    with ipam.reading() as state:
        unclaimed = sum(subnet.unclaimed for subnet in state.holdings.subnets.values())
    return {
        "pools": counts.pools,
        "resting_pools": counts.resting_pools,
        "leases": counts.leases,
        "resting_leases": counts.resting_leases,
        "held_back_leases": counts.held_back_leases,
        "unclaimed": unclaimed,
    }
