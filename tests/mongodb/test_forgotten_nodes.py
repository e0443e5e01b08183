"""What becomes of a node that was forgotten, and of its aggregates, while it runs or returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from pyipam.errors import Exhausted, StoreFailure, Unavailable
from pyipam.store.mongodb.forgetting import Forgetting
from pyipam.store.mongodb.presence import PROOF_LASTS_SECONDS
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import (
    AggregateRecord,
    Change,
    Delete,
    LeaseRecord,
    NodeRecord,
    Put,
    Record,
)
from pyipam.views.routes import RouteFilter, list_routes
from tests.mongodb.claiming import aggregates, node
from tests.mongodb.nodes import SharedPlan, changes_until, on_a, wait_until_refused
from tests.support.core import scope, tree_of
from tests.support.stored_records import AGGREGATE, GATEWAY, LEASE, MARK, POOL, puts, replace

CIDR = AGGREGATE.id.removeprefix("local/")
INSIDE = replace(POOL, aggregate=CIDR)
NEXT = replace(INSIDE, id="local/100.64.0.4/30")
# Outside of every aggregate.
STRAY = replace(POOL, id="local/100.64.8.0/30")
STRAY_LEASE = replace(LEASE, pool=STRAY.id, address="100.64.8.2")
HELD: list[Record] = [AGGREGATE, INSIDE, GATEWAY, LEASE, STRAY, STRAY_LEASE]
AT = 1700000000.5
FORGOTTEN = "node nodea was forgotten by an operator"
RESTING = replace(AGGREGATE, released=AT, forgotten=True)


@pytest.fixture
def operator(plan: SharedPlan) -> Iterator[Forgetting]:
    """Whoever forgets nodes, and has loaded nothing yet."""
    with closing(Forgetting(plan.address, plan.folder)) as found:
        yield found


def forget(operator: Forgetting, name: str, at: float = AT) -> None:
    operator.load()
    operator.forget(name, at)


@pytest.fixture
def forgotten(plan: SharedPlan, operator: Forgetting) -> MongoDbStore:
    """The store of nodea, which holds all of HELD, does not follow the others, and was forgotten
    meanwhile."""
    store = plan.loaded("nodea")
    store.commit(puts(*HELD))
    forget(operator, "nodea")
    return store


def test_all_that_is_left_of_it_are_its_mark_and_its_aggregates_which_rest(
    plan: SharedPlan, forgotten: MongoDbStore
) -> None:
    assert plan.records("nodea") == {NodeRecord("nodea", forgotten=AT), RESTING}


def test_an_aggregate_that_rested_already_has_rested_since_then(
    plan: SharedPlan, operator: Forgetting
) -> None:
    plan.loaded("nodea").commit(puts(replace(AGGREGATE, released=5.0)))

    forget(operator, "nodea")

    assert replace(AGGREGATE, released=5.0, forgotten=True) in plan.records("nodea")


def test_a_node_that_is_forgotten_again_has_been_forgotten_since_the_first_time(
    plan: SharedPlan, operator: Forgetting, forgotten: MongoDbStore
) -> None:
    forget(operator, "nodea", AT + 60)

    assert plan.records("nodea") == {NodeRecord("nodea", forgotten=AT), RESTING}


def test_it_is_counted_what_it_held(plan: SharedPlan, operator: Forgetting) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    operator.load()
    before = operator.held_by("nodea")

    assert operator.forget("nodea", AT) == before
    assert (before.pools, before.leases, before.aggregates) == (2, 3, 1)


def test_the_others_learn_which_of_its_aggregates_rest(
    plan: SharedPlan, operator: Forgetting
) -> None:
    store, other = plan.loaded("nodea"), plan.following("nodeb")
    store.commit(puts(*HELD))
    forget(operator, "nodea")

    said, ended = Put(NodeRecord("nodea", forgotten=AT)), Delete(on_a(STRAY).key)
    learned = changes_until(other, Put(on_a(RESTING)), said, ended)
    assert not any(on_a(INSIDE).key == key_of_put(change) for change in learned)


def key_of_put(change: Change) -> object:
    return change.record.key if isinstance(change, Put) else None


CHANGES: dict[str, list[Change]] = {
    "a-pool-in-an-aggregate": puts(NEXT),
    "the-end-of-a-pool-in-an-aggregate": [Delete(INSIDE.key)],
    "a-pool-outside": puts(replace(POOL, id="local/100.64.8.4/30")),
    "the-end-of-a-pool-outside": [Delete(STRAY.key)],
    "a-claim": puts(replace(AGGREGATE, id="local/100.64.2.0/24")),
    "a-release": puts(replace(AGGREGATE, released=9.0)),
    "a-pool-of-a-swarm": puts(replace(POOL, id="global/100.64.9.0/30")),
}


@pytest.mark.parametrize("changes", CHANGES)
def test_its_process_creates_and_ends_nothing_before_it_has_heard_of_that(
    plan: SharedPlan, forgotten: MongoDbStore, changes: str
) -> None:
    before = plan.records("nodea")

    with pytest.raises(StoreFailure, match=FORGOTTEN):
        forgotten.commit(CHANGES[changes])

    assert plan.records("nodea") == before
    assert FORGOTTEN in str(forgotten.problem())


@pytest.mark.parametrize("lease", [LEASE, STRAY_LEASE], ids=["in-an-aggregate", "outside"])
def test_its_process_gives_out_addresses_for_a_minute_at_most(
    plan: SharedPlan, forgotten: MongoDbStore, lease: LeaseRecord
) -> None:
    forgotten.commit(puts(lease))
    assert lease in plan.records("nodea")

    forgotten._presence._proven_at -= PROOF_LASTS_SECONDS

    with pytest.raises(StoreFailure, match=FORGOTTEN):
        forgotten.commit(puts(replace(lease, epoch=9)))
    assert lease in plan.records("nodea")


@pytest.mark.parametrize("leases", [1, 2])
def test_a_call_that_the_host_is_suspended_in_gives_out_nothing_once_others_may_have_it(
    plan: SharedPlan, forgotten: MongoDbStore, monkeypatch: pytest.MonkeyPatch, leases: int
) -> None:
    suspend_in_writes(forgotten, monkeypatch)

    with pytest.raises(StoreFailure, match=FORGOTTEN):
        forgotten.commit(puts(LEASE, replace(LEASE, address="100.64.0.3"))[:leases])
    assert FORGOTTEN in str(forgotten.problem())


def test_a_call_that_the_host_is_suspended_in_succeeds_where_the_node_is_served_as_before(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = plan.loaded("nodea")
    store.commit(puts(AGGREGATE, INSIDE))
    suspend_in_writes(store, monkeypatch)

    store.commit(puts(LEASE))

    assert LEASE in plan.records("nodea")
    assert store._presence.is_proven_lately()


def suspend_in_writes(store: MongoDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the proof of the process be over when a write that it did not need is sent."""
    for name in ("write_alone", "write_together"):
        write = getattr(store._session, name)

        def suspended(*args: object, write: Callable[..., object] = write) -> object:
            store._presence._proven_at -= PROOF_LASTS_SECONDS
            return write(*args)

        monkeypatch.setattr(store._session, name, suspended)


