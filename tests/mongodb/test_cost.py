"""What a commit costs: the round trips and the documents examined do not grow with the plan."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyipam.store.errors import Conflict
from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, LeaseRecord, PoolRecord
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.mongodb.wire import RECORDER, names_of
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GLOBAL_POOL,
    LEASE,
    POOL,
    deletes,
    puts,
    replace,
)

LARGE = replace(POOL, id="local/10.0.0.0/16")
SWARM = replace(GLOBAL_POOL, id="global/10.128.0.0/16")


@pytest.fixture(scope="module", params=[100, 2_000])
def plan(request: pytest.FixtureRequest, replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """A plan in which nodea holds many leases in each of two pools, and nodeb many pools."""
    with shared_plan(replica_set) as plan:
        plan.loaded("nodea").commit(puts(LARGE, SWARM))
        fill(plan, request.param)
        yield plan


def fill(plan: SharedPlan, count: int) -> None:
    """Store this many leases and pools as if their nodes had committed them."""
    own, other = RecordCodec("nodea"), RecordCodec("nodeb")
    leases = [own.encode_lease(lease(LARGE, number)) for number in range(count)]
    leases += [own.encode_lease(lease(SWARM, number)) for number in range(count)]
    pools = [other.encode_pool(block(number)) for number in range(count)]
    for collection, documents in ((plan.database.leases, leases), (plan.database.pools, pools)):
        collection.insert_many(documents, ordered=False)


def lease(pool: PoolRecord, number: int) -> LeaseRecord:
    start = "10.0" if pool is LARGE else "10.128"
    return replace(LEASE, pool=pool.id, address=f"{start}.{number >> 8}.{number & 255}")


def block(number: int) -> PoolRecord:
    return replace(
        POOL, id=f"local/172.{16 + (number >> 14)}.{number >> 6 & 255}.{number % 64 * 4}/30"
    )


@pytest.fixture
def store(plan: SharedPlan) -> MongoDbStore:
    return plan.loaded("nodea")


class Cost:
    """How often pyipam waits for the database while a block runs, and how many documents and index
    keys the database examines meanwhile."""

    def __init__(self, plan: SharedPlan) -> None:
        self._database = plan.database
        self._recording = RECORDER.recording()
        self.round_trips = 0
        self.examined = 0

    def __enter__(self) -> Cost:
        self._database.command({"profile": 2, "filter": {"appName": "pyipam"}})
        self._commands = self._recording.__enter__()
        return self

    def __exit__(self, *_error: object) -> None:
        self._recording.__exit__(None, None, None)
        self._database.command({"profile": 0, "filter": "unset"})
        profile = self._database["system.profile"]
        self.round_trips = sum(name != "profile" for name in names_of(self._commands))
        self.examined = sum(
            entry.get("keysExamined", 0) + entry.get("docsExamined", 0) for entry in profile.find()
        )
        profile.drop()


NEW = 50_000
ONE_WRITE: dict[str, list[Change]] = {
    "a-lease": puts(lease(LARGE, NEW)),
    "a-lease-again": puts(replace(lease(LARGE, 7), epoch=2)),
    "a-release": deletes(lease(LARGE, 8)),
    "a-lease-of-the-swarm": puts(lease(SWARM, NEW)),
    "a-release-of-the-swarm": deletes(lease(SWARM, 8)),
    "an-epoch": puts(DRIVER),
    "a-claim-of-a-pool": puts(replace(LARGE, claims=())),
    "a-claim-of-a-pool-of-the-swarm": puts(replace(SWARM, label="again")),
}


@pytest.mark.parametrize("kind", ONE_WRITE)
def test_one_change_costs_one_round_trip_and_examines_one_document(
    plan: SharedPlan, store: MongoDbStore, kind: str
) -> None:
    with Cost(plan) as cost:
        store.commit(ONE_WRITE[kind])

    assert cost.round_trips == 1
    assert cost.examined <= 2


def test_a_block_costs_two_round_trips(plan: SharedPlan, store: MongoDbStore) -> None:
    with Cost(plan) as cost:
        store.commit(puts(replace(POOL, id="local/192.0.2.0/24")))

    assert cost.round_trips == 2
    assert cost.examined <= 4


def test_a_block_in_an_aggregate_costs_two_round_trips_and_an_address_there_one(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    aggregate = replace(AGGREGATE, id="local/192.168.0.0/20")
    pool = replace(POOL, id="local/192.168.0.0/26", aggregate="192.168.0.0/20")
    second = replace(pool, id="local/192.168.0.64/26")
    store.commit(puts(aggregate, pool))

    with Cost(plan) as of_block:
        store.commit(puts(second))
    with Cost(plan) as of_address:
        store.commit(puts(replace(LEASE, pool=second.id, address="192.168.0.66")))

    assert (of_block.round_trips, of_address.round_trips) == (2, 1)
    assert of_block.examined <= 4
    assert of_address.examined <= 2
    store.commit(deletes(second, pool, aggregate))


def test_eight_blocks_and_leases_in_one_commit_cost_three_round_trips(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    pools = [replace(POOL, id=f"local/198.18.{number}.0/24") for number in range(8)]
    leases = [replace(LEASE, pool=pool.id, address=f"198.18.{n}.2") for n, pool in enumerate(pools)]

    with Cost(plan) as cost:
        store.commit(puts(*pools, *leases))

    assert cost.round_trips == 3
    assert cost.examined <= 40


def test_the_end_of_a_block_costs_four_round_trips_and_examines_only_its_own_leases(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    pool = replace(POOL, id="local/203.0.113.0/24")
    leases = [replace(LEASE, pool=pool.id, address=f"203.0.113.{n}") for n in range(1, 9)]
    store.commit(puts(pool, *leases))

    with Cost(plan) as cost:
        store.commit(deletes(*leases, pool))

    assert cost.round_trips == 4
    assert 16 <= cost.examined <= 40


def test_a_conflict_costs_three_round_trips_and_reads_only_what_was_missed(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    other = plan.loaded("nodec")
    for number in range(5):
        other.commit(puts(replace(POOL, id=f"local/198.51.100.{number * 4}/30")))

    with Cost(plan) as cost, pytest.raises(Conflict) as conflict:
        store.commit(puts(replace(POOL, id="local/198.51.100.128/25")))

    assert len(conflict.value.learned) == 5
    assert cost.round_trips == 3
    assert cost.examined <= 20
    other.commit(deletes(*(replace(POOL, id=f"local/198.51.100.{n * 4}/30") for n in range(5))))
