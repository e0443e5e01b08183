"""How a node is told what other nodes change."""

from __future__ import annotations

from pyipam.store.mongodb.error_codes import UNAUTHORIZED
from pyipam.store.records import Delete, LeaseKey, LeaseRecord, PoolKey, PoolRecord, Put
from tests.mongodb.nodes import (
    GLOBAL_LEASE,
    OTHER_POOL,
    SharedPlan,
    changes_until,
    conflict_of,
    next_changes,
    on,
    on_a,
)
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


def test_changes_of_pools_and_leases_of_other_nodes_arrive(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")

    first.commit(puts(POOL, GLOBAL_POOL, GATEWAY, LEASE, GLOBAL_LEASE, DRIVER))
    assert set(next_changes(second, 4)) == {
        Put(on_a(record)) for record in (POOL, GLOBAL_POOL, GATEWAY, LEASE)
    }
    first.commit(deletes(LEASE))
    assert next_changes(second, 1) == [Delete(LeaseKey("local@nodea/100.64.0.0/30", LEASE.address))]
    first.commit(puts(replace(GATEWAY, epoch=7)))
    assert next_changes(second, 1) == [Put(on_a(replace(GATEWAY, epoch=7)))]
    first.commit(deletes(GATEWAY, POOL))
    assert next_changes(second, 1) == [Delete(PoolKey("local@nodea/100.64.0.0/30"))]


def test_a_change_of_a_lease_arrives_only_while_its_pool_is_known(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    first.commit(puts(POOL, GATEWAY, LEASE))
    first.commit(deletes(GATEWAY, LEASE, POOL))
    first.commit(puts(OTHER_POOL))

    known: set[str] = set()
    for change in changes_until(second, Put(on_a(OTHER_POOL))):
        match change:
            case Put(PoolRecord() as pool):
                known.add(pool.id)
            case Delete(PoolKey(pool_id)):
                known.remove(pool_id)
            case Put(LeaseRecord() as put):
                assert put.pool in known
            case Delete(LeaseKey(subnet)):
                assert subnet in known
    assert known == {"local@nodea/100.64.0.4/30"}


def test_the_changes_of_a_node_itself_do_not_arrive(plan: SharedPlan) -> None:
    first, second = plan.following("nodea"), plan.following("nodeb")
    first.commit(puts(POOL, LEASE, GLOBAL_POOL))
    next_changes(second, 3)
    second.commit(puts(OTHER_POOL))

    assert next_changes(first, 1) == [Put(on("nodeb", OTHER_POOL))]


def test_changes_made_before_the_others_are_followed_arrive_too(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))

    plan.follow(second)

    assert next_changes(second, 2) == [Put(on_a(POOL)), Put(on_a(LEASE))]


def test_the_present_state_arrives_if_the_single_changes_can_no_longer_be_determined(
    plan: SharedPlan,
) -> None:
    gone = replace(LEASE, address="100.64.0.1")
    first = plan.loaded("nodea")
    first.commit(puts(POOL, GLOBAL_POOL, LEASE, gone))
    second = plan.following("nodeb")
    first.commit(deletes(gone))
    next_changes(second, 1)

    # The drop of a collection has the effect of an outage that is longer than the oplog.
    plan.database.aside.insert_one({})
    plan.database.aside.drop()

    assert next_changes(second, 3) == [
        Delete(on_a(POOL).key),
        Put(on_a(POOL)),
        Put(on_a(LEASE)),
    ]
    first.commit(deletes(LEASE))
    assert next_changes(second, 1) == [Delete(on_a(LEASE).key)]


def test_what_happened_before_it_is_waited_for_has_arrived_then(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")

    for _ in range(20):
        first.commit(puts(POOL, LEASE))
        assert second.await_remote_changes(60.0)
        assert {*second.take_remote_changes()} == {Put(on_a(POOL)), Put(on_a(LEASE))}

        first.commit(deletes(LEASE, POOL))
        assert second.await_remote_changes(60.0)
        assert Delete(on_a(POOL).key) in second.take_remote_changes()
    assert not second.await_remote_changes(60.0)


def test_what_has_arrived_is_not_lost_where_it_cannot_be_read_what_a_commit_collides_with(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.following("nodeb")
    wider = replace(POOL, id="local/100.64.0.0/24")
    taken = replace(LEASE, pool=wider.id)
    second.commit(puts(wider))
    conflict_of(first, puts(POOL))
    first.commit(puts(POOL, LEASE))
    assert second.await_remote_changes(60.0)

    with plan.replica_set.failing("find", errorCode=UNAUTHORIZED):
        assert set(conflict_of(second, puts(taken))) >= {Put(on_a(POOL))}


def test_a_node_that_does_not_follow_the_others_is_not_waited_for_longer(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(POOL))

    assert not plan.loaded("nodeb").await_remote_changes(0.01)