def test_a_process_that_follows_the_others_gives_out_nothing_from_then_on(
    plan: SharedPlan, operator: Forgetting
) -> None:
    store = plan.following("nodea")
    store.commit(puts(*HELD))
    forget(operator, "nodea")

    wait_until_refused(store, puts(LEASE), FORGOTTEN)
    assert NodeRecord("nodea", forgotten=AT) in [
        change.record for change in store.take_remote_changes() if isinstance(change, Put)
    ]


def test_a_node_that_learns_it_by_a_call_announces_nothing_from_then_on(
    plan: SharedPlan, operator: Forgetting
) -> None:
    h1 = node(plan, "h1")
    pool = h1.pool()
    forget(operator, "h1", h1.time.wall)
    with pytest.raises(Unavailable, match="node h1 was forgotten by an operator"):
        h1.release_pool(pool)

    h1.ipam.catch_up()

    assert list_routes(h1.ipam, RouteFilter(), "h1", lambda: None).routes == ()


def test_a_process_that_was_forgotten_stays_out_when_that_is_undone(
    plan: SharedPlan, operator: Forgetting, forgotten: MongoDbStore
) -> None:
    with pytest.raises(StoreFailure, match=FORGOTTEN):
        forgotten.commit(puts(NEXT))
    operator.load()
    assert operator.undo("nodea")

    with pytest.raises(StoreFailure, match=FORGOTTEN):
        forgotten.commit(puts(NEXT))
    assert plan.records("nodea") == {RESTING}


