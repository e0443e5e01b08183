"""Pools of a node in aggregates that it does not have: after a backup was restored in part, or
where somebody has changed the database by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pyipam.errors import InUse, NotHeld, StoreFailure
from pyipam.store.records import Change, Delete, NodeRecord, Record
from tests.mongodb.claiming import aggregates, node
from tests.mongodb.nodes import SharedPlan, on_a
from tests.mongodb.transfers import seen_by
from tests.support.core import Core, scope, tree_of
from tests.support.stored_records import AGGREGATE, DRIVER, GATEWAY, LEASE, POOL, puts, replace

INSIDE = replace(POOL, aggregate=AGGREGATE.id.removeprefix("local/"))
KEPT_AGGREGATE = replace(AGGREGATE, id="local/100.64.4.0/24")
KEPT = replace(POOL, id="local/100.64.4.0/30", aggregate="100.64.4.0/24")
KEPT_LEASE = replace(LEASE, pool=KEPT.id, address="100.64.4.2")
STRAY = replace(POOL, id="local/100.64.8.0/30")
LOST: list[Record] = [INSIDE, GATEWAY, LEASE]
HELD: list[Record] = [KEPT_AGGREGATE, KEPT, KEPT_LEASE, STRAY, DRIVER]
STORED_ID = "aggregate@nodea/100.64.0.0/24"


def delete(plan: SharedPlan, stored_id: str = STORED_ID) -> None:
    plan.database.aggregates.delete_one({"_id": stored_id})


def let_be_forgotten(plan: SharedPlan, stored_id: str = STORED_ID) -> None:
    """Let it be as an aggregate of a forgotten node is."""
    plan.database.aggregates.update_one(
        {"_id": stored_id}, {"$set": {"released": 5.0, "forgotten": True}, "$unset": {"process": 1}}
    )


LOSSES = pytest.mark.parametrize(
    "lose", [delete, let_be_forgotten], ids=["it-is-gone", "it-is-forgotten"]
)
Lose = Callable[..., None]


@LOSSES
def test_a_node_that_starts_gives_up_the_pools_in_an_aggregate_that_it_does_not_have(
    plan: SharedPlan, lose: Lose, logged: list[str]
) -> None:
    plan.loaded("nodea").commit(puts(AGGREGATE, *LOST, *HELD))
    plan.loaded("nodeb").commit(puts(replace(STRAY, id="local/100.64.9.0/30")))
    lose(plan)
    others = plan.records("nodea") - {*LOST}
    logged.clear()

    store = plan.open("nodea")
    loaded = set(store.load())

    assert not loaded & {*LOST}
    assert loaded >= {*HELD}
    assert plan.records("nodea") == others
    assert [line.rstrip() for line in logged] == [
        "level=WARNING pools given up pools=local/100.64.0.0/30 "
        'reason="they were drawn from 100.64.0.0/24, which node nodea does not have, and others '
        "may have by now. Restart dockerd, or run pyipam reconcile: their networks are taken in "
        'again where nobody else has their subnets"'
    ]
    store.commit(puts(replace(KEPT, id="local/100.64.4.4/30")))
    assert set(plan.loaded("nodea").load()) >= {*HELD}


def test_a_node_that_has_all_of_its_aggregates_keeps_its_pools(
    plan: SharedPlan, logged: list[str]
) -> None:
    plan.loaded("nodea").commit(puts(replace(AGGREGATE, released=5.0), *LOST, *HELD))
    logged.clear()

    assert seen_by(plan, "nodea") >= {*LOST, *HELD}

    assert logged == []


def test_a_node_that_is_forgotten_leaves_its_pools_to_whoever_forgets_it(plan: SharedPlan) -> None:
    forgotten = NodeRecord("nodea", forgotten=5.0)
    plan.loaded("nodea").commit(puts(AGGREGATE, *LOST, *HELD))
    plan.loaded("nodeb").commit(puts(forgotten))
    let_be_forgotten(plan)
    before = plan.records("nodea")

    assert seen_by(plan, "nodea") >= {*LOST}

    assert plan.records("nodea") == before


def test_whoever_opens_the_plan_as_no_node_gives_up_nothing(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(AGGREGATE, *LOST))
    delete(plan)

    assert seen_by(plan, "(nobody)") == {on_a(record) for record in LOST}
    assert seen_by(plan, "nodeb") == set()
    assert plan.records("nodea") == {*LOST}


CHANGES: dict[str, list[Change]] = {
    "a-pool": puts(replace(INSIDE, id="local/100.64.0.4/30")),
    "a-claim-of-a-pool": puts(replace(INSIDE, label="again")),
    "the-end-of-a-pool": [Delete(INSIDE.key)],
}


@LOSSES
@pytest.mark.parametrize("changes", CHANGES)
def test_a_process_that_loses_an_aggregate_says_so_at_once_and_gives_out_nothing_any_more(
    plan: SharedPlan, lose: Lose, changes: str
) -> None:
    store = plan.loaded("nodea")
    store.commit(puts(AGGREGATE, *LOST, *HELD))
    lose(plan)
    before, began = plan.records("nodea"), time.monotonic()

    with pytest.raises(StoreFailure) as refused:
        store.commit(CHANGES[changes])

    assert time.monotonic() - began < 5
    assert str(refused.value).startswith("aggregate 100.64.0.0/24 of node nodea is not")
    assert "disable and enable the plugin" in str(refused.value)
    assert store.problem() == str(refused.value)
    with pytest.raises(StoreFailure, match=r"aggregate 100\.64\.0\.0/24 of node nodea is not"):
        store.commit(puts(replace(LEASE, address="100.64.0.3")))
    assert plan.records("nodea") == before


def test_a_process_that_loses_a_pool_in_an_aggregate_says_so_at_once(plan: SharedPlan) -> None:
    store = plan.loaded("nodea")
    store.commit(puts(AGGREGATE, *LOST))
    plan.database.aggregates.delete_one({"_id": "local@nodea/100.64.0.0/30"})

    with pytest.raises(StoreFailure, match=r"^pool local/100\.64\.0\.0/30 of node nodea is not"):
        store.commit([Delete(INSIDE.key)])


# Nodes

# Two aggregates.
SMALL = tree_of(scope("10.1.0.0", 19, node_prefix=20, child_prefix=22))


def without_aggregate(plan: SharedPlan) -> Core:
    """A node that was started after its aggregate was lost, and the other one."""
    h2 = node(plan, "h2", SMALL)
    pool = h2.pool()
    h2.gateway(pool)
    assert h2.address(pool) == "10.1.0.2/22"
    let_be_forgotten(plan, "aggregate@h2/10.1.0.0/20")
    return node(plan, "h2", SMALL)


def test_no_address_is_given_out_in_what_was_lost_until_its_network_is_known_again(
    plan: SharedPlan,
) -> None:
    h2 = without_aggregate(plan)

    with pytest.raises(NotHeld, match="restart dockerd"):
        h2.address("local/10.1.0.0/22")

    assert h2.pool("10.1.0.0/22") == "local/10.1.0.0/22"
    assert aggregates(h2) == ["10.1.0.0/20"]
    assert h2.leases("local/10.1.0.0/22") == {}
    h2.gateway("local/10.1.0.0/22", "10.1.0.1")
    assert h2.address("local/10.1.0.0/22") == "10.1.0.2/22"


def test_the_network_of_what_was_lost_can_be_removed(plan: SharedPlan) -> None:
    h2 = without_aggregate(plan)

    h2.release_pool("local/10.1.0.0/22")

    assert h2.pool() == "local/10.1.0.0/22"
    assert h2.leases("local/10.1.0.0/22") == {}


def test_who_has_claimed_it_by_then_keeps_it(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", SMALL)
    for _ in range(5):
        h1.pool()
    h2 = without_aggregate_of(plan, h1)

    with pytest.raises(InUse, match="which node h1 claimed"):
        h2.pool("10.1.0.0/22")
    with pytest.raises(NotHeld):
        h2.address("local/10.1.0.0/22")
    h1.pool()


def without_aggregate_of(plan: SharedPlan, other: Core) -> Core:
    """A node that holds a pool in an aggregate of the other node."""
    store = plan.loaded("h2")
    pool = replace(INSIDE, id="local/10.1.0.0/22", aggregate="10.1.0.0/20")
    claimed = replace(AGGREGATE, id="local/10.1.0.0/20")
    assert aggregates(other) == ["10.1.0.0/20", "10.1.16.0/20"]
    plan.database.aggregates.insert_one(store._codec.encode_pool(pool))
    assert claimed not in plan.records("h2")
    return node(plan, "h2", SMALL)
