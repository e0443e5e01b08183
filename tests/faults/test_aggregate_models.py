"""What holds of the blocks that nodes claim, whatever several nodes of one plan do.

Each world is a plan of three nodes with a life of its own. The seed is printed; MODEL_SEED repeats
a run, and MODEL_SECONDS says how long it goes on.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import ip_network
from itertools import combinations
from typing import Any, NamedTuple

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.taking_in import UsedPool
from pyipam.errors import PyipamError
from pyipam.host.route import RouteChange
from pyipam.space.block import Block, block_of
from pyipam.space.merging import merge_blocks
from pyipam.store.pool_id import subnet_id_of, subnet_of
from pyipam.store.records import (
    AggregateRecord,
    LeaseRecord,
    NodeKey,
    NodeRecord,
    PoolRecord,
    Record,
)
from pyipam.views.routes import RouteFilter, list_routes
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import NodeStore, SharedPlan

SECONDS = float(os.environ.get("MODEL_SECONDS", "15"))
STEPS = 80
NAMES = ("h1", "h2", "h3")

V6 = scope("fd00::", 56, node_prefix=59, child_prefix=62, tags=["default"])
PLAIN = scope("10.1.0.0", 24, child_prefix=29, tags=["default"])
BELOW = [
    scope("10.1.0.64", 27, child_prefix=30, tags=["default"]),
    scope("10.1.0.144", 28, child_prefix=30, node_prefix=29, tags=["below"]),
]


def claimed(**keys: Any) -> dict[str, Any]:
    """The scope, with blocks that nodes claim."""
    return PLAIN | {"node_prefix": 27} | keys


SCHEMAS = [
    tree_of(claimed(), V6),
    tree_of(claimed(node_prefix=26, reuse_delay=40, reserved=["10.1.0.0/28", "10.1.0.68"])),
    tree_of(PLAIN, V6),
    tree_of(
        claimed(reuse_delay=400, scopes=BELOW),
        scope("10.2.0.0", 26, child_prefix=28, tags=["default"]),
    ),
    tree_of(scope("10.2.0.0", 25, child_prefix=28, node_prefix=26, tags=["default"])),
]
ROUTES = ("10.1.0.0/29", "10.1.0.36/32", "10.1.0.128/25", "10.1.0.0/16")
ACTIONS = {
    "block": 20,
    "subnet": 10,
    "shared subnet": 3,
    "take in": 2,
    "repeat": 6,
    "end": 12,
    "address": 10,
    "release": 4,
    "drain": 1,
    "undrain": 3,
    "give back": 2,
    "forget": 1,
    "remember": 3,
    "schema": 2,
    "schema of all": 1,
    "routes": 2,
    "seconds": 3,
    "restart": 2,
}


class Step(NamedTuple):
    """Something that happens on a node. `outcome` is how its next commit ends: see NodeStore."""

    node: str
    action: str
    number: int
    outcome: str


def any_step(choose: random.Random) -> Step:
    action = choose.choices(list(ACTIONS), list(ACTIONS.values()))[0]
    outcome = choose.choice(["fails", "lost", "stored"]) if choose.random() < 0.12 else ""
    return Step(choose.choice(NAMES), action, choose.randrange(1 << 16), outcome)


class World:
    """A plan, its nodes, and what is stored of it."""

    def __init__(self, number: int) -> None:
        self.plan = SharedPlan()
        tree = SCHEMAS[number % len(SCHEMAS)]
        self.nodes = {name: node(self.plan, name, tree) for name in NAMES}
        self.routes: dict[str, set[str]] = {name: set() for name in NAMES}
        self.time = self.nodes[NAMES[0]].time
        for core in self.nodes.values():
            core.time = self.time
            core.start()

    # What is stored

    def stored(self, name: str, kind: type[Record]) -> list[Any]:
        own = f"local@{name}/"
        records = self.plan.records.values()
        return [x for x in records if isinstance(x, kind) and _id(x).startswith(own)]

    def aggregates(self, name: str) -> dict[str, AggregateRecord]:
        return {subnet_of(each.id): each for each in self.stored(name, AggregateRecord)}

    def is_forgotten(self, name: str) -> bool:
        marks = (each for each in self.plan.records.values() if isinstance(each, NodeRecord))
        return any(mark.name == name and mark.forgotten is not None for mark in marks)

    # What happens

    def take(self, step: Step) -> None:
        core, number = self.nodes[step.node], step.number
        other = NAMES[number % len(NAMES)]
        pools = core.pools()
        pool = pools[number % len(pools)] if pools else "local/10.1.0.0/29"
        match step.action:
            case "block":
                self._request_any(step)
            case "subnet":
                space = "global" if number % 7 == 0 else "local"
                subnet = _any_subnet(number)
                self._call(
                    step, lambda: core.pool(subnet, space=space, is_repeated=number % 5 == 0)
                )
            case "shared subnet":
                subnet = f"10.1.0.{32 * (number % 8)}/29"
                part = subnet.replace("/29", "/30") if number & 1024 else ""
                self._call(step, lambda: core.pool(subnet, ip_range=part, shared=True))
            case "take in":
                subnet = _any_subnet(number)
                used = UsedPool(core.pool_request(subnet), ip_network(subnet), 1, ())
                self._operate(step, lambda: core.ipam.take_in_pool(used))
            case "repeat":
                space, first, length, *ip_range = pool.split("/")
                wishes = {"space": space, "ip_range": "/".join(ip_range), "shared": True}
                subnet = f"{first}/{length}"
                answer = self._call(step, lambda: core.pool(subnet, **wishes))
                assert answer in (pool, None) or pool not in pools
            case "end":
                self._call(step, lambda: core.release_pool(pool))
            case "address":
                self._call(step, lambda: core.address(pool))
            case "release":
                leases = list(core.leases(pool)) if pools else []
                if leases:
                    address = leases[number % len(leases)]
                    self._call(step, lambda: core.release(pool, address))
            case "drain":
                self._operate(step, lambda: core.ipam.drain(other, NAMES))
            case "undrain":
                self._operate(step, lambda: core.ipam.undrain(other, NAMES))
            case "give back":
                cidrs = sorted(self.aggregates(step.node)) or ["10.1.0.0/27"]
                cidr = cidrs[number % len(cidrs)]
                self._operate(step, lambda: core.ipam.release_aggregate(cidr))
            case "forget":
                self.plan.forget(other, self.time.wall)
            case "remember":
                if self.is_forgotten(other):
                    self.plan.undo_forgetting(other)
                    self._restart(other)
            case "seconds":
                self.time.pass_seconds((1, 50, 301, 1000)[number % 4])
            case "restart":
                self._restart(step.node)
            case _:
                self._surroundings(step)

    def _surroundings(self, step: Step) -> None:
        core, number = self.nodes[step.node], step.number
        match step.action:
            case "schema":
                core.tree = SCHEMAS[number % len(SCHEMAS)]
                core.ipam.use_schema(core.tree)
            case "schema of all":
                for each in self.nodes.values():
                    each.tree = SCHEMAS[number % len(SCHEMAS)]
                    each.ipam.use_schema(each.tree)
            case "routes":
                network, known = ROUTES[number % len(ROUTES)], self.routes[step.node]
                if network in known:
                    core.routes.remove(network)
                else:
                    core.routes.add(network)
                known ^= {network}

    def _call(self, step: Step, make: Callable[[], str | None]) -> str | None:
        """Make a call whose commit ends as the step says; None if it is refused."""
        # The store takes nothing from a node that was forgotten.
        outcome = "fails" if self.is_forgotten(step.node) else step.outcome
        store_of(self.nodes[step.node]).outcome = outcome
        before = self.aggregates(step.node).keys()
        try:
            return make()
        except PyipamError:
            return None
        finally:
            store_of(self.nodes[step.node]).outcome = ""
            new = self.aggregates(step.node).keys() - before
            assert len(new) <= 1, f"more than one aggregate for one call: {new}"

    def _operate(self, step: Step, call: Callable[[], object]) -> None:
        self._call(step, lambda: str(self.nodes[step.node].make(call)))

    def _request_any(self, step: Step) -> None:
        core, number = self.nodes[step.node], step.number
        wishes: dict[str, Any] = {"tags": "below"} if number % 11 == 0 else {}
        if number % 3 == 0:
            wishes["version"] = 6
        elif number % 4 == 0:
            wishes["length"] = 26 + number % 5
        if number % 13 == 0:
            wishes["space"] = "global"
        before = {each.id for each in self.plan.records.values() if isinstance(each, PoolRecord)}
        pool = self._call(step, lambda: core.pool(**wishes))
        if pool is None:
            return
        given = _block(pool)
        still = [each for each in self.plan.records.values() if isinstance(each, PoolRecord)]
        taken = [each.id for each in still if each.id in before and _block(each.id).overlaps(given)]
        assert [x for x in taken if x != pool.replace("local/", f"local@{step.node}/")] == []
        others = [x for name in NAMES if name != step.node for x in self.aggregates(name)]
        assert not [cidr for cidr in others if block_of(ip_network(cidr)).overlaps(given)]

    def _restart(self, name: str) -> None:
        core = self.nodes[name]
        core.ipam.catch_up()
        core.ipam.routes()
        core.restart_engine(f"engine of {name} at {self.time.tick()}")
        for network in self.routes[name]:
            core.routes.add(network)

    def give_everything_back(self) -> None:
        """Let all nodes serve, and all networks end."""
        for name, core in self.nodes.items():
            if self.is_forgotten(name):
                self.plan.undo_forgetting(name)
                self._restart(name)
            for network in self.routes[name]:
                core.routes.remove(network)
            self.routes[name].clear()
            core.tree = SCHEMAS[0]
            core.ipam.use_schema(core.tree)
            core.ipam.catch_up()
            core.make(partial(core.ipam.undrain, name))
            for pool in core.pools():
                for _ in range(core.references(pool)):
                    core.release_pool(pool)
        self._let_rest()
        # With the end of a pool, all aggregates are given back but one.
        for core in self.nodes.values():
            core.release_pool(core.pool())
        self._let_rest()

    def _let_rest(self) -> None:
        self.time.pass_seconds(1000)
        for core in self.nodes.values():
            core.ipam.catch_up()

    # What holds

    def check(self) -> None:
        self._check_aggregates()
        pools = [each for each in self.plan.records.values() if isinstance(each, PoolRecord)]
        # There, swarm names every address.
        repeated = {pool.id for pool in pools if pool.follows_swarm}
        leases = Counter(
            (each.pool.startswith("global/"), each.address)
            for each in self.plan.records.values()
            if isinstance(each, LeaseRecord) and each.kind == "container" and each.released is None
            if each.pool not in repeated
        )
        assert all(count == 1 for count in leases.values()), leases
        for name, core in self.nodes.items():
            if not self.is_forgotten(name):
                core.ipam.catch_up()
                assert what_it_knows(core.ipam) == what_it_knows(one_that_starts_now(core, name))
                self._check_routes(name, core)

    def check_at_the_end(self) -> None:
        """Of what was claimed, each node has at most one block of each scope left, and none once no
        node claims blocks any more."""
        for name, core in self.nodes.items():
            assert core.pools() == []
            own = Counter(
                str(core.tree.containing(_block(x.id))) for x in self.aggregates(name).values()
            )
            assert all(count == 1 for count in own.values()), own
            assert all(each.released is None for each in self.aggregates(name).values())
        for core in self.nodes.values():
            core.ipam.use_schema(tree_of(PLAIN))
        self._let_rest()
        self._let_rest()
        assert not [cidr for name in NAMES for cidr in self.aggregates(name)]

    def _check_aggregates(self) -> None:
        """They are disjoint, and those with pools are in use."""
        blocks = [block_of(ip_network(cidr)) for name in NAMES for cidr in self.aggregates(name)]
        assert not [pair for pair in combinations(blocks, 2) if pair[0].overlaps(pair[1])]
        for name in NAMES:
            own = self.aggregates(name)
            for pool in self.stored(name, PoolRecord):
                if pool.aggregate and pool.claims:
                    assert _block(pool.id).is_inside(_block(own[pool.aggregate].id))
                    assert own[pool.aggregate].released is None

    def _check_routes(self, name: str, core: Core) -> None:
        """What a node announces are its aggregates and its strays; of the former only those with
        pools while it is drained."""
        found = list_routes(core.ipam, RouteFilter(), name, lambda: None)
        held = [_block(pool.id) for pool in self.stored(name, PoolRecord) if pool.claims]
        mark = self.plan.records.get(NodeKey(name))
        is_drained = isinstance(mark, NodeRecord) and mark.draining is not None
        active = [_block(x.id) for x in self.aggregates(name).values() if x.released is None]
        kept = [x for x in active if not is_drained or any(pool.is_inside(x) for pool in held)]
        with core.ipam.reading() as state:
            known = [*state.holdings.pools(), *state.elsewhere.pools()]
        swarm = {
            subnet_of(subnet_id_of(pool.id))
            for pool in known
            if pool.follows_swarm or pool.id.startswith("global/")
        }
        strays = [
            _block(pool.id)
            for pool in self.stored(name, PoolRecord)
            if pool.claims
            and subnet_of(subnet_id_of(pool.id)) not in swarm
            and _is_stray(core, _block(pool.id), active)
        ]
        announced = [block_of(ip_network(route.prefix)) for route in found.routes]
        assert merge_blocks(announced) == merge_blocks([*kept, *strays])


def _is_stray(core: Core, block: Block, active: Iterable[Block]) -> bool:
    around = core.tree.containing(block)
    return (
        around is not None
        and around.node_prefix is not None
        and not any(block.is_inside(aggregate) for aggregate in active)
    )


def what_it_knows(ipam: Ipam) -> dict[str, Any]:
    """All that a node holds, knows of others and could give out."""
    with ipam.reading() as state:
        placement = state.placement
        own = [_block(each.id) for each in state.aggregates.own()]
        return {
            "pools": {pool.id: pool for pool in state.holdings.pools()},
            "leases": {
                subnet.id: dict(subnet.leases)
                for subnet in state.holdings.subnets.values()
                # Of the global space, a node learns the leases some time later.
                if subnet.space == "local"
            },
            "aggregates": {each.id: each for each in state.aggregates},
            "marks": dict(state.marks),
            "elsewhere": {pool.id: pool for pool in state.elsewhere.pools()},
            "free": {
                (str(drawn), length): placement.count_free(drawn, length)
                for drawn in placement.tree
                if drawn.can_be_drawn_from
                for length in range(drawn.block.length, drawn.block.length + 8)
                if length <= drawn.block.width
            },
            "in turn": {
                (str(drawn), length): [
                    *placement.fullest_aggregates(drawn, length),
                    *placement.aggregates_at_rest(drawn),
                    *placement.free_buddies(drawn, length),
                ]
                for drawn in placement.tree
                if drawn.node_prefix is not None
                for length in range(drawn.block.length, drawn.block.length + 7)
                if length <= drawn.block.width
            },
            "free in aggregates": {
                (block, length): placement.count_free_in_aggregate(block, length)
                for block in own
                for length in range(block.length, block.length + 6)
                if length <= block.width
            },
        }


def one_that_starts_now(core: Core, name: str) -> Ipam:
    """A node over what is stored now, on the same host."""
    assert isinstance(core.store, NodeStore)
    clock = Clock(lambda: core.time.wall, core.time.tick)
    ipam = Ipam(NodeStore(core.store.plan, name), core.policy, clock, node=name)
    ipam.load(core.tree)
    with core.ipam.reading() as state:
        routes = dict(state.placement.routes)
    with ipam.reading() as state:
        for route, times in routes.items():
            state.placement.take_route_change(RouteChange(route, times))
    return ipam


def _any_subnet(number: int) -> str:
    if number % 10 == 0:
        return ("fd00::/64", "fd00:0:0:40::/64", "fd00::/59", "10.9.0.0/24")[number // 10 % 4]
    return str(ip_network(f"10.1.0.{number >> 8}/{26 + number % 5}", strict=False))


def _id(record: Record) -> str:
    match record:
        case LeaseRecord():
            return record.pool
        case PoolRecord() | AggregateRecord():
            return record.id
        case _:
            return ""


def _block(pool_id: str) -> Block:
    return block_of(ip_network(subnet_of(subnet_id_of(pool_id))))


def worlds() -> Iterator[tuple[int, list[Step]]]:
    """What happens in each world, until the time is over."""
    seed = int(os.environ.get("MODEL_SEED", str(random.randrange(2**32))))
    print(f"\nMODEL_SEED={seed}")
    until = time.monotonic() + SECONDS
    number = 0
    while number == 0 or time.monotonic() < until:
        choose = random.Random(seed + number)
        yield seed + number, [any_step(choose) for _ in range(STEPS)]
        number += 1
    print(f"{number} worlds")


def test_whatever_nodes_do_each_has_its_own_blocks_and_knows_what_is_stored() -> None:
    for seed, steps in worlds():
        random.seed(seed)
        world = World(seed)
        for step in steps:
            world.take(step)
            world.check()
        world.give_everything_back()
        world.check()
        world.check_at_the_end()
