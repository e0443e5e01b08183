"""Exports and imports of plans in which nodes have claimed blocks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pyipam.cli.main import main
from pyipam.store.records import NodeRecord, Record
from pyipam.transfer.export_file import Export
from pyipam.transfer.moving import State, put_into_empty
from tests.mongodb.claiming import aggregates, node
from tests.mongodb.nodes import SharedPlan, on_a
from tests.mongodb.transfers import export, import_file, in_folder, refusal, seen_by, written
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GATEWAY,
    LEASE,
    MARK,
    POOL,
    puts,
    replace,
)

INSIDE = replace(POOL, aggregate=AGGREGATE.id.removeprefix("local/"))
STRAY = replace(POOL, id="local/100.64.8.0/30")
HOST: list[Record] = [DRIVER, AGGREGATE, INSIDE, GATEWAY, LEASE, STRAY]
OTHER_AGGREGATE = replace(AGGREGATE, id="local/100.64.4.0/24")
OTHER_POOL = replace(POOL, id="local/100.64.4.0/30", aggregate="100.64.4.0/24")
OTHER_LEASE = replace(LEASE, pool=OTHER_POOL.id, address="100.64.4.2")
OTHER_HOST: list[Record] = [DRIVER, OTHER_AGGREGATE, OTHER_POOL, OTHER_LEASE]


def test_what_is_in_aggregates_is_exported_with_them(plan: SharedPlan, file: Path) -> None:
    plan.loaded("nodea").commit(puts(*HOST, MARK))
    plan.loaded("nodeb").commit(puts(*OTHER_HOST))

    found = export(plan, file).records

    assert {on_a(record) for record in HOST} < set(found)
    assert MARK in found
    assert len(found) == len(HOST) + len(OTHER_HOST) + 1


def test_a_plan_with_aggregates_can_be_moved_to_another_store(
    plan: SharedPlan, second_plan: SharedPlan, file: Path
) -> None:
    plan.loaded("nodea").commit(puts(*HOST, MARK))
    plan.loaded("nodeb").commit(puts(*OTHER_HOST))
    export(plan, file)

    assert import_file(file, second_plan) == 0

    assert second_plan.records("nodea") == plan.records("nodea")
    store = second_plan.loaded("nodea")
    store.commit(puts(replace(INSIDE, id="local/100.64.0.4/30")))


def test_what_a_host_has_claimed_becomes_what_its_node_has_claimed(
    plan: SharedPlan, file: Path
) -> None:
    assert import_file(written(file, HOST), plan, "--node", "nodea") == 0
    assert import_file(written(file, OTHER_HOST), plan, "--node", "nodeb") == 0

    assert seen_by(plan, "nodea") >= set(HOST)
    assert seen_by(plan, "nodeb") >= {*OTHER_HOST, on_a(AGGREGATE), on_a(STRAY)}
    assert on_a(INSIDE) not in seen_by(plan, "nodeb")


def test_a_host_leaves_a_shared_plan_with_what_it_has_claimed(
    plan: SharedPlan, tmp_path: Path, file: Path
) -> None:
    plan.loaded("nodea").commit(puts(*HOST))
    plan.loaded("nodeb").commit(puts(*OTHER_HOST))
    export(plan, file)
    folder = tmp_path / "state"
    folder.mkdir()

    assert main(["import", "--state", str(folder), "--node", "nodea", str(file)]) == 0

    assert in_folder(folder) == set(HOST)


def test_what_was_said_of_a_host_is_said_of_its_node_and_of_no_other(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drained, other = NodeRecord("nodea", 5.0), NodeRecord("nodeb", forgotten=6.0)

    assert import_file(written(file, [*HOST, drained, other]), plan, "--node", "nodea") == 0

    assert seen_by(plan, "nodea") == {*HOST, drained}
    assert "left out: node nodeb was forgotten" in capsys.readouterr().err


def test_hosts_that_have_claimed_the_same_block_cannot_share_a_plan(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_file(written(file, HOST), plan, "--node", "nodea") == 0
    same: list[Record] = [replace(AGGREGATE, id="local/100.64.0.0/25")]

    assert import_file(written(file, same), plan, "--node", "nodeb") == 1

    assert "two nodes of a shared plan cannot have claimed the same block" in refusal(capsys)
    assert seen_by(plan, "nodea") == set(HOST)


@pytest.mark.parametrize("ahead", [False, True], ids=["pool-first", "claim-first"])
def test_hosts_of_which_one_has_a_network_where_the_other_has_claimed_cannot_share_a_plan(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str], ahead: bool
) -> None:
    pool: list[Record] = [replace(POOL, id="local/100.64.0.4/30")]
    first, later = (HOST, pool) if ahead else (pool, HOST)
    assert import_file(written(file, first), plan, "--node", "nodea") == 0
    before = plan.records("nodea")

    assert import_file(written(file, later), plan, "--node", "nodeb") == 1

    why = refusal(capsys)
    assert "in a block that another one has claimed" in why
    assert "/100.64.0.4/30" in why
    assert plan.records("nodea") == before


def test_what_a_node_had_in_its_aggregates_is_replaced_if_that_is_forced(
    plan: SharedPlan, file: Path
) -> None:
    assert import_file(written(file, HOST), plan, "--node", "nodea") == 0

    assert import_file(written(file, OTHER_HOST), plan, "--node", "nodea") == 1
    assert import_file(file, plan, "--node", "nodea", "--force") == 0

    assert seen_by(plan, "nodea") == set(OTHER_HOST)
    assert plan.records("nodea") == set(OTHER_HOST)


@pytest.mark.parametrize(
    ("before", "after"), [(POOL, INSIDE), (INSIDE, POOL)], ids=["into-one", "out-of-one"]
)
def test_a_pool_may_move_into_an_aggregate_and_out_of_it(
    plan: SharedPlan, file: Path, before: Record, after: Record
) -> None:
    held = [*claimed_with(before), before, GATEWAY]
    wanted = [*claimed_with(after), after, GATEWAY, LEASE]
    assert import_file(written(file, held), plan, "--node", "nodea") == 0

    assert import_file(written(file, wanted), plan, "--node", "nodea", "--force") == 0

    assert plan.records("nodea") == set(wanted)


def claimed_with(pool: Record) -> list[Record]:
    return [AGGREGATE] if pool == INSIDE else []


def test_more_leases_in_aggregates_than_fit_into_one_commit_can_be_imported(
    plan: SharedPlan,
) -> None:
    pool = replace(POOL, id="local/10.0.0.0/20", aggregate="10.0.0.0/16")
    aggregate = replace(AGGREGATE, id="local/10.0.0.0/16")
    leases = [
        replace(LEASE, pool=pool.id, address=f"10.0.{n // 250}.{n % 250 + 1}") for n in range(100)
    ]
    records: list[Record] = [DRIVER, aggregate, pool, *leases]

    with closing(plan.open("nodea")) as store:
        put_into_empty(State(store, max_changes_per_commit=30), Export(tuple(records), None))

    assert seen_by(plan, "nodea") == set(records)
    assert plan.database.aggregate_leases.count_documents({}) == 100
    assert plan.database.leases.count_documents({}) == 0


def test_a_node_goes_on_in_what_was_imported(
    plan: SharedPlan, second_plan: SharedPlan, file: Path
) -> None:
    h1 = node(plan, "h1")
    pools = [h1.pool() for _ in range(2)]
    export(plan, file)
    assert import_file(file, second_plan) == 0

    moved, other = node(second_plan, "h1"), node(second_plan, "h2")

    assert [moved.pool() for _ in range(2)] == ["local/10.1.8.0/22", "local/10.1.12.0/22"]
    assert set(pools) <= set(moved.pools())
    assert aggregates(moved) == ["10.1.0.0/20"]
    assert other.pool() == "local/10.1.128.0/22"
