"""Nodes that are forgotten while they create networks and start containers, at any moment.

Each seed is a node with a life of its own, which is forgotten in the middle of a call or between
two. FORGET_SEEDS says how many there are.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import pairwise
from typing import TypeVar, cast

import pytest

from pyipam.errors import Exhausted, Unavailable
from pyipam.store.mongodb.forgetting import Forgetting
from pyipam.store.mongodb.presence import PROOF_LASTS_SECONDS
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.pool_id import NO_NODE, split_node, subnet_of
from pyipam.store.records import AggregateRecord, DriverRecord, LeaseRecord, PoolRecord
from tests.mongodb.claiming import aggregates_elsewhere, node
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.core import Core, scope, tree_of
from tests.support.mongodb.replica_set import ReplicaSet, wait_for

Kind = TypeVar("Kind", AggregateRecord, DriverRecord, LeaseRecord, PoolRecord)

SURVIVOR = "survivor"
SEEDS = int(os.environ.get("FORGET_SEEDS", "200"))
AT_ONCE = 4
LONGEST_SECONDS = 0.05
# Room for an aggregate of every seed; and a scope whose blocks all nodes have in common.
TREE = tree_of(
    scope("10.0.0.0", 12, node_prefix=22, child_prefix=26),
    scope("10.64.0.0", 12, child_prefix=26, tags=["common"]),
)


@dataclass
class Life:
    """What a node did until it was refused."""

    core: Core
    choose: random.Random
    pools: list[str] = field(default_factory=list)
    refusal: str = ""
    # Between two calls.
    rest_seconds: float = 0.0

    def live(self) -> None:
        """Create networks and start containers, until that is refused."""
        while not self.refusal:
            try:
                self._act()
            except Exhausted:
                self.pools.pop()
            except Unavailable as refused:
                self.refusal = str(refused)
            time.sleep(self.rest_seconds)

    def _act(self) -> None:
        match self.choose.randrange(4):
            case 0:
                self.pools.append(self.core.pool(tags=self.choose.choice(["", "common"])))
            case 1 if len(self.pools) > 1:
                self.core.release_pool(self.pools.pop())
            case _ if self.pools:
                self.core.address(self.choose.choice(self.pools))


@pytest.fixture(scope="module")
def plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture(scope="module")
def lives(plan: SharedPlan) -> list[Life]:
    """The lives of all seeds. Meanwhile, one node lives that is not forgotten."""
    operator, turn = Forgetting(plan.address, plan.folder), threading.Lock()
    survivor = Life(node(plan, SURVIVOR, TREE), random.Random(SEEDS), rest_seconds=0.02)
    thread = threading.Thread(target=survivor.live)
    with closing(operator), ThreadPoolExecutor(AT_ONCE) as threads:
        operator.load()
        thread.start()
        lives = list(
            threads.map(lambda seed: forgotten_life(plan, operator, turn, seed), range(SEEDS))
        )
    survivor.refusal = "the end"
    thread.join()
    return [survivor, *lives]


def forgotten_life(plan: SharedPlan, operator: Forgetting, turn: threading.Lock, seed: int) -> Life:
    """A node that lives, and is forgotten after a moment; what it did."""
    choose = random.Random(seed)
    name = f"h{seed}"
    life = Life(node(plan, name, TREE), choose)
    life.pools.append(life.core.pool())
    thread = threading.Thread(target=life.live)
    thread.start()
    time.sleep(choose.uniform(0.0, LONGEST_SECONDS))
    with turn:
        operator.forget(name, time.time())
    # As if the last time that it reached the database were a minute ago.
    store_of(life)._presence._proven_at -= PROOF_LASTS_SECONDS
    thread.join()
    store_of(life).close()
    return life


def store_of(life: Life) -> MongoDbStore:
    return cast(MongoDbStore, life.core.store)


def stored(plan: SharedPlan, kind: type[Kind]) -> list[Kind]:
    """Every record of a kind, as no node sees it."""
    return [each for each in plan.records(NO_NODE) if isinstance(each, kind)]


def node_of(name: str) -> str:
    return split_node(name.partition("/")[0])[1]


def test_each_node_is_refused_because_it_was_forgotten(lives: list[Life]) -> None:
    assert {life.refusal.partition(" by an operator")[0] for life in lives[1:]} == {
        f"node h{seed} was forgotten" for seed in range(SEEDS)
    }


def test_nothing_is_left_of_them_but_aggregates_that_rest(
    plan: SharedPlan, lives: list[Life]
) -> None:
    pools, drivers = stored(plan, PoolRecord), stored(plan, DriverRecord)
    assert {node_of(pool.id) for pool in pools} == {SURVIVOR}
    assert {split_node(driver.name)[1] for driver in drivers} == {SURVIVOR}
    of_others = [x for x in stored(plan, AggregateRecord) if node_of(x.id) != SURVIVOR]
    assert all(each.forgotten and each.released is not None for each in of_others)
    assert len({node_of(each.id) for each in of_others}) == SEEDS


def test_no_lease_of_them_is_in_a_pool(plan: SharedPlan, lives: list[Life]) -> None:
    pools = {pool.id for pool in stored(plan, PoolRecord)}
    left = [lease for lease in stored(plan, LeaseRecord) if lease.pool in pools]

    assert {node_of(lease.pool) for lease in left} <= {SURVIVOR}


def test_no_two_blocks_overlap(plan: SharedPlan, lives: list[Life]) -> None:
    common = [pool.id for pool in stored(plan, PoolRecord) if not pool.aggregate]
    blocks = [subnet_of(each.id) for each in stored(plan, AggregateRecord)]
    networks = sorted(map(IPv4Network, [*map(subnet_of, common), *blocks]))

    assert networks
    assert not [pair for pair in pairwise(networks) if pair[0].overlaps(pair[1])]


def test_the_node_that_was_not_forgotten_knows_what_is_stored(
    plan: SharedPlan, lives: list[Life]
) -> None:
    core = lives[0].core
    plan.follow(store_of(lives[0]))
    expected = {each.id for each in stored(plan, AggregateRecord) if node_of(each.id) != SURVIVOR}

    def knows() -> bool:
        core.ipam.catch_up()
        return set(aggregates_elsewhere(core)) == expected

    wait_for(knows, "the aggregates of all nodes")
    with core.ipam.reading() as state:
        assert all(aggregate.forgotten for aggregate in state.aggregates.elsewhere())
        assert len(state.marks) == SEEDS
        assert not list(state.elsewhere.pools())
