"""The global space of a swarm, when another manager becomes its leader."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyipam.store.records import Change, Claim, Delete, Put, Record
from tests.mongodb.nodes import (
    GLOBAL_LEASE,
    OTHER_POOL,
    SharedPlan,
    changes_until,
    conflict_of,
    on_a,
)
from tests.support.stored_records import GLOBAL_POOL, deletes, puts, replace


def test_a_new_leader_takes_over_what_it_has_loaded(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))

    assert set(second.load_global_space()) == {on_a(GLOBAL_POOL), on_a(GLOBAL_LEASE)}
    claimed = replace(GLOBAL_POOL, claims=(Claim("driver", 5, 1),))
    second.commit(puts(claimed, replace(GLOBAL_LEASE, epoch=5)))

    assert set(second.load_global_space()) == {claimed, replace(GLOBAL_LEASE, epoch=5)}


def test_a_lease_that_changed_after_it_was_loaded_is_learned_before_it_is_taken_over(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    second.load_global_space()
    first.commit(puts(replace(GLOBAL_LEASE, granted=99.0)))

    learned = conflict_of(second, puts(GLOBAL_LEASE))

    assert learned == (Put(on_a(replace(GLOBAL_LEASE, granted=99.0))),)
    second.commit(puts(GLOBAL_LEASE))
    assert GLOBAL_LEASE in second.load_global_space()


@pytest.mark.parametrize("change", [puts, deletes])
def test_a_lease_that_was_deleted_after_it_was_loaded_is_learned_to_be_deleted(
    plan: SharedPlan, change: Callable[[Record], list[Change]]
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    second.load_global_space()
    first.commit(deletes(GLOBAL_LEASE))

    assert conflict_of(second, change(GLOBAL_LEASE)) == (Delete(GLOBAL_LEASE.key),)


def test_a_pool_whose_claims_changed_after_it_was_loaded_is_learned(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL))
    second.load_global_space()
    twice = replace(GLOBAL_POOL, claims=(Claim("driver", 1, 2),))
    first.commit(puts(twice))

    assert conflict_of(second, puts(GLOBAL_POOL)) == (Put(on_a(twice)),)


def test_a_pool_that_rests_again_after_another_node_has_used_it_is_learned(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    resting = replace(GLOBAL_POOL, claims=(), released=5.0)
    first.commit(puts(resting))
    second.load_global_space()
    first.commit(puts(GLOBAL_POOL))
    later = replace(resting, released=6.0)
    first.commit(puts(later))

    assert conflict_of(second, puts(GLOBAL_POOL)) == (Put(later),)


def test_a_former_leader_does_not_free_what_the_new_leader_has_taken_over(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))
    second.load_global_space()
    second.commit(puts(GLOBAL_LEASE))

    first.commit(deletes(GLOBAL_LEASE))

    assert GLOBAL_LEASE in second.load_global_space()


def test_the_loaded_global_space_is_not_undone_by_older_remote_changes(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    first.commit(puts(GLOBAL_POOL))
    first.commit(deletes(GLOBAL_POOL))
    first.commit(puts(GLOBAL_POOL, OTHER_POOL))

    second.load_global_space()

    assert changes_until(second, Put(on_a(OTHER_POOL))) == [Put(on_a(OTHER_POOL))]


def test_a_pool_learned_from_a_conflict_is_not_taken_back_by_the_older_changes_that_led_there(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(GLOBAL_POOL))
    second.load_global_space()
    first.commit(deletes(GLOBAL_POOL))
    first.commit(puts(replace(GLOBAL_POOL, label="made again")))
    theirs = replace(GLOBAL_POOL, label="made again", claims=(Claim("driver", 1, 2),))
    first.commit(puts(theirs))

    assert conflict_of(second, puts(GLOBAL_POOL))[-1] == Put(on_a(theirs))
    both = replace(theirs, claims=(Claim("driver@nodea", 1, 2), Claim("driver", 1, 1)))
    second.commit(puts(both))
    plan.follow(second)
    first.commit(puts(OTHER_POOL))

    assert changes_until(second, Put(on_a(OTHER_POOL))) == [Put(on_a(OTHER_POOL))]
