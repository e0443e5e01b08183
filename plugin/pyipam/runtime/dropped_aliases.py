"""Networks that were created by a short name which DRIVER_ALIASES no longer lists.

Docker finds no driver under the name, so it can neither start their containers nor release what
they hold: see "Short names" in docs/operations.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from ipaddress import get_mixed_type_key

from pyipam.core.ipam import Ipam
from pyipam.errors import listed
from pyipam.space.block import Network
from pyipam.store.pool_id import parse_pool_id

_MAX_SUBNETS_SHOWN = 10


def drivers_of(ipam: Ipam) -> frozenset[str]:
    """The driver names that hold something. Visits every pool."""
    with ipam.reading() as state:
        pools = state.holdings.pools()
        return frozenset(claim.driver for pool in pools for claim in pool.claims)


def about_dropped_aliases(ipam: Ipam, dropped: Collection[str]) -> list[str]:
    """A sentence for each of these names, with the subnets that it holds. Visits every pool."""
    subnets: dict[str, list[Network]] = defaultdict(list)
    with ipam.reading() as state:
        for pool in state.holdings.pools():
            for claim in pool.claims:
                if claim.driver in dropped:
                    subnets[claim.driver].append(parse_pool_id(pool.id).subnet)
    return [
        _about(name, sorted(held, key=get_mixed_type_key)) for name, held in sorted(subnets.items())
    ]


def _about(name: str, subnets: Sequence[Network]) -> str:
    return (
        f"networks were created by the short name {name!r}, which DRIVER_ALIASES does not list: "
        "Docker can neither start their containers nor release what they hold. List the name "
        "again, and drop it once the networks are removed. Their subnets: "
        f"{listed(subnets, _MAX_SUBNETS_SHOWN)}"
    )
