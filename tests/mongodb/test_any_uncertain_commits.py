"""Whatever a node does while the outcomes of its commits are unknown: once they are undone, what is
stored is what it knows, each record in one place; and another process finds the same.

The seed is printed; MODEL_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import cast

import pytest

from pyipam.errors import PyipamError
from pyipam.plan.scope_tree import ScopeTree
from pyipam.store.errors import Uncertain
from pyipam.store.records import Record
from tests.mongodb.commits import commits_of_outcome
from tests.mongodb.nodes import SharedPlan
from tests.mongodb.places import places, places_for
from tests.support.core import Core, Time, scope, tree_of
from tests.support.failing_store import FailingStore

STEPS = 30
# Two subnets in each of two aggregates, or four in one, or no aggregates: what was drawn before the
# key came, or is asked for after it went, moves from one to the other.
PLAIN = scope("10.1.0.0", 26, child_prefix=28, reuse_delay=1000)
TREES = [tree_of(PLAIN | keys) for keys in ({}, {"node_prefix": 27}, {"node_prefix": 26})]


@pytest.mark.parametrize("number", range(2))
def test_what_a_node_knows_is_what_is_stored_after_commits_of_unknown_outcome(
    plan: SharedPlan, number: int
) -> None:
    seed = int(os.environ.get("MODEL_SEED", str(random.randrange(2**32))))
    print(f"\nMODEL_SEED={seed}")
    world = World(plan, random.Random(seed + number))
    for _ in range(STEPS):
        world.take_step()
    assert world.uncertain > 0


class World:
    """A node, and what happens to it."""

    def __init__(self, plan: SharedPlan, choose: random.Random) -> None:
        self.plan = plan
        self.choose = choose
        self._start(TREES[0], Time())
        self.uncertain = 0

    def take_step(self) -> None:
        """Make one or two calls whose outcomes may be unknown, and see what is left of them."""
        for _ in range(self.choose.randint(1, 2)):
            actions = self._actions()
            if self.choose.random() < 0.3:
                self._let_subnets_rest_outside()
                actions = actions[:2]
            self._call(self.choose.choices(*zip(*actions, strict=True))[0])
        if self.choose.random() < 0.1:
            self._start(self.core.tree, self.core.time)
        self.core.ipam.catch_up()
        assert places(self.plan, "h1") == places_for(known_to(self.core))

    def _start(self, tree: ScopeTree, time: Time) -> None:
        self.store = self.plan.open("h1")
        self.core = Core(tree, store=cast(FailingStore, self.store), time=time)

    def _actions(self) -> list[tuple[Callable[[], object], int]]:
        """What may happen next, and how often."""
        core, choose = self.core, self.choose
        subnet = f"10.1.0.{16 * choose.randrange(4)}/28"
        part = choose.choice(["", subnet.replace("/28", "/29")])
        pool = choose.choice(core.pools() or ["local/10.1.0.0/28"])
        return [
            (core.pool, 4),
            (lambda: core.pool(subnet, ip_range=part), 10),
            (lambda: core.pool("10.2.0.0/24", space="global", is_repeated=True), 2),
            (lambda: core.release_pool(pool), 8),
            (lambda: core.gateway(pool), 2),
            (lambda: core.address(pool), 3),
            (lambda: core.release(pool, choose.choice(list(core.leases(pool)))), 2),
            (self._use_another_tree, 6),
            (lambda: core.time.pass_seconds(choose.choice([50, 301, 1001])), 1),
        ]

    def _let_subnets_rest_outside(self) -> None:
        """Remove all networks, and have one outside of aggregates, before the key comes."""
        core = self.core
        for pool in core.pools():
            core.release_pool(pool)
        core.time.pass_seconds(1001)
        core.ipam.use_schema(TREES[0])
        core.ipam.catch_up()
        for number in range(4):
            pool = core.pool(f"10.1.0.{16 * number}/28")
            core.gateway(pool)
            core.address(pool)
            core.release_pool(pool)
        core.tree = self.choose.choice(TREES[1:])
        core.ipam.use_schema(core.tree)

    def _use_another_tree(self) -> None:
        self.core.tree = self.choose.choice(TREES)
        self.core.ipam.use_schema(self.core.tree)

    def _call(self, call: Callable[[], object]) -> None:
        outcome = self.choose.choice(["", "", "stored", "stored", "not-stored"])
        with commits_of_outcome(self.store, outcome):
            try:
                call()
            except Uncertain:
                self.uncertain += 1
            except (PyipamError, IndexError):
                # It is refused, or there is no lease to be released.
                return


def known_to(core: Core) -> list[Record]:
    """The pools, aggregates and leases of a node, as it knows them."""
    with core.ipam.reading() as state:
        leases = [x for each in state.holdings.subnets.values() for x in each.leases.values()]
        return [*state.holdings.pools(), *state.aggregates.own(), *leases]
