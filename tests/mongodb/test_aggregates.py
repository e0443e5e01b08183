"""Aggregates in a shared store, and the pools and leases in them, which concern one node alone."""

from __future__ import annotations

import pytest

from pyipam.errors import InUse, StoreFailure
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.presence import PROOF_LASTS_SECONDS
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.pool_id import NO_NODE
from pyipam.store.records import Change, Delete, PoolRecord, Put, Record
from tests.mongodb.claiming import aggregates, aggregates_elsewhere, aggregates_of_pools, node
from tests.mongodb.commits import OUTCOMES
from tests.mongodb.nodes import (
    SharedPlan,
    changes_until,
    conflict_of,
    on_a,
)
from tests.support.mongodb.replica_set import wait_for
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GATEWAY,
    LEASE,
    MARK,
    POOL,
    deletes,
    puts,
    replace,
)

CIDR = AGGREGATE.id.removeprefix("local/")
INSIDE = replace(POOL, aggregate=CIDR)
NEXT = replace(INSIDE, id="local/100.64.0.4/30")
NEXT_LEASE = replace(LEASE, pool=NEXT.id, address="100.64.0.6")
CLAIMED: list[Record] = [AGGREGATE, INSIDE, GATEWAY]


@pytest.fixture
def claimed(plan: SharedPlan) -> MongoDbStore:
    """The store of nodea, which has claimed an aggregate with its first pool."""
    store = plan.loaded("nodea")
    store.commit(puts(*CLAIMED))
    return store


def loaded_by(plan: SharedPlan, node: str) -> set[Record]:
    store = plan.open(node)
    records = list(store.load())
    assert len(records) == len(set(records))
    return set(records)


# What a node knows


