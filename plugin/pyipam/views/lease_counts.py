"""How many leases there are in each scope, by state: from what each subnet keeps counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pyipam.core.ipam import Ipam
from pyipam.core.subnet import Subnet
from pyipam.views.order import Pause, Subnets, in_parts

LeaseState = Literal["in_use", "unclaimed", "resting", "held_back"]
# Where leases lie that no scope in force contains.
NO_SCOPE = ""


def count_leases(
    ipam: Ipam, subnets: Subnets, pause: Pause
) -> Mapping[str, Mapping[LeaseState, int]]:
    """The leases of this node and of the global space, in each scope in force and in no scope below
    it, by the network of the scope."""
    tree = ipam.tree
    states: tuple[LeaseState, ...] = get_args(LeaseState)
    found = {network: dict.fromkeys(states, 0) for network in (*map(str, tree), NO_SCOPE)}
    names = {scope: str(scope) for scope in tree}
    for keys in in_parts(subnets.keys(pause)):
        with ipam.reading() as state:
            held = state.holdings.subnets
            seen = [
                (subnet.block, _counts_of(subnet))
                for key in keys
                if (subnet := held.get(key[3])) is not None and subnet.leases
            ]
        for block, counts in seen:
            scope = tree.containing(block)
            total = found[NO_SCOPE if scope is None else names[scope]]
            for each, count in counts.items():
                total[each] += count
        pause()
    return found


def _counts_of(subnet: Subnet) -> Mapping[LeaseState, int]:
    """The leases of a subnet. Needs the lock."""
    resting, held_back, unclaimed = len(subnet.resting), len(subnet.held_back), subnet.unclaimed
    return {
        "in_use": len(subnet.leases) - resting - held_back - unclaimed,
        "unclaimed": unclaimed,
        "resting": resting,
        "held_back": held_back,
    }
