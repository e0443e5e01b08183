"""Commits while members are lost: each ends within its time, stored or without effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from pyipam.errors import StoreFailure, Unavailable
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, LeaseKey
from tests.mongodb.commits import BATCHES
from tests.mongodb.load import GRACE_SECONDS, LARGE, Load, blocks, is_put, leases
from tests.mongodb.losses import LOSSES
from tests.mongodb.nodes import OTHER_POOL, SharedPlan
from tests.support.mongodb.replica_set import ReplicaSet, wait_for
from tests.support.stored_records import DRIVER, GATEWAY, LEASE, POOL, puts

pytestmark = pytest.mark.usefixtures("repaired_afterwards")


@pytest.fixture
def store(plan: SharedPlan) -> MongoDbStore:
    """The store of a node that holds a pool and its gateway."""
    store = plan.loaded()
    store.commit(puts(POOL, GATEWAY, DRIVER))
    return store


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("batches", [leases, blocks])
def test_exactly_what_was_acknowledged_is_stored_after_a_fail_over(
    plan: SharedPlan,
    store: MongoDbStore,
    lose: Callable[[ReplicaSet], None],
    batches: Callable[[], Iterator[list[Change]]],
) -> None:
    store.commit(puts(LARGE))
    before = plan.records()

    with Load(store, batches()) as load:
        assert load.has_gone_on()
        lose(plan.replica_set)
        assert load.has_gone_on()
        plan.replica_set.repair()
        assert load.has_gone_on()
    load.undo_uncertain([DRIVER])

    expected = {change.record for batch in load.acknowledged for change in batch if is_put(change)}
    assert plan.records() - before == expected
    assert load.longest_seconds < 20.0 + GRACE_SECONDS


def test_a_commit_ends_within_its_time_when_every_member_is_gone(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    plan.replica_set.kill_all()

    for batch in BATCHES.values():
        begin = time.monotonic()
        with pytest.raises(StoreFailure):
            store.commit(batch, within=1.5)
        assert time.monotonic() - begin < 1.5 + GRACE_SECONDS


def test_a_commit_ends_within_its_time_when_every_member_hangs(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    for member in plan.replica_set.members:
        member.freeze()

    for batch in BATCHES.values():
        begin = time.monotonic()
        with pytest.raises(StoreFailure):
            store.commit(batch, within=1.5)
        assert time.monotonic() - begin < 1.5 + GRACE_SECONDS


def test_the_store_commits_again_after_every_member_was_gone(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    plan.replica_set.kill_all()
    # A commit that still finds a connection fails in another way.
    wait_for(lambda: store.problem() is not None, "the loss of every member to be noticed")
    with pytest.raises(StoreFailure, match="no primary can be reached"):
        store.commit(puts(LEASE), within=1.0)
    plan.replica_set.repair()

    store.commit(puts(OTHER_POOL), within=20.0)

    assert plan.records() == {POOL, GATEWAY, DRIVER, OTHER_POOL}


def test_a_minority_acknowledges_nothing(plan: SharedPlan, store: MongoDbStore) -> None:
    for member in plan.replica_set.secondaries():
        member.freeze()

    with pytest.raises(StoreFailure):
        store.commit(puts(LEASE), within=3.0)


@pytest.mark.parametrize("lose", LOSSES)
def test_remote_changes_arrive_after_a_fail_over(
    plan: SharedPlan, store: MongoDbStore, lose: Callable[[ReplicaSet], None]
) -> None:
    other = plan.following("nodeb")
    lose(plan.replica_set)
    wait_for(lambda: is_committed(store, puts(LEASE)), "a commit")
    found: list[Change] = []

    def look() -> bool:
        found.extend(other.take_remote_changes())
        return bool(found)

    wait_for(look, "the change of a lease")
    assert [change.record.key for change in found if is_put(change)] == [
        LeaseKey("local@nodea/100.64.0.0/30", LEASE.address)
    ]


def test_a_store_opened_while_the_database_is_away_says_so_and_loads_later(
    plan: SharedPlan,
) -> None:
    plan.loaded().commit(puts(POOL))
    plan.replica_set.kill_all()

    store = plan.open()
    with pytest.raises(Unavailable, match=r"does not answer \(no primary can be reached: 127"):
        store.load()
    with pytest.raises(StoreFailure, match="until it has been read completely"):
        store.commit(puts(LEASE))
    plan.replica_set.repair()

    assert list(store.load()) == [POOL]
    store.commit(puts(LEASE))


def is_committed(store: MongoDbStore, changes: Sequence[Change]) -> bool:
    """Whether the commit is stored; that was unknown while the primary was lost."""
    try:
        store.commit(changes)
    except StoreFailure:
        return False
    return True
