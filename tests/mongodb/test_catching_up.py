"""What a node makes of the global space when it reads the whole plan again, while something changes
there. Claims in the global space make no versions, so nothing that is read says how old it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyipam.store.mongodb.snapshot import Snapshot, Wanted
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, Claim, Put
from tests.mongodb.commits import OUTCOMES, make_uncertain
from tests.mongodb.nodes import SharedPlan, changes_until, on
from tests.support.stored_records import DRIVER, GLOBAL_POOL, POOL, deletes, puts, replace

CLAIMED = replace(GLOBAL_POOL, claims=(Claim("driver", 1, 2),))
# In another stripe than everything else.
LAST = replace(POOL, id="local/100.64.9.0/30")
THEIR_LAST = Put(on("nodeb", LAST))


@pytest.fixture
def store(plan: SharedPlan) -> MongoDbStore:
    """The store of a node that holds a pool of the global space, and does not follow the others."""
    store = plan.loaded()
    store.commit(puts(GLOBAL_POOL, DRIVER))
    return store


@pytest.fixture
def other(plan: SharedPlan, store: MongoDbStore) -> MongoDbStore:
    """The store of another node, which knows that pool."""
    other = plan.loaded("nodeb")
    other.load_global_space()
    return other


def nothing() -> None:
    """Happens while nothing else does."""


def learned(
    plan: SharedPlan,
    store: MongoDbStore,
    before: Callable[[], None] = nothing,
    after: Callable[[], None] = nothing,
) -> list[Change]:
    """What a node learns that has to read the plan again, where these things happen once right
    before and right after the plan is read."""
    presence = store._presence
    read = presence.read_snapshot
    with pytest.MonkeyPatch.context() as patch:

        def read_once(wanted: Wanted) -> Snapshot:
            patch.undo()
            before()
            snapshot = read(wanted)
            after()
            return snapshot

        patch.setattr(presence, "read_snapshot", read_once)
        # The drop of a collection has the effect of an outage that is longer than the oplog.
        plan.database.aside.insert_one({})
        plan.database.aside.drop()
        plan.follow(store)
        return changes_until(store, THEIR_LAST)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_was_read_before_the_repair_of_an_uncertain_claim_does_not_take_it_back(
    plan: SharedPlan, store: MongoDbStore, other: MongoDbStore, outcome: str
) -> None:
    make_uncertain(plan, store, puts(CLAIMED, DRIVER), outcome)

    def repair() -> None:
        store.commit(puts(GLOBAL_POOL, DRIVER))
        other.commit(puts(LAST))

    assert learned(plan, store, after=repair) == [THEIR_LAST]

    store.commit(puts(CLAIMED))


def test_what_was_read_before_a_claim_does_not_take_it_back(
    plan: SharedPlan, store: MongoDbStore, other: MongoDbStore
) -> None:
    def claim() -> None:
        store.commit(puts(CLAIMED))
        other.commit(puts(LAST))

    assert learned(plan, store, after=claim) == [THEIR_LAST]

    store.commit(puts(GLOBAL_POOL))


def test_what_another_node_has_made_of_a_claim_before_the_plan_was_read_is_learned(
    plan: SharedPlan, store: MongoDbStore, other: MongoDbStore
) -> None:
    def claim_and_end() -> None:
        store.commit(puts(CLAIMED))
        other.load_global_space()
        other.commit(deletes(GLOBAL_POOL))
        other.commit(puts(LAST))

    assert learned(plan, store, before=claim_and_end) == [*deletes(GLOBAL_POOL), THEIR_LAST]


def test_a_pool_that_was_reread_as_gone_does_not_come_back_with_what_was_read_before(
    plan: SharedPlan, store: MongoDbStore, other: MongoDbStore
) -> None:
    def end_and_reread() -> None:
        other.commit(deletes(GLOBAL_POOL))
        assert store.load_global_space() == []
        other.commit(puts(LAST))

    assert learned(plan, store, after=end_and_reread) == [THEIR_LAST]


def test_a_pool_that_was_reread_as_gone_does_not_come_back_with_what_is_pending(
    plan: SharedPlan,
) -> None:
    store, other = plan.following(), plan.loaded("nodeb")
    other.commit(puts(GLOBAL_POOL, DRIVER))
    plan.database.aside.insert_one({})
    plan.database.aside.drop()
    # Whatever happened until then is pending.
    assert store.await_remote_changes(60.0)

    other.commit(deletes(GLOBAL_POOL))
    assert store.load_global_space() == []
    other.commit(puts(LAST))

    assert changes_until(store, THEIR_LAST) == [THEIR_LAST]
