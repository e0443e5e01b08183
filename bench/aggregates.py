"""What the calls of a node cost, depending on how many aggregates it has, and other nodes have.

`python -m bench.aggregates` prints a table: processor time in the core, over a store in memory.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from statistics import median
from typing import TypeVar

from bench.parts import FLAT
from bench.run import Run
from bench.table import MICROSECONDS, divided
from pyipam.core.aggregates import id_of_own
from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.core.selection import Policy
from pyipam.driver_names import MAIN_DRIVER
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block
from pyipam.store.memory import MemoryStore
from pyipam.store.records import AggregateRecord, Claim, PoolRecord, Record

Answer = TypeVar("Answer")

OWN = (1, 16, 256, 1_000)
NODES = (0, 1_000)
_NAMES = {
    "request_pool": "a block of an aggregate that is there",
    "claim": "a block for which an aggregate is claimed",
    "release_pool": "the end of a network",
    "give_back": "the end of the last network of an aggregate",
    "request_address": "an address",
}
_OF_EACH_NODE = 3
_ROUNDS = 200
_CLAIMS = 40
_POOLS = 16


@dataclass(frozen=True)
class Plan:
    """A scope, the length of the blocks that nodes claim from it, and that of their pools."""

    version: int
    network: str
    start: int
    length: int
    node_prefix: int
    child_prefix: int

    @property
    def width(self) -> int:
        """How many bits an address has."""
        return 32 if self.version == 4 else 128

    def tree(self) -> ScopeTree:
        """The schema of this scope alone."""
        found = read_schema(
            f'{{"schema_version": 1, "scopes": [{{"network": "{self.network}", '
            f'"prefix": {self.length}, "node_prefix": {self.node_prefix}, '
            f'"child_prefix": {self.child_prefix}}}]}}'
        )
        assert isinstance(found, ScopeTree), found
        return found

    def aggregate(self, number: int) -> Block:
        """The block of this number that a node can claim, from 0 on."""
        size = 1 << (self.width - self.node_prefix)
        return Block(self.version, self.start + number * size, self.node_prefix)

    def pool(self, aggregate: Block, number: int) -> Block:
        """The pool of this number in an aggregate, from 0 on."""
        size = 1 << (self.width - self.child_prefix)
        return Block(self.version, aggregate.start + number * size, self.child_prefix)


PLANS = (
    Plan(4, "10.0.0.0", 10 << 24, 8, 20, 24),
    Plan(6, "fd00::", 0xFD << 120, 32, 60, 64),
)


@dataclass(frozen=True)
class Costs:
    """Seconds of processor time: of a pool from an aggregate that is there, of the release of a
    pool, of a pool for which an aggregate is claimed, of the release that leaves an aggregate
    empty, of an address, and of a start."""

    request_pool: float
    release_pool: float
    claim: float
    give_back: float
    request_address: float
    load: float


def measure(plan: Plan, own: int, nodes: int) -> Costs:
    """The costs on a node with this many aggregates of its own, all but the last block of which are
    in use, beside so many other nodes."""
    gc.collect()
    store = MemoryStore({record.key: record for record in _records(plan, own, nodes)})
    begun = time.process_time()
    seconds = [1e9]
    ipam = Ipam(store, Policy(), Clock(lambda: seconds[0], lambda: seconds[0]))
    ipam.load(plan.tree())
    loaded = time.process_time() - begun
    samples: dict[str, list[float]] = defaultdict(list)
    taken: list[list[str]] = []

    def timed(name: str, call: Callable[[], Answer]) -> Answer:
        begun = time.thread_time()
        (answer,) = ipam.commit([call])
        samples[name].append(time.thread_time() - begun)
        # Otherwise it would look as if Docker turned down one block after the other.
        seconds[0] += 10.0
        return answer

    request = PoolRequest(MAIN_DRIVER, "local", plan.version)
    for number in range(_ROUNDS):
        held = id_of_own(plan.pool(plan.aggregate(number * 7919 % own), number % (_POOLS - 1)))
        if ipam.counts().pools > own * (_POOLS - 1) - 1:
            timed("release_pool", partial(ipam.release_pool, MAIN_DRIVER, held))
        pool = timed("request_pool", partial(ipam.request_pool, request))
        address = AddressRequest(MAIN_DRIVER, pool)
        timed("request_address", partial(ipam.request_address, address))
    while ipam.counts().pools < own * _POOLS:
        timed("", partial(ipam.request_pool, request))
    for _ in range(_CLAIMS):
        pools = [timed("claim", partial(ipam.request_pool, request))]
        pools += [timed("", partial(ipam.request_pool, request)) for _ in range(_POOLS - 1)]
        taken.append(pools)
    for last, *others in taken:
        for pool in others:
            timed("", partial(ipam.release_pool, MAIN_DRIVER, pool))
        timed("give_back", partial(ipam.release_pool, MAIN_DRIVER, last))
    del samples[""]
    return Costs(load=loaded, **{name: median(times) for name, times in samples.items()})


def many_aggregates(run: Run) -> None:
    """What calls cost with many aggregates, of this node and of others, against one."""
    few, many = run.sizes.own_aggregates
    for plan in PLANS:
        one, all_of_them = measure(plan, few, 0), measure(plan, many, run.sizes.other_nodes)
        for name, title in _NAMES.items():
            run.add(
                divided(
                    f"{title}, IPv{plan.version}: {many:,} aggregates against {few:,}",
                    getattr(all_of_them, name),
                    getattr(one, name),
                    MICROSECONDS,
                    most=FLAT,
                )
            )


def _records(plan: Plan, own: int, nodes: int) -> Iterator[Record]:
    for number in range(own):
        aggregate = plan.aggregate(number)
        yield AggregateRecord(id_of_own(aggregate), str(plan.network), 1.0)
        for place in range(_POOLS - 1):
            claims = (Claim(MAIN_DRIVER, 1, 1),)
            block = plan.pool(aggregate, place)
            yield PoolRecord(id_of_own(block), "", "", "", claims, 1.0, aggregate=str(aggregate))
    for number in range(nodes * _OF_EACH_NODE):
        block = plan.aggregate(own + 1 + number)
        yield AggregateRecord(f"local@n{number // _OF_EACH_NODE}/{block}", plan.network, 1.0)


def main() -> None:
    """Print the costs of every plan."""
    names = [field.name.replace("_", " ") for field in fields(Costs)]
    print(f"{'':24}" + "".join(f"{name:>16}" for name in names))
    for plan in PLANS:
        for nodes in NODES:
            for own in OWN:
                costs = measure(plan, own, nodes)
                shown = [getattr(costs, field.name) for field in fields(Costs)]
                cells = "".join(f"{seconds * 1e6:13,.0f} us" for seconds in shown)
                print(f"IPv{plan.version} own {own:5} nodes {nodes:5}" + cells, flush=True)


if __name__ == "__main__":
    main()
