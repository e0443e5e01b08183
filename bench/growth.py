"""How many routes nodes have to announce: a plan of many nodes, simulated with the core itself.

`python -m bench.growth` lets all nodes grow at the same pace, and then networks come and go.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from pyipam.core.aggregates import block_of_aggregate
from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.placement import Placement
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Policy
from pyipam.driver_names import MAIN_DRIVER
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.merging import merge_blocks
from pyipam.store.memory import MemoryStore

NODES = 1_000
NETWORKS = 100
STEPS = 200_000
# Between two steps of the plan. On a node, a network comes or goes every five hours.
STEP_SECONDS = 20.0
# 16 networks fit into an aggregate.
_SCHEMA = """
{"schema_version": 1, "scopes": [
    {"network": "10.0.0.0", "prefix": 8, "node_prefix": 22, "child_prefix": 26}
]}
"""


@dataclass
class Fabric:
    """Nodes that know of the same moment what all of them have claimed."""

    count: int
    seconds: float = 1e9
    nodes: list[Ipam] = field(default_factory=list)
    pools: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        tree = read_schema(_SCHEMA)
        assert isinstance(tree, ScopeTree)
        clock = Clock(lambda: self.seconds, lambda: self.seconds)
        shared: Placement | None = None
        for number in range(self.count):
            ipam = Ipam(MemoryStore(), Policy(), clock, node=f"n{number}")
            ipam.load(tree)
            with ipam.reading() as state:
                # What one node claims is claimed for all of them at once.
                shared = shared or state.placement
                state.placement._scopes = shared._scopes
                state.placement._spaces = shared._spaces
            self.nodes.append(ipam)
            self.pools.append([])

    def create(self, number: int) -> None:
        """Create a network on the node of this number."""
        ipam = self.nodes[number]
        self.seconds += STEP_SECONDS
        request = PoolRequest(MAIN_DRIVER, "local", 4)
        self.pools[number] += ipam.commit([partial(ipam.request_pool, request)])

    def remove(self, number: int, chance: random.Random) -> None:
        """Remove one of the networks of the node of this number."""
        ipam, pools = self.nodes[number], self.pools[number]
        self.seconds += STEP_SECONDS
        pool = pools.pop(chance.randrange(len(pools)))
        ipam.commit([partial(ipam.release_pool, MAIN_DRIVER, pool)])

    def report(self, what: str) -> None:
        """Print how many aggregates and routes a node has, and how long their prefixes are."""
        aggregates, routes = 0, 0
        lengths: Counter[int] = Counter()
        for ipam in self.nodes:
            ipam.catch_up()
            with ipam.reading() as state:
                own = [block_of_aggregate(x) for x in state.aggregates.own() if x.released is None]
            merged = merge_blocks(own)
            aggregates += len(own)
            routes += len(merged)
            lengths.update(block.length for block in merged)
        shown = ", ".join(f"/{length}: {count}" for length, count in sorted(lengths.items()))
        print(
            f"{what}: {aggregates / self.count:.2f} aggregates and {routes / self.count:.2f} "
            f"routes a node ({shown})",
            flush=True,
        )


def main() -> None:
    """Print the figures after the growth, and after the churn."""
    chance = random.Random(1)
    fabric = Fabric(NODES)
    begun = time.monotonic()
    for _ in range(NETWORKS):
        for number in range(NODES):
            fabric.create(number)
    fabric.report(f"{NODES:,} nodes grown to {NETWORKS} networks each")
    for _ in range(STEPS):
        number = chance.randrange(NODES)
        if fabric.pools[number] and chance.random() < 0.5:
            fabric.remove(number, chance)
        else:
            fabric.create(number)
    fabric.report(f"after {STEPS:,} steps of churn")
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
