"""Commits whose outcome is unknown, and transactions that nobody ends."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.errors import Conflict, Uncertain
from pyipam.store.mongodb.error_codes import UNAUTHORIZED
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, Delete, LeaseRecord, Put, Record
from tests.mongodb.commits import BATCHES, DECISIVE_COMMANDS, OUTCOMES
from tests.mongodb.load import GRACE_SECONDS
from tests.mongodb.nodes import GLOBAL_LEASE, OTHER_POOL, SharedPlan
from tests.mongodb.wire import RECORDER, deliver, names_of
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

pytestmark = pytest.mark.usefixtures("repaired_afterwards")


@pytest.fixture
def store(plan: SharedPlan) -> MongoDbStore:
    """The store of a node that holds a pool and its gateway."""
    store = plan.loaded()
    store.commit(puts(POOL, GATEWAY, DRIVER))
    return store


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_commit_of_unknown_outcome_is_undone_by_the_next_commit(
    plan: SharedPlan, store: MongoDbStore, batch: str, outcome: str
) -> None:
    with (
        plan.replica_set.failing(DECISIVE_COMMANDS[batch], **OUTCOMES[outcome]),
        pytest.raises(Uncertain, match="it is not known whether the change was stored"),
    ):
        store.commit(BATCHES[batch], within=1.0)

    store.commit([*inverse(BATCHES[batch]), Put(replace(DRIVER, engine="next"))])

    assert plan.records() == {POOL, GATEWAY, replace(DRIVER, engine="next")}


def inverse(changes: Sequence[Change]) -> list[Change]:
    """What undoes the changes, for a node that held a pool and its gateway."""
    before: dict[object, Record] = {record.key: record for record in (POOL, GATEWAY)}
    keys = [change.record.key if isinstance(change, Put) else change.key for change in changes]
    return [Put(before[key]) if key in before else Delete(key) for key in reversed(keys)]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("loses_primary", [False, True], ids=["same-primary", "another-primary"])
def test_a_commit_that_arrives_after_it_was_undone_has_no_effect(
    plan: SharedPlan, store: MongoDbStore, batch: str, loses_primary: bool
) -> None:
    with (
        plan.replica_set.failing(DECISIVE_COMMANDS[batch], closeConnection=True),
        RECORDER.recording() as commands,
        pytest.raises(Uncertain),
    ):
        store.commit(BATCHES[batch], within=1.0)
    store.commit(inverse(BATCHES[batch]))
    if loses_primary:
        # The next primary knows only what was replicated of the session.
        plan.replica_set.step_down()

    sent = [command for command in commands if "txnNumber" in command]
    assert DECISIVE_COMMANDS[batch] in names_of(sent)
    for command in sent:
        reply = deliver(command, plan.replica_set.primary().place)
        assert reply["ok"] == 0 or "writeErrors" in reply, reply

    assert plan.records() == {POOL, GATEWAY, DRIVER}


def test_addresses_of_a_commit_of_unknown_outcome_are_free_for_others_once_it_is_undone(
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


def test_what_another_node_has_taken_over_meanwhile_is_not_undone(plan: SharedPlan) -> None:
    former, leader = plan.loaded("nodea"), plan.loaded("nodeb")
    former.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    with plan.replica_set.failing("delete", **OUTCOMES["stored"]), pytest.raises(Uncertain):
        former.commit(deletes(GLOBAL_LEASE), within=1.0)
    leader.load_global_space()
    leader.commit(puts(GLOBAL_LEASE))

    former.commit(deletes(GLOBAL_LEASE))

    assert GLOBAL_LEASE in plan.records("nodeb")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_takeover_of_unknown_outcome_is_undone(plan: SharedPlan, outcome: str) -> None:
    plan.loaded("nodea").commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    leader = plan.loaded("nodeb")
    (held,) = (record for record in leader.load_global_space() if isinstance(record, LeaseRecord))
    with plan.replica_set.failing("update", **OUTCOMES[outcome]), pytest.raises(Uncertain):
        leader.commit(puts(replace(GLOBAL_LEASE, granted=7.0)), within=1.0)

    leader.commit(puts(held))

    assert plan.records("nodea") == {GLOBAL_POOL, GLOBAL_LEASE}


def test_a_commit_that_the_server_refuses_has_a_known_outcome(
    plan: SharedPlan, store: MongoDbStore
) -> None:
    with (
        plan.replica_set.failing("update", errorCode=UNAUTHORIZED),
        pytest.raises(StoreFailure, match="nothing has been done") as failure,
    ):
        store.commit(puts(LEASE), within=1.0)

    assert not isinstance(failure.value, Uncertain)
    store.commit(puts(LEASE))


@pytest.mark.parametrize("node", ["nodea", "nodeb"])
def test_an_abandoned_transaction_does_not_delay_other_commits_for_long(
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

    assert time.monotonic() - begin < 5.0 + GRACE_SECONDS
    assert OTHER_POOL not in plan.records()
