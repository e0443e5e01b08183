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

    assert str(refused.value) == (
        "two nodes of a shared plan cannot have claimed the same block, and other nodes have "
        "claimed local@h1/10.1.0.0/20: release local@h1/10.1.0.0/20 there (pyipam claims release), "
        "or remove the networks in it here, release it (pyipam claims release), and export again "
        "when it has rested"
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
        "another subnet, and export again, or release local@h1/10.1.0.0/20 there (pyipam claims "
        "release)"
    )


def test_no_pool_is_imported_around_a_block_that_another_node_has_claimed(
    plan: SharedPlan,
) -> None:
    assert "local/10.1.0.0/18 and local@h1/10.1.0.0/20" in refused(plan, pool("10.1.0.0/18"))


def test_no_claim_is_imported_over_a_pool_of_another_node(plan: SharedPlan) -> None:
    NodeStore(plan, "h1").commit([Put(pool("10.1.64.0/22"))])

    why = refused(plan, claimed("10.1.64.0/20"))

    assert "local/10.1.64.0/20 and local@h1/10.1.64.0/22" in why
    assert why.endswith(
        "or remove the networks in it here, release it (pyipam claims release), and export again "
        "when it has rested"
    )


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


def test_what_another_node_has_released_is_waited_for(plan: SharedPlan) -> None:
    NodeStore(plan, "h1").commit([Put(claimed("10.1.0.0/20")._replace(released=8.0))])

    why = refused(plan, claimed("10.1.0.0/20"))

    assert ": wait for the rest of local@h1/10.1.0.0/20 to end (pyipam claims says when), or" in why
    assert "there (pyipam claims release)" not in why


GONE = "as node h1 was forgotten, nobody can release local@h1/10.1.0.0/20: "
UNDO = (
    "if this host was that node, undo that (pyipam nodes forget --undo h1) and import it under its "
    "name (--node h1), or "
)
TAKE_IN = (
    "leave the import out, and let pyipam reconcile take in the networks on their host when that "
    "block has rested (pyipam claims says when)"
)


def test_nobody_is_told_to_release_what_a_forgotten_node_had(plan: SharedPlan) -> None:
    plan.forget("h1", 9.0)

    assert refused(plan, claimed("10.1.0.0/20")).endswith(
        f" have claimed local@h1/10.1.0.0/20: {GONE}{UNDO}{TAKE_IN}, or remove the networks in it "
        "here, release it (pyipam claims release), and export again when it has rested"
    )
    assert refused(plan, pool("10.1.0.0/22")).endswith(
        f"with another subnet, and export again, or {GONE}{UNDO}{TAKE_IN}"
    )


def test_hosts_that_have_names_are_imported_under_no_other(plan: SharedPlan) -> None:
    plan.forget("h1", 9.0)

    why = refused(plan, claimed("10.1.0.0/20")._replace(id="local@h2/10.1.0.0/20"))

    assert f"{GONE}{TAKE_IN}, or remove" in why


def test_a_host_that_was_forgotten_is_imported_under_its_name_once_that_is_undone(
    plan: SharedPlan,
) -> None:
    plan.forget("h1", 9.0)
    plan.undo_forgetting("h1")
    inside = replace(pool("10.1.0.0/22"), aggregate="10.1.0.0/20")
    store = NodeStore(plan, "h1")

    put_into_empty(State(store, node="h1"), Export((claimed("10.1.0.0/20"), inside)))

    assert store.load() == [claimed("10.1.0.0/20"), inside]
