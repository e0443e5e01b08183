"""The versions of the pool set: a block is created only by a node that knows all others in the same
stripes of the address space."""

from __future__ import annotations

from ipaddress import IPv6Network

from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.versions import (
    NO_VERSIONS,
    VERSION_IDS,
    VERSIONS_KEPT,
    make_versions,
    stripes_of_pool,
)
from pyipam.store.records import Claim, Delete, Put
from tests.mongodb.nodes import OTHER_POOL, SharedPlan, changes_until, conflict_of, on, on_a
from tests.support.stored_records import LEASE, POOL, deletes, puts, replace

# In the same region as POOL and OTHER_POOL.
THIRD_POOL = replace(POOL, id="local/100.64.0.8/30")
# In another stripe than those, and in all.
APART = replace(POOL, id="local/100.64.1.0/30")
WIDE = replace(POOL, id="local/100.64.0.0/16")


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

    assert conflict_of(second, puts(THIRD_POOL)) == (
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

    assert conflict_of(second, puts(THIRD_POOL)) == (Put(on_a(OTHER_POOL)),)


def fill_ring(plan: SharedPlan, after: int) -> None:
    """Make as many versions of the stripe of the pools here as are kept, none of which changes
    anything."""
    codec = RecordCodec("another")
    (stripe,) = stripes_of_pool(POOL.id)
    known = list(NO_VERSIONS)
    for known[stripe] in range(after, after + VERSIONS_KEPT):
        versions = make_versions(known, "another process", {stripe: ()}, codec)
        plan.database.pools.bulk_write(versions)


def test_a_node_that_missed_more_versions_than_are_kept_learns_every_pool(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    pools = [replace(POOL, id=f"local/100.64.0.{n * 8 + 64}/29") for n in range(9)]
    second.commit(puts(OTHER_POOL))
    conflict_of(first, puts(pools[0]))
    first.commit(puts(pools[0]))
    conflict_of(second, puts(THIRD_POOL))
    first.commit(deletes(pools[0]))
    for pool in pools[1:]:
        first.commit(puts(pool))
    fill_ring(plan, after=11)

    learned = conflict_of(second, puts(THIRD_POOL))

    assert set(learned) == {Delete(on_a(pools[0]).key), *(Put(on_a(pool)) for pool in pools[1:])}
    second.commit(puts(THIRD_POOL))
    assert plan.database.pools.count_documents({"_id": VERSION_IDS}) == VERSIONS_KEPT


def test_changes_too_many_to_be_listed_in_a_version_are_learned_by_reading_every_pool(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    # All in one stripe.
    subnets = list(IPv6Network("fd00::/64").subnets(new_prefix=75))
    *pools, other = (replace(POOL, id=f"local/{subnet}") for subnet in subnets[:1201])

    first.commit(puts(*pools, LEASE._replace(pool=pools[0].id, address="fd00::2")))

    assert set(conflict_of(second, puts(other))) >= {Put(on_a(pool)) for pool in pools}


# Stripes


def test_blocks_in_different_stripes_do_not_require_what_others_created(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))

    second.commit(puts(APART))
    second.commit(deletes(APART))

    assert set(plan.open("nodeb").load()) == {on_a(POOL)}


def test_a_large_block_requires_what_others_created_anywhere_in_it(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL))
    first.commit(puts(APART))

    assert set(conflict_of(second, puts(WIDE))) == {Put(on_a(POOL)), Put(on_a(APART))}
    second.commit(puts(WIDE))

    assert conflict_of(first, puts(THIRD_POOL)) == (Put(on("nodeb", WIDE)),)


def test_a_block_that_was_learned_through_one_stripe_is_not_learned_again_through_another(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(WIDE))
    first.commit(deletes(WIDE))
    first.commit(puts(WIDE))
    known = conflict_of(second, puts(POOL))

    assert known == (Put(on_a(WIDE)), Delete(on_a(WIDE).key), Put(on_a(WIDE)))
    second.commit(puts(APART))


def test_what_other_stripes_changed_is_no_conflict_while_it_is_pending(plan: SharedPlan) -> None:
    first, second, third = (plan.following(name) for name in ("nodea", "nodeb", "nodec"))
    first.commit(puts(POOL))
    # By then it has arrived at the others as well, as a rule.
    changes_until(third, Put(on_a(POOL)))

    second.commit(puts(APART))

    assert conflict_of(second, puts(OTHER_POOL)) == (Put(on_a(POOL)),)
