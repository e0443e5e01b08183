"""Which addresses two nodes of a shared plan can hold at the same time, and which they cannot."""

from __future__ import annotations

import pytest

from pyipam.store.records import Delete, LeaseRecord, PoolRecord, Put
from tests.mongodb.nodes import GLOBAL_LEASE, OTHER_POOL, SharedPlan, conflict_of, on_a
from tests.support.stored_records import DRIVER, GLOBAL_POOL, LEASE, POOL, deletes, puts, replace


def lease(pool: str, kind: str = "container", driver: str = "driver") -> LeaseRecord:
    return replace(LEASE, pool=pool, kind=kind, driver=driver)


@pytest.mark.parametrize("pool", [POOL, GLOBAL_POOL], ids=["local", "global"])
def test_an_address_that_another_node_holds_is_refused_and_learned(
    plan: SharedPlan, pool: PoolRecord
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(pool))
    conflict_of(second, puts(OTHER_POOL))
    if pool is POOL:
        second.commit(puts(pool))
    first.commit(puts(lease(pool.id)))

    learned = conflict_of(second, puts(lease(pool.id)))

    assert Put(on_a(lease(pool.id))) in learned
    assert lease(pool.id) in set(plan.open("nodea").load())


def test_one_conflict_teaches_every_lease_of_other_nodes_in_the_subnet(plan: SharedPlan) -> None:
    subnet = replace(POOL, id="local/10.0.0.0/24")
    leases = [replace(LEASE, pool=subnet.id, address=f"10.0.0.{n}") for n in range(2, 50)]
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(subnet, *leases))
    conflict_of(second, puts(subnet))
    second.commit(puts(subnet))

    learned = conflict_of(second, puts(leases[7]))

    assert set(learned) == {Put(on_a(lease)) for lease in leases}


def test_an_address_that_another_node_holds_is_refused_in_a_subnet_of_another_length(
    plan: SharedPlan,
) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    wider = replace(POOL, id="local/100.64.0.0/24")
    first.commit(puts(POOL, LEASE))
    conflict_of(second, puts(wider))
    second.commit(puts(wider))

    learned = conflict_of(second, puts(lease(wider.id)))

    assert learned == (Put(on_a(LEASE)),)


@pytest.mark.parametrize("kind", ["gateway", "mirror"])
def test_gateways_and_mirrors_in_local_pools_are_not_exclusive(plan: SharedPlan, kind: str) -> None:
    for node in ("nodea", "nodeb"):
        store = plan.loaded(node)
        store.commit(puts(POOL, lease(POOL.id, kind)))

    records = set(plan.open("nodeb").load())
    assert {lease(POOL.id, kind), on_a(lease(POOL.id, kind))} < records


def test_a_gateway_in_the_global_space_is_exclusive(plan: SharedPlan) -> None:
    gateway = lease(GLOBAL_POOL.id, "gateway")
    plan.loaded("nodea").commit(puts(GLOBAL_POOL, gateway))
    late = plan.loaded("nodeb")
    plan.loaded("nodea").commit(puts(replace(gateway, epoch=9)))

    assert conflict_of(late, puts(gateway)) == (Put(on_a(replace(gateway, epoch=9))),)


def test_an_address_in_the_global_space_may_be_mirrored_in_local_spaces(plan: SharedPlan) -> None:
    for node in ("nodea", "nodeb"):
        plan.loaded(node).commit(puts(POOL, lease(POOL.id, "mirror")))
    leader = plan.loaded("nodec")

    leader.commit(puts(GLOBAL_POOL, GLOBAL_LEASE))

    assert GLOBAL_LEASE in set(plan.open("nodec").load())


def test_a_node_may_put_its_own_lease_repeatedly(plan: SharedPlan) -> None:
    store = plan.loaded()
    store.commit(puts(POOL, LEASE, GLOBAL_POOL, GLOBAL_LEASE))

    for epoch in (2, 3):
        store.commit(puts(replace(LEASE, epoch=epoch)))
        store.commit(puts(replace(GLOBAL_LEASE, epoch=epoch)))

    assert {replace(LEASE, epoch=3), replace(GLOBAL_LEASE, epoch=3)} < set(plan.open().load())


def test_an_address_can_pass_from_one_subnet_to_another_in_one_commit(plan: SharedPlan) -> None:
    wider = replace(POOL, id="local/100.64.0.0/24")
    store = plan.loaded()
    store.commit(puts(POOL, LEASE, wider))

    store.commit([Put(lease(wider.id)), Delete(LEASE.key)])

    assert set(plan.open().load()) == {POOL, wider, lease(wider.id)}


def test_an_address_that_was_released_can_be_leased_by_another_node(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))
    conflict_of(second, puts(POOL))
    second.commit(puts(POOL))
    conflict_of(second, puts(LEASE))
    first.commit(deletes(LEASE))

    second.commit(puts(LEASE))

    assert LEASE in set(plan.open("nodeb").load())


def test_a_commit_that_collides_in_one_lease_stores_nothing(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))
    conflict_of(second, puts(POOL))
    second.commit(puts(POOL))
    free = replace(LEASE, address="100.64.0.1")

    conflict_of(second, puts(free, LEASE, DRIVER))

    assert set(plan.open("nodeb").load()) == {POOL, on_a(POOL), on_a(LEASE)}


def test_a_lease_whose_pool_is_gone_holds_no_address(plan: SharedPlan) -> None:
    first, second = plan.loaded("nodea"), plan.loaded("nodeb")
    first.commit(puts(POOL, LEASE))
    plan.database.pools.delete_one({"_id": "local@nodea/100.64.0.0/30"})
    conflict_of(second, puts(POOL))
    second.commit(puts(POOL))

    second.commit(puts(LEASE))

    assert set(plan.open("nodeb").load()) == {POOL, LEASE}
