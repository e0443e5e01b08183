"""The versions of the pool set: a block is created only by a node that knows all others."""

from __future__ import annotations

from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.versions import VERSIONS_KEPT, make_version
from pyipam.store.records import Claim, Delete, Put
from tests.mongodb.nodes import OTHER_POOL, SharedPlan, conflict_of, on, on_a
from tests.support.stored_records import LEASE, POOL, RANGE_POOL, deletes, puts, replace


def test_a_block_is_refused_to_a_node_that_does_not_know_what_others_created(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))

    assert conflict_of(second, puts(OTHER_POOL)) == (Put(on_a(POOL)),)
    second.commit(puts(OTHER_POOL))

    assert set(plan.open("nodeb").load()) == {on_a(POOL), OTHER_POOL}


def test_missed_changes_are_learned_in_their_order(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    first.commit(puts(OTHER_POOL))
    first.commit(deletes(POOL))

    assert conflict_of(second, puts(RANGE_POOL)) == (
        Put(on_a(POOL)),
        Put(on_a(OTHER_POOL)),
        Delete(on_a(POOL).key),
    )


def test_deleting_a_pool_requires_the_newest_version_as_creating_one_does(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    conflict_of(second, puts(OTHER_POOL))
    second.commit(puts(OTHER_POOL))

    assert conflict_of(first, deletes(POOL)) == (Put(on("nodeb", OTHER_POOL)),)
    first.commit(deletes(POOL))

    assert list(plan.open("nodeb").load()) == [OTHER_POOL]


def test_claiming_a_local_pool_does_not_require_the_newest_version(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    conflict_of(second, puts(OTHER_POOL))
    second.commit(puts(OTHER_POOL))
    again = replace(POOL, claims=(Claim("driver", 2, 2),))

    first.commit(puts(again))

    assert again in set(plan.open("nodea").load())


def test_changes_that_are_not_known_yet_are_a_conflict_for_a_block_but_not_for_a_lease(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    second.commit(puts(POOL))
    conflict_of(first, puts(OTHER_POOL))
    first.commit(puts(OTHER_POOL))

    second.commit(puts(LEASE))

    assert conflict_of(second, puts(RANGE_POOL)) == (Put(on_a(OTHER_POOL)),)


def make_versions(plan: SharedPlan, after: int) -> None:
    """Make as many versions of the pool set as are kept, none of which changes anything."""
    codec = RecordCodec("another")
    numbers = range(after + 1, after + 1 + VERSIONS_KEPT)
    plan.database.versions.bulk_write(
        [make_version(number, "another process", [], codec) for number in numbers]
    )


def test_a_node_that_missed_more_versions_than_are_kept_learns_every_pool(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    pools = [replace(POOL, id=f"local/10.0.{n}.0/24") for n in range(9)]
    second.commit(puts(OTHER_POOL))
    conflict_of(first, puts(pools[0]))
    first.commit(puts(pools[0]))
    conflict_of(second, puts(RANGE_POOL))
    first.commit(deletes(pools[0]))
    for pool in pools[1:]:
        first.commit(puts(pool))
    make_versions(plan, after=11)

    learned = conflict_of(second, puts(RANGE_POOL))

    assert set(learned) == {Delete(on_a(pools[0]).key), *(Put(on_a(pool)) for pool in pools[1:])}
    second.commit(puts(RANGE_POOL))
    assert plan.database.versions.count_documents({}) == VERSIONS_KEPT


def test_changes_too_many_to_be_listed_in_a_version_are_learned_by_reading_every_pool(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    pools = [replace(POOL, id=f"local/10.{n // 256}.{n % 256}.0/24") for n in range(1200)]

    first.commit(puts(*pools, LEASE._replace(pool=pools[0].id, address="10.0.0.2")))

    assert set(conflict_of(second, puts(OTHER_POOL))) >= {Put(on_a(pool)) for pool in pools}