def test_a_node_loads_what_it_has_in_its_aggregates(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    assert loaded_by(plan, "nodea") == set(CLAIMED)


def test_a_node_loads_the_aggregates_of_others_without_what_is_in_them(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    assert loaded_by(plan, "nodeb") == {on_a(AGGREGATE)}


def test_a_node_whose_name_begins_like_that_of_another_does_not_load_what_is_in_its_aggregates(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    assert loaded_by(plan, "node") == {on_a(AGGREGATE)}
    assert loaded_by(plan, "nodea1") == {on_a(AGGREGATE)}


def test_whoever_opens_the_plan_as_no_node_loads_everything(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    assert loaded_by(plan, NO_NODE) == {on_a(record) for record in CLAIMED}


def test_a_node_hears_of_aggregates_and_not_of_what_is_in_them(plan: SharedPlan) -> None:
    store, other = plan.loaded("nodea"), plan.following("nodeb")
    store.commit(puts(*CLAIMED))
    store.commit(puts(NEXT, NEXT_LEASE))
    store.commit(deletes(NEXT_LEASE, NEXT))
    store.commit(puts(replace(AGGREGATE, released=9.0)))

    last = Put(on_a(replace(AGGREGATE, released=9.0)))
    assert changes_until(other, last) == [Put(on_a(AGGREGATE)), last]


def test_a_node_hears_of_what_is_said_of_nodes(plan: SharedPlan) -> None:
    store, other = plan.following("nodea"), plan.following("nodeb")
    store.commit(puts(MARK))
    store.commit(deletes(MARK))

    assert changes_until(other, Delete(MARK.key)) == [Put(MARK), Delete(MARK.key)]
    assert not store.take_remote_changes()


# Two nodes


def test_of_two_nodes_that_claim_one_block_at_once_one_gets_it(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(*CLAIMED))

    assert conflict_of(second, puts(*CLAIMED)) == (Put(on_a(AGGREGATE)),)
    assert plan.records("nodea") == set(CLAIMED)


@pytest.mark.parametrize("cidr", ["100.64.0.0/23", "100.64.0.128/25"])
def test_a_block_that_overlaps_one_that_was_claimed_meanwhile_is_not_claimed(
    plan: SharedPlan, cidr: str
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(*CLAIMED))

    overlapping = replace(AGGREGATE, id=f"local/{cidr}")

    assert conflict_of(second, puts(overlapping)) == (Put(on_a(AGGREGATE)),)


def test_a_pool_outside_of_aggregates_collides_with_an_aggregate_that_was_claimed_meanwhile(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(*CLAIMED))

    assert conflict_of(second, puts(POOL)) == (Put(on_a(AGGREGATE)),)


def test_what_two_nodes_say_of_a_third_at_once_is_said_by_one(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(MARK))

    assert conflict_of(second, puts(replace(MARK, draining=9.0))) == (Put(MARK),)
    second.commit(deletes(MARK))
    assert conflict_of(first, deletes(MARK)) == (Delete(MARK.key),)


def test_what_was_said_of_a_node_before_what_is_known_is_no_news(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(MARK))
    assert conflict_of(second, deletes(MARK)) == (Put(MARK),)
    second.commit(deletes(MARK))
    other = replace(MARK, name="another")
    first.commit(puts(other))

    plan.follow(second)

    assert changes_until(second, Put(other)) == [Put(other)]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_mark_of_unknown_outcome_is_undone_unless_another_node_has_replaced_it(
    plan: SharedPlan, outcome: str
) -> None:
    first = plan.loaded("nodea")
    with plan.replica_set.failing("update", **OUTCOMES[outcome]), pytest.raises(Uncertain):
        first.commit(puts(MARK), within=1.0)
    later = replace(MARK, draining=9.0)
    plan.loaded("nodeb").commit(puts(later))

    assert conflict_of(first, deletes(MARK)) == (Put(later),)
    assert plan.records("nodea") == {later}


def test_pools_in_an_aggregate_are_created_beside_whatever_others_do(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    other = plan.loaded("nodeb")
    other.commit(puts(replace(POOL, id="local/100.64.1.0/30")))

    claimed.commit(puts(NEXT))
    other.commit(puts(replace(POOL, id="local/100.64.1.4/30")))

    assert {INSIDE, NEXT} < plan.records("nodea")


# Processes of a node


def test_the_process_before_creates_no_pools_in_aggregates(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    plan.loaded("nodea")

    with pytest.raises(StoreFailure, match="another process has begun to serve the node"):
        claimed.commit(puts(NEXT))
    assert NEXT not in plan.records("nodea")


@pytest.mark.parametrize("change", [*puts(AGGREGATE), *deletes(AGGREGATE)])
def test_the_process_before_changes_no_aggregates(
    plan: SharedPlan, claimed: MongoDbStore, change: Change
) -> None:
    plan.loaded("nodea")

    with pytest.raises(StoreFailure, match="another process has begun to serve the node"):
        claimed.commit([change])
    assert plan.records("nodea") == set(CLAIMED)


def test_the_process_before_gives_out_addresses_for_a_minute_at_most(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    plan.loaded("nodea")
    claimed.commit(puts(LEASE))

    claimed._presence._proven_at -= PROOF_LASTS_SECONDS

    with pytest.raises(StoreFailure, match="another process has begun to serve the node"):
        claimed.commit(deletes(LEASE))
    assert LEASE in plan.records("nodea")


def test_the_next_process_goes_on_in_the_aggregates(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    store = plan.loaded("nodea")

    store.commit(puts(NEXT, NEXT_LEASE))
    store.commit(deletes(GATEWAY, INSIDE))

    assert plan.records("nodea") == {AGGREGATE, NEXT, NEXT_LEASE}


def test_an_address_is_one_write_while_the_node_is_known_to_be_served_by_this_process(
    plan: SharedPlan, claimed: MongoDbStore
) -> None:
    before = plan.database.nodes.find_one({"_id": "nodea"})
    claimed.commit(puts(LEASE))
    assert plan.database.nodes.find_one({"_id": "nodea"}) == before

    claimed._presence._proven_at -= PROOF_LASTS_SECONDS
    claimed.commit(deletes(LEASE))
    assert plan.database.nodes.find_one({"_id": "nodea"}) != before


# Commits of unknown outcome

BATCHES: dict[str, list[Change]] = {
    "a-claim": puts(
        replace(AGGREGATE, id="local/100.64.1.0/24"),
        replace(POOL, id="local/100.64.1.0/30", aggregate="100.64.1.0/24"),
    ),
    "a-pool": puts(NEXT, NEXT_LEASE),
    "the-end-of-a-pool": deletes(GATEWAY, INSIDE),
    "a-release": puts(replace(AGGREGATE, released=9.0)),
    "a-mark": puts(MARK),
}
DECISIVE_COMMANDS = {"a-mark": "update"}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_commit_of_unknown_outcome_is_undone_by_the_next_commit(
    plan: SharedPlan, claimed: MongoDbStore, batch: str, outcome: str
) -> None:
    command = DECISIVE_COMMANDS.get(batch, "commitTransaction")
    with plan.replica_set.failing(command, **OUTCOMES[outcome]), pytest.raises(Uncertain):
        claimed.commit(BATCHES[batch], within=1.0)

    claimed.commit([*inverse(BATCHES[batch]), Put(DRIVER)])

    assert plan.records("nodea") == {*CLAIMED, DRIVER}


def inverse(changes: list[Change]) -> list[Change]:
    """What undoes the changes, for the node that has claimed the aggregate."""
    before = {record.key: record for record in CLAIMED}
    keys = [change.record.key if isinstance(change, Put) else change.key for change in changes]
    return [Put(before[key]) if key in before else Delete(key) for key in reversed(keys)]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_address_of_unknown_outcome_is_given_back_with_the_next_commit(
    plan: SharedPlan, claimed: MongoDbStore, outcome: str
) -> None:
    with plan.replica_set.failing("update", **OUTCOMES[outcome]), pytest.raises(Uncertain):
        claimed.commit(puts(LEASE), within=1.0)

    claimed.commit([*deletes(LEASE), Put(DRIVER)])

    assert plan.records("nodea") == {*CLAIMED, DRIVER}


# Nodes


def test_two_nodes_that_start_together_claim_different_blocks(plan: SharedPlan) -> None:
    h1, h2 = node(plan, "h1"), node(plan, "h2")

    for _ in range(6):
        h1.pool()
        h2.pool()

    assert (aggregates(h1), aggregates(h2)) == (
        ["10.1.0.0/20", "10.1.16.0/20"],
        ["10.1.128.0/20", "10.1.144.0/20"],
    )
    assert aggregates_of_pools(h1) == set(aggregates(h1))
    assert aggregates_elsewhere(h2) == ["local@h1/10.1.0.0/20", "local@h1/10.1.16.0/20"]


def test_an_aggregate_without_pools_is_kept_and_drawn_from(plan: SharedPlan) -> None:
    without_pools = replace(AGGREGATE, id="local/10.1.48.0/20", scope="10.1.0.0/16")
    plan.loaded("h1").commit(puts(without_pools))

    h1 = node(plan, "h1")

    assert h1.pool() == "local/10.1.48.0/22"
    assert aggregates(h1) == ["10.1.48.0/20"]


def test_a_node_finds_its_aggregates_when_it_starts_again(plan: SharedPlan) -> None:
    h1 = node(plan, "h1")
    pools = [h1.pool() for _ in range(5)]
    address = h1.address(pools[0])

    h1 = node(plan, "h1")

    assert aggregates(h1) == ["10.1.0.0/20", "10.1.16.0/20"]
    assert address.partition("/")[0] in h1.leases(pools[0])
    assert h1.pool() not in pools


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_claim_of_unknown_outcome_is_taken_back_before_anything_else_is_given_out(
    plan: SharedPlan, outcome: str
) -> None:
    h1, h2 = node(plan, "h1"), node(plan, "h2")
    with (
        plan.replica_set.failing("commitTransaction", **OUTCOMES[outcome]),
        pytest.raises(Uncertain),
    ):
        h1.ipam.commit([lambda: h1.ipam.request_pool(h1.pool_request())], 1.0)

    assert h1.pool() == "local/10.1.0.0/22"
    assert h2.pool() == "local/10.1.128.0/22"
    assert aggregates(h1) == ["10.1.0.0/20"]
    records = plan.records("h1")
    assert len([each for each in records if isinstance(each, PoolRecord)]) == 2


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_pool_of_unknown_outcome_is_taken_back_and_its_repetition_is_served(
    plan: SharedPlan, outcome: str
) -> None:
    h1 = node(plan, "h1")
    first = h1.pool()
    with (
        plan.replica_set.failing("commitTransaction", **OUTCOMES[outcome]),
        pytest.raises(Uncertain),
    ):
        h1.ipam.commit([lambda: h1.ipam.request_pool(h1.pool_request())], 1.0)
    h1.engine = "a later run"
    h1.announce()

    assert h1.pool("10.1.0.0/22") == first
    assert h1.pools() == [first]
    pools = [each.id for each in plan.records("h1") if isinstance(each, PoolRecord)]
    assert pools == [first]


def test_nodes_hear_of_the_aggregates_of_others(plan: SharedPlan) -> None:
    h1, h2 = node(plan, "h1"), node(plan, "h2")
    plan.follow(h2.store)  # type: ignore[arg-type]
    h1.pool()

    def has_heard() -> bool:
        h2.ipam.catch_up()
        return aggregates_elsewhere(h2) == ["local@h1/10.1.0.0/20"]

    wait_for(has_heard, "the aggregate of the other node")
    with pytest.raises(InUse, match="which node h1 claimed"):
        h2.pool("10.1.4.0/24")
