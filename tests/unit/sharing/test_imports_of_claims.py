"""Imports into a plan whose nodes have claimed blocks."""

from __future__ import annotations

import pytest

from pyipam.errors import TransferRefused
from pyipam.store.records import AggregateRecord, Put
from pyipam.transfer.export_file import Export
from pyipam.transfer.moving import State, put_in_place, put_into_empty
from tests.support.shared_plan import NodeStore, SharedPlan

SCOPE = "10.1.0.0/16"


def claimed(block: str) -> AggregateRecord:
    return AggregateRecord(f"local/{block}", SCOPE, 7.0)


@pytest.fixture
def plan() -> SharedPlan:
    """A plan in which node h1 has claimed a block."""
    plan = SharedPlan()
    NodeStore(plan, "h1").commit([Put(claimed("10.1.0.0/20"))])
    return plan


@pytest.mark.parametrize("block", ["10.1.0.0/20", "10.1.0.0/19", "10.1.4.0/22"])
def test_what_another_node_has_claimed_is_not_imported(plan: SharedPlan, block: str) -> None:
    before = dict(plan.records)

    with pytest.raises(TransferRefused) as refused:
        put_into_empty(State(NodeStore(plan, "h2")), Export((claimed(block),)))

    assert str(refused.value).startswith(
        "two nodes of a shared plan cannot have claimed the same block, and other nodes have "
        "claimed local@h1/10.1.0.0/20: "
    )
    assert plan.records == before


def test_what_nobody_has_claimed_is_imported_beside_the_claims_of_others(plan: SharedPlan) -> None:
    store = NodeStore(plan, "h2")

    put_into_empty(State(store), Export((claimed("10.1.16.0/20"),)))

    assert sorted(record.id for record in store.load() if isinstance(record, AggregateRecord)) == [
        "local/10.1.16.0/20",
        "local@h1/10.1.0.0/20",
    ]


def test_what_the_node_itself_has_claimed_is_replaced(plan: SharedPlan) -> None:
    store = NodeStore(plan, "h1")

    put_in_place(State(store), Export((claimed("10.1.0.0/19"),)))

    assert store.load() == [claimed("10.1.0.0/19")]
