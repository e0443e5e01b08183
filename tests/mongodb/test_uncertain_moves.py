"""Commits of unknown outcome that change where a pool is stored, or with which claims.

It is stored outside of aggregates, where all nodes know it, or in an aggregate of its node.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import (
    AggregateRecord,
    Change,
    Claim,
    LeaseRecord,
    PoolRecord,
    Put,
    Record,
    Sharer,
)
from tests.mongodb.commits import OUTCOMES, commits_of_outcome, make_uncertain
from tests.mongodb.nodes import GLOBAL_LEASE, SharedPlan, conflict_of, on, on_a
from tests.mongodb.places import places, places_for
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GLOBAL_POOL,
    LEASE,
    POOL,
    Model,
    deletes,
    puts,
    replace,
)

INSIDE = replace(POOL, aggregate="100.64.0.0/24")
PART = replace(INSIDE, id="local/100.64.0.0/30/100.64.0.2/31")
OUTER_PART = replace(PART, aggregate="")
CLAIMED = replace(GLOBAL_POOL, claims=(Claim("driver", 1, 2),))
PART_LEASE = replace(LEASE, pool=PART.id)

# What was stored before a commit, the commit, and what the node stores afterwards, instead of it.
MOVES: dict[str, tuple[list[Record], list[Change], list[Change]]] = {
    "into-an-aggregate": (
        [POOL],
        puts(AGGREGATE, INSIDE, LEASE),
        [*deletes(LEASE), *puts(POOL), *deletes(AGGREGATE)],
    ),
    "out-of-an-aggregate": (
        [AGGREGATE, INSIDE],
        [*puts(POOL, LEASE), *deletes(AGGREGATE)],
        [*deletes(LEASE), *puts(INSIDE, AGGREGATE)],
    ),
    "into-an-aggregate-and-then-its-end": (
        [POOL],
        puts(AGGREGATE, INSIDE, LEASE),
        deletes(LEASE, POOL, AGGREGATE),
    ),
    "out-of-an-aggregate-and-then-its-end": (
        [AGGREGATE, INSIDE],
        [*puts(POOL, LEASE), *deletes(AGGREGATE)],
        deletes(LEASE, POOL, AGGREGATE),
    ),
    "with-another-ip-range": (
        [POOL],
        [*deletes(POOL), *puts(AGGREGATE, PART, PART_LEASE)],
        deletes(PART_LEASE, PART, POOL, AGGREGATE),
    ),
    "with-another-ip-range-back": (
        [POOL],
        [*deletes(POOL), *puts(AGGREGATE, PART, PART_LEASE)],
        [*deletes(PART_LEASE, PART, AGGREGATE), *puts(POOL)],
    ),
    "a-new-pool": (
        [],
        puts(AGGREGATE, INSIDE, LEASE),
        [*deletes(INSIDE, AGGREGATE), *puts(POOL, LEASE)],
    ),
    "the-end-of-a-pool": (
        [AGGREGATE, INSIDE, LEASE],
        deletes(LEASE, INSIDE, AGGREGATE),
        [*deletes(LEASE), *puts(POOL), *deletes(AGGREGATE)],
    ),
    "a-claim-in-the-global-space": (
        [GLOBAL_POOL],
        puts(CLAIMED, DRIVER),
        puts(GLOBAL_POOL, DRIVER),
    ),
    "a-claim-in-the-global-space-and-then-its-end": (
        [GLOBAL_POOL],
        puts(CLAIMED, DRIVER),
        deletes(GLOBAL_POOL),
    ),
    "a-new-pool-of-the-global-space": (
        [],
        puts(GLOBAL_POOL),
        deletes(GLOBAL_POOL),
    ),
    "the-end-of-a-pool-of-the-global-space": (
        [GLOBAL_POOL],
        deletes(GLOBAL_POOL),
        deletes(GLOBAL_POOL),
    ),
}


def after(before: Iterable[Record], changes: Iterable[Change]) -> list[Record]:
    """What there is after these changes."""
    model = Model()
    model.apply([*puts(*before), *changes])
    return list(model.records.values())


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_a_move_of_unknown_outcome_may_have_stored_is_nowhere_once_it_is_replaced(
    plan: SharedPlan, move: str, outcome: str
) -> None:
    before, changes, instead = MOVES[move]
    store, other = plan.loaded(), plan.following("nodeb")
    store.commit(puts(DRIVER, *before))
    make_uncertain(plan, store, changes, outcome)

    store.commit(instead)

    expected = after(before, instead)
    assert places(plan) == places_for(expected)
    assert pool_set_known_to(other) == {on_a(each) for each in expected if is_in_pool_set(each)}


def pool_set_known_to(other: MongoDbStore) -> set[Record]:
    """What a node that has loaded an empty plan knows of the pool set."""
    other.await_remote_changes(5.0)
    return set(filter(is_in_pool_set, after((), other.take_remote_changes())))


def is_in_pool_set(record: Record) -> bool:
    """Whether all nodes know a record, as their blocks must not overlap it."""
    in_aggregate = isinstance(record, PoolRecord) and record.aggregate
    return isinstance(record, PoolRecord | AggregateRecord) and not in_aggregate


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("next_outcome", OUTCOMES)
def test_all_commits_of_unknown_outcome_are_undone_together(
    plan: SharedPlan, outcome: str, next_outcome: str
) -> None:
    before, changes, instead = MOVES["into-an-aggregate"]
    store = plan.loaded()
    store.commit(puts(DRIVER, *before))
    make_uncertain(plan, store, changes, outcome)
    further = puts(replace(POOL, label="claimed"), OUTER_PART, PART_LEASE)
    make_uncertain(plan, store, [*instead, *further], next_outcome)

    store.commit([*deletes(PART_LEASE, OUTER_PART), *instead])

    assert places(plan) == places_for(before)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_move_of_unknown_outcome_is_undone_after_a_conflict(
    plan: SharedPlan, outcome: str
) -> None:
    before, changes, instead = MOVES["into-an-aggregate"]
    store = plan.loaded()
    store.commit(puts(DRIVER, *before))
    make_uncertain(plan, store, changes, outcome)
    theirs = replace(POOL, id="local/100.64.0.128/25")
    plan.loaded("nodeb").commit(puts(theirs))

    assert Put(on("nodeb", theirs)) in conflict_of(store, instead)
    store.commit(instead)

    assert places(plan) == places_for([*before, on("nodeb", theirs)])


@pytest.mark.parametrize("before", [[GLOBAL_POOL], []], ids=["a-claim", "a-new-pool"])
def test_a_pool_of_the_global_space_that_another_node_has_claimed_meanwhile_is_not_undone(
    plan: SharedPlan, before: list[Record]
) -> None:
    former, leader = plan.loaded(), plan.loaded("nodeb")
    former.commit(puts(DRIVER, *before))
    make_uncertain(plan, former, puts(CLAIMED, DRIVER), "stored")
    (stored,) = leader.load_global_space()
    assert isinstance(stored, PoolRecord)
    theirs = replace(stored, claims=(*stored.claims, Claim("driver", 1, 1)))
    leader.commit(puts(theirs))
    as_seen = replace(CLAIMED, claims=(*CLAIMED.claims, Claim("driver@nodeb", 1, 1)))

    undone = puts(*before) or deletes(CLAIMED)
    assert conflict_of(former, undone) == tuple(puts(as_seen))
    former.commit(puts(DRIVER))

    assert places(plan) == places_for([as_seen])


def test_a_doubt_ends_with_the_conflict_in_which_it_is_learned_what_is_stored(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded(), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL))
    (known,) = second.load_global_space()
    assert isinstance(known, PoolRecord)
    with commits_of_outcome(first, "not-stored"), pytest.raises(Uncertain):
        first.commit(puts(CLAIMED, DRIVER))
    theirs = Claim("driver", 1, 1)
    second.commit(puts(replace(known, claims=(*known.claims, theirs))))
    joined = replace(GLOBAL_POOL, claims=(*GLOBAL_POOL.claims, Claim("driver@nodeb", 1, 1)))
    assert conflict_of(first, puts(GLOBAL_POOL, DRIVER)) == tuple(puts(joined))
    # It gives up its claim.
    second.commit(puts(known))

    again = replace(joined, claims=(*CLAIMED.claims, Claim("driver@nodeb", 1, 1)))
    assert conflict_of(first, puts(again)) == tuple(puts(GLOBAL_POOL))


@pytest.mark.parametrize(
    "left", [{"released": 9.0}, {"sharers": ()}], ids=["a-release", "the-end-of-a-network"]
)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_release_of_a_lease_of_another_node_is_repeated(
    plan: SharedPlan, outcome: str, left: dict[str, object]
) -> None:
    first, second = plan.loaded(), plan.loaded("nodeb")
    shared = replace(GLOBAL_LEASE, sharers=(Sharer(GLOBAL_POOL.id, "driver", 1),))
    first.commit(puts(GLOBAL_POOL, shared))
    (_, lease) = second.load_global_space()
    assert isinstance(lease, LeaseRecord)
    release = puts(replace(lease, **left))
    with commits_of_outcome(second, outcome), pytest.raises(Uncertain):
        second.commit(release)

    second.commit(release)

    assert places(plan) == places_for([GLOBAL_POOL, replace(shared, **left)])
