"""Imports into a shared store while plugins of its nodes run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.pool_id import NO_NODE
from pyipam.store.records import Change, Delete, Record
from pyipam.transfer.export_file import Export
from pyipam.transfer.moving import State, put_into_empty
from tests.mongodb.claiming import node
from tests.mongodb.nodes import SharedPlan, on_a, shared_plan, wait_until_refused
from tests.mongodb.transfers import export, import_file
from tests.support.core import scope, tree_of
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.stored_records import AGGREGATE, GATEWAY, LEASE, POOL, puts, replace

INSIDE = replace(POOL, aggregate=AGGREGATE.id.removeprefix("local/"))
HELD: list[Record] = [AGGREGATE, INSIDE, GATEWAY, LEASE]
REPLACED = "an import has replaced what it holds"


@pytest.fixture
def target(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """The plan that is imported into."""
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture
def file(plan: SharedPlan, tmp_path: Path) -> Path:
    """An export of the plan of h1, which has a pool in an aggregate, and h2."""
    node(plan, "h1").pool()
    node(plan, "h2").pool()
    file = tmp_path / "plan.json"
    export(plan, file)
    return file


def test_a_node_that_runs_meanwhile_gives_out_nothing_until_it_is_restarted(
    target: SharedPlan, file: Path
) -> None:
    running = node(target, "h1")
    running.pool()

    assert import_file(file, target, "--force") == 0

    before = target.records("h1")
    with pytest.raises(StoreFailure, match=REPLACED):
        running.pool()
    assert target.records("h1") == before
    again = node(target, "h1")
    assert again.pool() == "local/10.1.4.0/22"


CHANGES: dict[str, list[Change]] = {
    "a-pool-in-an-aggregate": puts(replace(INSIDE, id="local/100.64.0.8/30")),
    "the-end-of-a-pool-in-an-aggregate": [Delete(INSIDE.key)],
    "a-claim": puts(replace(AGGREGATE, id="local/100.64.2.0/24")),
}


@pytest.mark.parametrize("changes", CHANGES)
def test_its_process_changes_nothing_in_its_aggregates_before_it_has_heard_of_the_import(
    plan: SharedPlan, changes: str, tmp_path: Path
) -> None:
    store = plan.loaded("nodea")
    store.commit(puts(*HELD))
    file = tmp_path / "plan.json"
    export(plan, file)
    assert import_file(file, plan, "--force") == 0
    before = plan.records("nodea")

    with pytest.raises(StoreFailure, match=REPLACED):
        store.commit(CHANGES[changes])

    assert plan.records("nodea") == before
    assert REPLACED in str(store.problem())


def test_its_process_gives_out_nothing_once_it_has_heard_of_it(
    plan: SharedPlan, tmp_path: Path
) -> None:
    store = plan.following("nodea")
    store.commit(puts(*HELD))
    file = tmp_path / "plan.json"
    export(plan, file)

    assert import_file(file, plan, "--force") == 0

    wait_until_refused(store, puts(LEASE), REPLACED)


def test_a_node_of_which_nothing_is_imported_goes_on(target: SharedPlan, file: Path) -> None:
    elsewhere = tree_of(scope("10.2.0.0", 16, node_prefix=20, child_prefix=22))
    other = node(target, "h3", elsewhere)
    other.pool()

    assert import_file(file, target, "--force") == 0

    assert other.pool() == "local/10.2.4.0/22"


def test_an_import_in_parts_ends_what_runs_meanwhile_as_well(target: SharedPlan) -> None:
    store = target.loaded("nodea")
    leases = [replace(LEASE, address=f"100.64.0.{n}") for n in range(1, 3)]
    held: list[Record] = [AGGREGATE, INSIDE, *leases]
    records = tuple(map(on_a, held))

    with closing(target.open(NO_NODE)) as opened:
        put_into_empty(State(opened, max_changes_per_commit=3), Export(records, None))

    with pytest.raises(StoreFailure, match=REPLACED):
        store.commit(puts(replace(INSIDE, id="local/100.64.0.8/30")))
