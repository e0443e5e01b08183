"""What it costs to refuse a network for which none of many scopes has a block.

Nothing else is given out meanwhile. `python -m bench.refusals [SCOPES]` prints a table: processor
time in the core, over a store in memory.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from bench.run import Run
from bench.table import MILLISECONDS, absolute
from pyipam.core.aggregates import id_of_own
from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import PoolRequest
from pyipam.core.selection import Policy
from pyipam.driver_names import MAIN_DRIVER
from pyipam.errors import Exhausted
from pyipam.host.route import Route
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block
from pyipam.store.memory import MemoryStore
from pyipam.store.records import AggregateRecord, Claim, PoolRecord, Record
from tests.support.host_routes import SaidRoutes

MOST_SECONDS = 0.3
_BLOCKS = 4
_ROUNDS = 5
_NOW = 1e9

Entry = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A scope with many scopes below it, each of four blocks. The last `reserved` blocks of each
    are reserved there, or by the scope around them; networks have the others, in aggregates of this
    node if there is a `node_prefix`. `is_cut` says that a network has only the first half of a
    block, `rests` that no network has it any more, and `is_new` that all were created just now.
    The last `routed` blocks are on routes of the host. `length` is asked for; `keys` are further
    ones of each scope."""

    title: str
    version: int = 4
    reserved: int = 0
    is_reserved_around: bool = False
    node_prefix: int | None = None
    is_cut: bool = False
    rests: bool = False
    is_new: bool = False
    routed: int = 0
    length: int | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)

    def block(self, number: int) -> Block:
        """The scope of this number, from 0 on."""
        if self.version == 4:
            return Block(4, (10 << 24) + (number << 8), 24)
        return Block(6, (0xFD << 120) + (number << 96), 32)

    def part(self, number: int, place: int) -> Block:
        """The block of a scope at this place, from 0 on."""
        version, start, length = self.block(number)
        size = 1 << (self.block(number).width - length - 2)
        return Block(version, start + place * size, length + 2)

    def tree(self, scopes: int) -> ScopeTree:
        """The schema, with so many scopes below the one around them."""
        reserved = [
            [str(self.part(number, place)) for place in range(_BLOCKS - self.reserved, _BLOCKS)]
            for number in range(scopes)
        ]
        around = "10.0.0.0/8" if self.version == 4 else "fd00::/8"
        root: Entry = {**_network(around), "scopes": []}
        if self.is_reserved_around:
            root["reserved"] = [entry for entries in reserved for entry in entries]
        for number in range(scopes):
            block = self.block(number)
            scope = {**_network(str(block)), "child_prefix": block.length + 2, **self.keys}
            if self.node_prefix is not None:
                scope["node_prefix"] = self.node_prefix
            if self.reserved and not self.is_reserved_around:
                scope["reserved"] = reserved[number]
            root["scopes"].append(scope)
        found = read_schema(json.dumps({"schema_version": 1, "scopes": [root]}))
        assert isinstance(found, ScopeTree), found
        return found

    def records(self, scopes: int) -> Iterator[Record]:
        """What is held."""
        for number in range(scopes):
            for place in range(_BLOCKS - self.reserved):
                yield from self._records_at(self.part(number, place), str(self.block(number)))

    def _records_at(self, block: Block, scope: str) -> Iterator[Record]:
        aggregate = ""
        if self.node_prefix is not None:
            around = block.widened_to(self.node_prefix)
            aggregate = str(around)
            yield AggregateRecord(id_of_own(around), scope, 1.0)
        if self.is_cut:
            block = Block(block.version, block.start, block.length + 1)
        claims = () if self.rests else (Claim(MAIN_DRIVER, 1, 1),)
        released = _NOW if self.rests else None
        created = _NOW if self.is_new else 1.0
        yield PoolRecord(
            id_of_own(block), scope, "", "", claims, created, released, aggregate=aggregate
        )

    def routes(self, scopes: int) -> Iterator[Route]:
        """The routes of the host."""
        for number in range(scopes):
            for place in range(_BLOCKS - self.routed, _BLOCKS):
                yield Route(self.part(number, place), f"eth{number}")


def _network(cidr: str) -> Entry:
    address, length = cidr.split("/")
    return {"network": address, "prefix": int(length)}


_LOCKED = {"lock_down": True, "pre_seed_children": True}

PLANS = (
    Plan("all taken"),
    Plan("all taken, IPv6", 6),
    Plan("all taken in part", is_cut=True),
    Plan("all taken in part, IPv6", 6, is_cut=True),
    Plan("with reserved entries", reserved=1),
    Plan("with reserved entries, IPv6", 6, reserved=1),
    Plan("in part, with reserved entries", reserved=1, is_cut=True),
    Plan("in part, with reserved entries, IPv6", 6, reserved=1, is_cut=True),
    Plan("with reserved entries of the scope around", reserved=1, is_reserved_around=True),
    Plan("reserved as a whole", reserved=_BLOCKS),
    Plan("for another length", reserved=1, length=25),
    Plan("that give out only their children", length=27, keys=_LOCKED),
    Plan("of which nodes claim blocks", node_prefix=25),
    Plan("of which nodes claim blocks, IPv6", 6, node_prefix=33, reserved=1),
    Plan("of which nodes claim blocks, all new", node_prefix=25, is_new=True),
    Plan("for networks of the other kind", keys={"address_space": "global"}),
    Plan("with routes of the host", routed=1),
    Plan("at rest and on routes", rests=True, routed=_BLOCKS, keys={"reuse_delay": 86400}),
)


@dataclass(frozen=True)
class Costs:
    """Seconds of processor time of the first refusal after a start, and of later ones."""

    first: float
    later: float


def measure(plan: Plan, scopes: int) -> Costs:
    """The costs with so many scopes."""
    store = MemoryStore({record.key: record for record in plan.records(scopes)})
    routes = SaidRoutes()
    for route in plan.routes(scopes):
        routes.add(str(route.block), route.interface)
    ipam = Ipam(store, Policy(), Clock(lambda: _NOW, lambda: _NOW), routes)
    ipam.load(plan.tree(scopes))
    with ipam.reading() as state:
        state.learn_routes()
    gc.collect()
    request = PoolRequest(MAIN_DRIVER, "local", plan.version, length=plan.length)
    first, *others = [_refuse(ipam, request) for _ in range(1 + _ROUNDS)]
    return Costs(first, median(others))


def _refuse(ipam: Ipam, request: PoolRequest) -> float:
    begun = time.thread_time()
    try:
        ipam.commit([partial(ipam.request_pool, request)])
    except Exhausted:
        return time.thread_time() - begun
    raise AssertionError("a scope has a block")


def refused_networks(run: Run) -> None:
    """How long a network is refused for of which many scopes have to be named."""
    for plan in PLANS:
        costs = measure(plan, run.sizes.refusing_scopes)
        run.add(
            absolute(
                f"refusal over {run.sizes.refusing_scopes:,} scopes, {plan.title}",
                max(costs.first, costs.later),
                MILLISECONDS,
                most=MOST_SECONDS,
            )
        )


def main() -> None:
    """Print the costs of every plan."""
    scopes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    print(f"{scopes:,} scopes{'':36}{'first':>10}{'later':>10}")
    for plan in PLANS:
        costs = measure(plan, scopes)
        cells = "".join(f"{seconds * 1e3:7,.0f} ms" for seconds in (costs.first, costs.later))
        print(f"{plan.title:46}{cells}", flush=True)


if __name__ == "__main__":
    main()
