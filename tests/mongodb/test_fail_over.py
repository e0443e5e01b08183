"""What is promised when members are lost: every commit ends in time, done or without effect, and
of one whose outcome nobody knows nothing is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from pyipam.errors import StoreFailure, Unavailable
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.mongodb.error_codes import UNAUTHORIZED, WRITE_CONCERN_TIMEOUT
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, Delete, LeaseKey, LeaseRecord, Put, Record
from tests.mongodb.load import GRACE, LARGE, Load, blocks, is_put, leases
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.mongodb.wire import RECORDER, deliver, names_of
from tests.support.mongodb.replica_set import ReplicaSet, wait_for
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    LEASE,
    POOL,
    deletes,
    puts,
    replace,
)

OTHER_POOL = replace(POOL, id="local/100.64.0.4/30")
GLOBAL_LEASE = replace(LEASE, pool=GLOBAL_POOL.id)

# A lease is one write, a block a transaction.
BATCHES: dict[str, list[Change]] = {
    "a-lease": puts(LEASE),
    "a-release": deletes(GATEWAY),
    "a-block": puts(OTHER_POOL, replace(LEASE, pool=OTHER_POOL.id, address="100.64.0.6")),
    "the-end-of-a-block": deletes(GATEWAY, POOL),
}
# The command that decides whether it is stored.
DECISIVE = {
    "a-lease": "update",
    "a-release": "delete",
    "a-block": "commitTransaction",
    "the-end-of-a-block": "commitTransaction",
}
# Whether it is stored, which the one who commits it cannot know.
OUTCOMES: dict[str, dict[str, object]] = {
    "not-stored": {"closeConnection": True},
    "stored": {"writeConcernError": {"code": WRITE_CONCERN_TIMEOUT, "errmsg": "waiting timed out"}},
}


@pytest.fixture
def plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    with shared_plan(replica_set) as plan:
        try:
            yield plan
        finally:
            replica_set.mend()


@pytest.fixture
def store(plan: SharedPlan) -> MongoDbStore:
    """A node that holds a pool and its gateway."""
    store = plan.loaded()
    store.commit(puts(POOL, GATEWAY, DRIVER))
    return store


# Nobody knows


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_commit_of_unknown_outcome_is_taken_back_by_the_next(
    plan: SharedPlan, store: MongoDbStore, batch: str, outcome: str
) -> None:
    with (
        plan.replica_set.failing(DECISIVE[batch], **OUTCOMES[outcome]),
        pytest.raises(Uncertain, match="it is not known whether the change was stored"),
    ):
        store.commit(BATCHES[batch], within=1.0)

    store.commit([*inverse(BATCHES[batch]), Put(replace(DRIVER, engine="next"))])

    assert plan.records() == {POOL, GATEWAY, replace(DRIVER, engine="next")}


def inverse(changes: Sequence[Change]) -> list[Change]:
    """What takes the changes back, for a node that held a pool and its gateway."""
    before: dict[object, Record] = {record.key: record for record in (POOL, GATEWAY)}
    keys = [change.record.key if isinstance(change, Put) else change.key for change in changes]
    return [Put(before[key]) if key in before else Delete(key) for key in reversed(keys)]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("loses_primary", [False, True], ids=["same-primary", "another-primary"])
def test_a_commit_that_arrives_after_it_was_taken_back_has_no_effect(
    plan: SharedPlan, store: MongoDbStore, batch: str, loses_primary: bool
) -> None:
    with (
        plan.replica_set.failing(DECISIVE[batch], closeConnection=True),
        RECORDER.recording() as commands,
        pytest.raises(Uncertain),
    ):
        store.commit(BATCHES[batch], within=1.0)
    store.commit(inverse(BATCHES[batch]))
    if loses_primary:
        # The next one knows of the session what was replicated, and no more.
        plan.replica_set.step_down()

    sent = [command for command in commands if "txnNumber" in command]
    assert DECISIVE[batch] in names_of(sent)
    for command in sent:
        reply = deliver(command, plan.replica_set.primary().place)
        assert reply["ok"] == 0 or "writeErrors" in reply, reply

    assert plan.records() == {POOL, GATEWAY, DRIVER}


def test_a_commit_that_was_perhaps_stored_keeps_its_addresses_from_others_until_it_is_taken_back(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    other = plan.loaded("nodeb")
    other.commit(puts(replace(POOL, id="local/100.64.0.0/24")))
    lease = replace(LEASE, pool="local/100.64.0.0/24")
    with plan.replica_set.failing("update", **OUTCOMES["stored"]), pytest.raises(Uncertain):
        store.commit(puts(LEASE), within=1.0)

    with pytest.raises(Conflict):
        other.commit(puts(lease))
    store.commit(deletes(LEASE))
    other.commit(puts(lease))

    assert lease in plan.records("nodeb")


def test_what_another_took_meanwhile_is_not_taken_back(plan: SharedPlan) -> None:
    former, leader = plan.loaded("nodea"), plan.loaded("nodeb")
    former.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    with plan.replica_set.failing("delete", **OUTCOMES["stored"]), pytest.raises(Uncertain):
        former.commit(deletes(GLOBAL_LEASE), within=1.0)
    leader.load_global_space()
    leader.commit(puts(GLOBAL_LEASE))

    former.commit(deletes(GLOBAL_LEASE))

    assert GLOBAL_LEASE in plan.records("nodeb")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_lease_that_was_perhaps_taken_over_is_given_back(plan: SharedPlan, outcome: str) -> None:
    plan.loaded("nodea").commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    leader = plan.loaded("nodeb")
    (held,) = (record for record in leader.load_global_space() if isinstance(record, LeaseRecord))
    with plan.replica_set.failing("update", **OUTCOMES[outcome]), pytest.raises(Uncertain):
        leader.commit(puts(replace(GLOBAL_LEASE, granted=7.0)), within=1.0)

    leader.commit(puts(held))

    assert plan.records("nodea") == {GLOBAL_POOL, GLOBAL_LEASE}


def test_a_refused_commit_is_certain(plan: SharedPlan, store: MongoDbStore) -> None:
    with (
        plan.replica_set.failing("update", errorCode=UNAUTHORIZED),
        pytest.raises(StoreFailure, match="nothing has been done") as failure,
    ):
        store.commit(puts(LEASE), within=1.0)

    assert not isinstance(failure.value, Uncertain)
    store.commit(puts(LEASE))


# The primary is lost


def kill(replica_set: ReplicaSet) -> None:
    replica_set.primary().kill()


def freeze(replica_set: ReplicaSet) -> None:
    replica_set.primary().freeze()


def step_down(replica_set: ReplicaSet) -> None:
    replica_set.step_down()


LOSSES = [kill, freeze, step_down]


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("batches", [leases, blocks])
def test_what_was_acknowledged_is_there_after_a_fail_over_and_nothing_else(
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
        plan.replica_set.mend()
        assert load.has_gone_on()
    load.settle([DRIVER])

    expected = {change.record for batch in load.acknowledged for change in batch if is_put(change)}
    assert plan.records() - before == expected
    assert load.longest < 20.0 + GRACE


def test_a_commit_ends_in_the_time_that_it_was_given(plan: SharedPlan, store: MongoDbStore) -> None:
    plan.replica_set.kill_all()

    for batch in BATCHES.values():
        begin = time.monotonic()
        with pytest.raises(StoreFailure):
            store.commit(batch, within=1.5)
        assert time.monotonic() - begin < 1.5 + GRACE


def test_a_commit_ends_in_time_when_every_member_hangs(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    for member in plan.replica_set.members:
        member.freeze()

    for batch in BATCHES.values():
        begin = time.monotonic()
        with pytest.raises(StoreFailure):
            store.commit(batch, within=1.5)
        assert time.monotonic() - begin < 1.5 + GRACE


def test_the_store_goes_on_when_all_members_were_gone(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    plan.replica_set.kill_all()
    # A commit that still finds a connection fails in another way.
    wait_for(lambda: store.problem() is not None, "the loss of every member to be noticed")
    with pytest.raises(StoreFailure, match="no primary can be reached"):
        store.commit(puts(LEASE), within=1.0)
    plan.replica_set.mend()

    store.commit(puts(OTHER_POOL), within=20.0)

    assert plan.records() == {POOL, GATEWAY, DRIVER, OTHER_POOL}


def test_a_minority_acknowledges_nothing(plan: SharedPlan, store: MongoDbStore) -> None:
    for member in plan.replica_set.secondaries():
        member.freeze()

    with pytest.raises(StoreFailure):
        store.commit(puts(LEASE), within=3.0)


@pytest.mark.parametrize("lose", LOSSES)
def test_news_go_on_after_a_fail_over(
    plan: SharedPlan, store: MongoDbStore, lose: Callable[[ReplicaSet], None]
) -> None:
    other = plan.following("nodeb")
    lose(plan.replica_set)
    wait_for(lambda: is_committed(store, puts(LEASE)), "a commit")
    found: list[Change] = []

    def look() -> bool:
        found.extend(other.take_remote_changes())
        return bool(found)

    wait_for(look, "the news of a lease")
    assert [change.record.key for change in found if is_put(change)] == [
        LeaseKey("local@nodea/100.64.0.0/30", LEASE.address)
    ]


# The database is away when the program starts


def test_the_store_opens_while_the_database_is_away_and_says_what_is_wrong(
    plan: SharedPlan,
) -> None:
    plan.loaded().commit(puts(POOL))
    plan.replica_set.kill_all()

    store = plan.open()
    with pytest.raises(Unavailable, match=r"does not answer \(no primary can be reached: 127"):
        store.load()
    with pytest.raises(StoreFailure, match="until it has been read completely"):
        store.commit(puts(LEASE))
    plan.replica_set.mend()

    assert list(store.load()) == [POOL]
    store.commit(puts(LEASE))


# A process that ends in the middle


@pytest.mark.parametrize("node", ["nodea", "nodeb"])
def test_a_transaction_that_nobody_ends_holds_nobody_up(
    plan: SharedPlan, store: MongoDbStore, node: str
) -> None:
    with (
        plan.replica_set.failing("commitTransaction", "abortTransaction", closeConnection=True),
        pytest.raises(Uncertain),
    ):
        store.commit(puts(OTHER_POOL), within=0.5)
    survivor = plan.loaded(node)
    begin = time.monotonic()

    survivor.commit(puts(replace(POOL, id="local/10.0.0.0/24")), within=20.0)

    assert time.monotonic() - begin < 5.0 + GRACE
    assert OTHER_POOL not in plan.records()


def is_committed(store: MongoDbStore, changes: Sequence[Change]) -> bool:
    """Whether a commit was acknowledged, of which nobody could tell while the primary was lost."""
    try:
        store.commit(changes)
    except StoreFailure:
        return False
    return True