def test_a_process_that_did_not_hear_of_it_before_it_was_undone_stays_out(
    plan: SharedPlan, operator: Forgetting, forgotten: MongoDbStore
) -> None:
    operator.load()
    operator.undo("nodea")
    forgotten._presence._proven_at -= PROOF_LASTS_SECONDS

    for changes in (puts(LEASE), puts(NEXT), puts(replace(POOL, id="local/100.64.9.0/30"))):
        with pytest.raises(StoreFailure, match=r"was (forgotten|removed)"):
            forgotten.commit(changes)
    assert plan.records("nodea") == {RESTING}


def test_a_process_that_starts_later_loads_what_is_left_and_gives_out_nothing(
    plan: SharedPlan, forgotten: MongoDbStore
) -> None:
    store = plan.open("nodea")

    assert set(store.load()) == {NodeRecord("nodea", forgotten=AT), RESTING}

    assert FORGOTTEN in str(store.problem())
    for changes in CHANGES.values():
        with pytest.raises(StoreFailure, match=FORGOTTEN):
            store.commit(changes)
    store.commit(puts(MARK))
    assert MARK in plan.records("nodea")


def test_a_process_that_started_later_serves_again_when_it_is_undone(
    plan: SharedPlan, operator: Forgetting, forgotten: MongoDbStore
) -> None:
    store = plan.following("nodea")
    operator.load()
    operator.undo("nodea")
    changes_until(store, Delete(NodeRecord("nodea").key))

    store.commit(puts(AGGREGATE, INSIDE))

    assert plan.records("nodea") == {AGGREGATE, INSIDE}
    store.commit(puts(NEXT))


def test_leases_that_were_written_late_are_gone_when_it_is_undone(
    plan: SharedPlan, operator: Forgetting, forgotten: MongoDbStore
) -> None:
    forgotten.commit(puts(replace(LEASE, epoch=9)))
    forgotten.commit(puts(replace(STRAY_LEASE, epoch=9)))

    operator.load()
    operator.undo("nodea")

    assert plan.records("nodea") == {RESTING}


# Nodes


def test_what_a_forgotten_node_had_claimed_is_claimed_last(
    plan: SharedPlan, operator: Forgetting
) -> None:
    small = tree_of(scope("10.1.0.0", 19, node_prefix=20, child_prefix=21))
    h1, h2 = node(plan, "h1", small), node(plan, "h2", small)
    h1.pool()
    forget(operator, "h1", h2.time.wall)

    assert [h2.pool() for _ in range(2)] == ["local/10.1.16.0/21", "local/10.1.24.0/21"]
    with pytest.raises(Exhausted):
        h2.pool()
    h2.time.pass_seconds(301)
    assert h2.pool() == "local/10.1.0.0/21"
    assert aggregates(h2) == ["10.1.0.0/20", "10.1.16.0/20"]


def test_a_node_that_returns_is_told_why_it_gets_nothing(
    plan: SharedPlan, operator: Forgetting
) -> None:
    h1 = node(plan, "h1")
    pool = h1.pool()
    forget(operator, "h1", time.time())

    for subnet in ("", "10.1.128.0/24"):
        with pytest.raises(Unavailable, match="node h1 was forgotten by an operator"):
            h1.pool(subnet)
    h1.ipam.catch_up()
    with pytest.raises(Unavailable, match="node h1 was forgotten by an operator"):
        h1.address(pool)


def test_a_node_whose_forgetting_is_undone_claims_what_nobody_else_has(
    plan: SharedPlan, operator: Forgetting
) -> None:
    h1 = node(plan, "h1")
    h1.pool()
    forget(operator, "h1", h1.time.wall)
    operator.load()
    operator.undo("h1")

    again = node(plan, "h1")

    assert again.pool() == "local/10.1.0.0/22"
    assert aggregates(again) == ["10.1.0.0/20"]


def test_aggregates_of_a_forgotten_node_record_nothing_but_their_rest(
    plan: SharedPlan, forgotten: MongoDbStore
) -> None:
    stored = [each for each in plan.records("nobody") if isinstance(each, AggregateRecord)]

    assert stored == [on_a(RESTING)]
    assert plan.database.aggregates.count_documents({"process": {"$exists": True}}) == 0
