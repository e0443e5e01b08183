"""The plan of a host, imported into a shared store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings

from pyipam.cli.main import main
from pyipam.store.records import Change, Claim, NodeRecord
from pyipam.store.tinydb.store import TinyDbStore
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.mongodb.transfers import (
    GLOBAL_LEASE,
    HOST,
    OTHER_HOST,
    OTHER_POOL,
    export,
    import_file,
    in_folder,
    refusal,
    seen_by,
    written,
)
from tests.support.mongodb.replica_set import ReplicaSet, wait_for
from tests.support.stored_records import DRIVER, GLOBAL_POOL, LEASE, POOL, Model, batches, puts

SCHEMA = '{"schema_version": 1, "scopes": []}'


def test_what_a_host_held_becomes_what_its_node_holds(
    plan: SharedPlan, tmp_path: Path, file: Path
) -> None:
    folder = tmp_path / "state"
    with closing(TinyDbStore(folder)) as store:
        list(store.load())
        store.commit(puts(*HOST))
    assert main(["export", "--state", str(folder), str(file)]) == 0

    assert import_file(file, plan, "--node", "a") == 0

    assert seen_by(plan, "a") == set(HOST)


def test_other_nodes_see_which_node_holds_it(plan: SharedPlan, file: Path) -> None:
    assert import_file(written(file, [DRIVER, POOL, LEASE, GLOBAL_POOL]), plan, "--node", "a") == 0

    claims = (Claim("driver@a", 1, 1),)
    assert seen_by(plan, "b") == {
        DRIVER._replace(name="driver@a"),
        POOL._replace(id="local@a/100.64.0.0/30", claims=claims),
        LEASE._replace(pool="local@a/100.64.0.0/30", driver="driver@a"),
        GLOBAL_POOL._replace(claims=claims),
    }


@settings(max_examples=10)
@given(commits=batches())
def test_whatever_a_host_held_can_be_moved_there_and_back(
    replica_set: ReplicaSet,
    tmp_path_factory: pytest.TempPathFactory,
    commits: list[Sequence[Change]],
) -> None:
    model = Model()
    for changes in commits:
        model.apply(changes)
    folder = tmp_path_factory.mktemp("transfer")
    file = written(folder / "plan.json", list(model.records.values()))

    with shared_plan(replica_set) as plan:
        assert import_file(file, plan, "--node", "a") == 0
        assert model.holds(seen_by(plan, "a"))
        export(plan, file)
    node = ["--node", "a"] if model.records else []
    (folder / "state").mkdir()
    assert main(["import", "--state", str(folder / "state"), *node, str(file)]) == 0

    assert model.holds(in_folder(folder / "state"))


def test_hosts_can_be_imported_one_after_another(plan: SharedPlan, file: Path) -> None:
    assert import_file(written(file, HOST), plan, "--node", "a") == 0
    assert import_file(written(file, OTHER_HOST), plan, "--node", "b") == 0

    seen = seen_by(plan, "b")
    assert set(OTHER_HOST) <= seen
    assert seen_by(plan, "a") >= set(HOST)
    assert len(seen) == len(HOST) + len(OTHER_HOST)


def test_hosts_with_the_same_address_cannot_share_a_plan(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_file(written(file, [POOL, LEASE]), plan, "--node", "a") == 0
    before = seen_by(plan, "a")

    assert import_file(file, plan, "--node", "b") == 1

    assert refusal(capsys) == (
        "containers on different hosts of a shared plan cannot have the same address, and "
        "containers of other nodes have 100.64.0.2 (local@a/100.64.0.0/30): create one of the "
        "networks again with another subnet, and export again"
    )
    assert seen_by(plan, "a") == before


def test_what_the_node_holds_is_replaced_only_if_forced(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_file(written(file, HOST), plan, "--node", "a") == 0
    assert import_file(written(file, OTHER_HOST), plan, "--node", "b") == 0
    before = seen_by(plan, "a")
    third = OTHER_POOL._replace(id="local/10.10.0.0/24")

    assert import_file(written(file, [DRIVER, third]), plan, "--node", "b") == 1
    assert "it holds 1 pool, 1 lease and 1 driver name" in refusal(capsys)
    assert seen_by(plan, "a") == before

    assert import_file(file, plan, "--node", "b", "--force") == 0
    assert seen_by(plan, "a") >= set(HOST)
    assert seen_by(plan, "b") >= {DRIVER, third}
    assert OTHER_POOL not in seen_by(plan, "b")


def test_the_global_space_is_replaced_only_if_forced(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed = GLOBAL_POOL._replace(claims=(Claim("driver", 9, 1),))
    assert import_file(written(file, HOST), plan, "--node", "a") == 0

    assert import_file(written(file, [claimed]), plan, "--node", "b") == 1
    assert "it holds 1 pool, 1 lease and 0 driver names" in refusal(capsys)

    assert import_file(file, plan, "--node", "b", "--force") == 0
    seen = seen_by(plan, "b")
    assert claimed in seen
    assert GLOBAL_LEASE._replace(driver="driver@a") not in seen
    assert POOL in seen_by(plan, "a")


def test_the_plan_of_one_host_needs_a_node_name(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(file, HOST)

    for options in ([], ["--node", "a/b"], ["--node", "a@b"]):
        assert import_file(file, plan, *options) == 1
        assert refusal(capsys).startswith("the file is an export of one host: say with --node")
    assert seen_by(plan, "a") == set()


def test_the_schema_of_a_folder_is_left_out_with_a_message(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_file(written(file, HOST, SCHEMA), plan, "--node", "a") == 0

    imported, *rest = capsys.readouterr().err.splitlines()
    assert imported.startswith("pyipam: imported 4 pools, 5 leases and 1 driver name into mongodb:")
    assert rest == [
        "pyipam: the schema of the file was left out: each node has its own (SCHEMA_PATH)",
    ]


def test_a_process_of_the_node_that_is_still_running_is_superseded(
    plan: SharedPlan, file: Path
) -> None:
    plan.loaded("a")
    before = plan.database.nodes.find_one({"_id": "a"}, {"process": 1})

    assert import_file(written(file, OTHER_HOST), plan, "--node", "a") == 0

    assert plan.database.nodes.find_one({"_id": "a"}, {"process": 1}) != before


def test_nodes_that_share_the_store_learn_what_was_imported(plan: SharedPlan, file: Path) -> None:
    node = plan.following("b")

    assert import_file(written(file, [DRIVER, POOL, LEASE]), plan, "--node", "a") == 0

    learned: list[Change] = []

    def is_told() -> bool:
        learned.extend(node.take_remote_changes())
        return len(learned) >= 2

    wait_for(is_told, "the imported records to arrive")
    claims = (Claim("driver@a", 1, 1),)
    assert learned == puts(
        POOL._replace(id="local@a/100.64.0.0/30", claims=claims),
        LEASE._replace(pool="local@a/100.64.0.0/30", driver="driver@a"),
    )


def test_a_host_that_is_drained_is_drained_under_its_new_name_and_nobody_else_is(
    plan: SharedPlan, file: Path
) -> None:
    file = written(file, [DRIVER, POOL, NodeRecord("h1", draining=7.0)])

    assert import_file(file, plan, "--node", "h9") == 0

    marks = [each for each in seen_by(plan, "h1") if isinstance(each, NodeRecord)]
    assert marks == [NodeRecord("h9", draining=7.0)]
