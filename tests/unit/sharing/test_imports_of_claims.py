"""Imports into a plan whose nodes have claimed blocks."""

from __future__ import annotations

import pytest

from pyipam.errors import TransferRefused
from pyipam.store.records import AggregateRecord, PoolRecord, Put
from pyipam.transfer.export_file import Export
from pyipam.transfer.moving import State, put_in_place, put_into_empty
from tests.support.shared_plan import NodeStore, SharedPlan
from tests.support.stored_records import POOL, replace

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


def pool(subnet: str, space: str = "local") -> PoolRecord:
    """A pool that was drawn from no aggregate."""
    return replace(POOL, id=f"{space}/{subnet}", scope=SCOPE)


def refused(plan: SharedPlan, *records: AggregateRecord | PoolRecord) -> str:
    """Why an import as h2 is refused, which must change nothing."""
    before = dict(plan.records)
    with pytest.raises(TransferRefused) as error:
        put_into_empty(State(NodeStore(plan, "h2")), Export(records))
    assert plan.records == before
    return str(error.value)


@pytest.mark.parametrize("held", [pool("10.1.0.0/22"), pool("10.1.4.0/24", "global")])
def test_no_pool_is_imported_in_a_block_that_another_node_has_claimed(
    plan: SharedPlan, held: PoolRecord
) -> None:
    assert refused(plan, held) == (
        "a node of a shared plan cannot have a network in a block that another one has claimed, "
        f"and these overlap: local@h1/10.1.0.0/20 and {held.id}. Create the network again with "
        "another subnet, or remove the networks in the block and release it (pyipam claims "
        "release), and export again"
    )


def test_no_pool_is_imported_around_a_block_that_another_node_has_claimed(
    plan: SharedPlan,
) -> None:
    assert "local/10.1.0.0/18 and local@h1/10.1.0.0/20" in refused(plan, pool("10.1.0.0/18"))


def test_no_claim_is_imported_over_a_pool_of_another_node(plan: SharedPlan) -> None:
    NodeStore(plan, "h1").commit([Put(pool("10.1.64.0/22"))])

    why = refused(plan, claimed("10.1.64.0/20"))

    assert "local/10.1.64.0/20 and local@h1/10.1.64.0/22" in why


def test_pools_in_claimed_blocks_are_imported_beside_pools_of_others(plan: SharedPlan) -> None:
    NodeStore(plan, "h1").commit([Put(pool("10.1.64.0/22"))])
    inside = replace(pool("10.1.16.0/22"), aggregate="10.1.16.0/20")
    store = NodeStore(plan, "h2")

    put_into_empty(State(store), Export((claimed("10.1.16.0/20"), inside, pool("10.1.68.0/22"))))

    assert inside in store.load()


def test_a_part_of_a_swarms_network_is_imported_wherever_it_lies(plan: SharedPlan) -> None:
    NodeStore(plan, "h1").commit([Put(pool("10.1.4.0/24", "global"))])
    store = NodeStore(plan, "h2")

    put_into_empty(State(store), Export((pool("10.1.4.0/24"),)))

    assert pool("10.1.4.0/24") in store.load()
