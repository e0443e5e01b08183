"""How a node sees the names of other nodes in a shared plan."""

from __future__ import annotations

import pytest

from pyipam.store.records import Put, Record
from tests.mongodb.nodes import (
    GLOBAL_LEASE,
    OTHER_POOL,
    SharedPlan,
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
    RANGE_LEASE,
    RANGE_POOL,
    deletes,
    puts,
)


def test_local_records_of_another_node_are_loaded_with_the_name_of_that_node(
    plan: SharedPlan,
) -> None:
    records: list[Record] = [POOL, GATEWAY, LEASE, DRIVER, RANGE_POOL, RANGE_LEASE]
    plan.loaded("nodea").commit(puts(*records))

    assert set(plan.open("nodeb").load()) == {on_a(record) for record in records}
    assert set(plan.open("nodea").load()) == set(records)


def test_the_global_space_is_shared_but_driver_names_in_it_carry_their_node(
    plan: SharedPlan,
) -> None:
    plan.loaded("nodea").commit(puts(GLOBAL_POOL, GLOBAL_LEASE))

    assert set(plan.open("nodeb").load()) == {on_a(GLOBAL_POOL), on_a(GLOBAL_LEASE)}
    assert on_a(GLOBAL_POOL).key == GLOBAL_POOL.key


def test_two_nodes_may_hold_the_same_local_subnet_and_driver_name(plan: SharedPlan) -> None:
    records: list[Record] = [POOL, GATEWAY, DRIVER]
    plan.loaded("nodea").commit(puts(*records))
    plan.loaded("nodeb").commit(puts(*records))

    assert set(plan.open("nodeb").load()) == {*records, *(on_a(record) for record in records)}


@pytest.mark.parametrize("name", ["rack 7", "a.b", "^.*$", "knöten", "(?i)nodeb", "local"])
def test_a_node_may_have_any_name(plan: SharedPlan, name: str) -> None:
    named, other = plan.following(name), plan.loaded("nodeb")
    named.commit(puts(POOL, LEASE))
    conflict_of(other, puts(OTHER_POOL))
    other.commit(puts(OTHER_POOL))

    assert next_changes(named, 1) == [Put(on("nodeb", OTHER_POOL))]
    assert {POOL, LEASE} < set(plan.open(name).load())


def test_records_of_another_node_can_be_deleted_under_their_qualified_names(
    plan: SharedPlan,
) -> None:
    plan.loaded("nodea").commit(puts(POOL, LEASE, DRIVER))
    other = plan.loaded("nodeb")

    other.commit(deletes(on_a(LEASE), on_a(POOL), on_a(DRIVER)))

    assert list(plan.open("nodea").load()) == []
