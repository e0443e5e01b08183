"""The nodes that share a plan, as far as is known here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pyipam.core.ipam import Ipam
from pyipam.errors import Unavailable
from pyipam.store.pool_id import space_of, split_node
from pyipam.views.order import Pause, Subnets, in_parts
from pyipam.views.pools import pools_of


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node, and how many pools and leases are in its own address space. `this` says whether it
    is the one that answers, `seen` when it was last seen (UNIX time in seconds): a node says every
    30 seconds that it lives. It is null if it is not known."""

    node: str
    pools: int
    leases: int
    this: bool
    seen: float | None = None


def list_nodes(ipam: Ipam, subnets: Subnets, this_node: str, pause: Pause) -> list[NodeView]:
    """The nodes that hold something or were seen, and this one, by name."""
    seen = _nodes_seen(ipam)
    pools, leases = Counter({this_node: 0}), Counter({this_node: 0})
    for keys in in_parts(subnets.keys(pause)):
        with ipam.reading() as state:
            for key in keys:
                space, node = split_node(space_of(key[3]))
                if space != "local":
                    continue
                held = list(pools_of(state, key[3]))
                pools[node or this_node] += len(held)
                subnet = state.holdings.subnets.get(key[3])
                if subnet is not None:
                    leases[this_node] += subnet.leased
                else:
                    leases[node] += sum(len(state.elsewhere.leases_of(pool.id)) for pool in held)
        pause()
    names = {*pools, *seen}
    return [
        NodeView(node, pools[node], leases[node], node == this_node, seen.get(node))
        for node in sorted(names)
    ]


def _nodes_seen(ipam: Ipam) -> dict[str, float | None]:
    try:
        ages = ipam.seconds_since_seen()
    except Unavailable:
        # What they hold is known all the same.
        return {}
    with ipam.reading() as state:
        now = state.clock.wall()
    return {node: None if age is None else now - age for node, age in ages.items()}
