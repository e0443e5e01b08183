"""A shared plan, exported, and imported into a folder or into another store."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from pyipam.cli.main import main
from pyipam.store.records import Claim, PoolRecord
from tests.mongodb.nodes import SharedPlan
from tests.mongodb.transfers import (
    GLOBAL_LEASE,
    HOST,
    OTHER_HOST,
    export,
    import_file,
    in_folder,
    refusal,
    seen_by,
    written,
)
from tests.support.stored_records import GATEWAY, GLOBAL_POOL, POOL, puts


@pytest.fixture
def shared(plan: SharedPlan, file: Path) -> SharedPlan:
    """The plan of two nodes."""
    assert import_file(written(file, HOST), plan, "--node", "a") == 0
    assert import_file(written(file, OTHER_HOST), plan, "--node", "b") == 0
    return plan


def test_an_export_names_the_node_of_every_record(shared: SharedPlan, file: Path) -> None:
    names = {
        record.id if isinstance(record, PoolRecord) else getattr(record, "name", "")
        for record in export(shared, file).records
    }

    assert names - {""} == {
        "driver@a",
        "driver@b",
        "global/100.64.0.0/30",
        "local@a/100.64.0.0/30",
        "local@a/100.64.5.0/24/100.64.5.64/26",
        "local@a/fc00:f00f::/64",
        "local@b/10.9.0.0/24",
    }


def test_an_export_contains_no_schema_and_says_so(
    shared: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(shared, file).schema is None

    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: exported 5 pools, 6 leases and 2 driver names, no schema: each node has its own"
    )


def test_an_export_changes_nothing_for_the_nodes(shared: SharedPlan, file: Path) -> None:
    before = {node: seen_by(shared, node) for node in ("a", "b")}

    export(shared, file)

    assert {node: seen_by(shared, node) for node in ("a", "b")} == before


def test_a_folder_gets_what_its_node_holds_and_the_global_space(
    shared: SharedPlan, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(shared, file)

    for node, folder in (("a", tmp_path / "a"), ("b", tmp_path / "b")):
        folder.mkdir()
        assert main(["import", "--state", str(folder), "--node", node, str(file)]) == 0

    assert in_folder(tmp_path / "a") == set(HOST)
    unclaimed = Claim("driver", 0, 1)
    assert in_folder(tmp_path / "b") == {
        *OTHER_HOST,
        GLOBAL_POOL._replace(claims=(unclaimed,)),
        GLOBAL_LEASE._replace(epoch=0),
    }
    assert capsys.readouterr().err.splitlines()[-3:] == [
        "pyipam: left out, because node b has it: 1 pool, 1 lease and 1 driver name",
        f"pyipam: imported 2 pools, 2 leases and 1 driver name into {tmp_path / 'b'}",
        "pyipam: left out, because node a has it: 3 pools, 4 leases and 1 driver name",
    ]


def test_a_shared_plan_can_be_moved_as_a_whole_into_another_store(
    shared: SharedPlan, second_plan: SharedPlan, tmp_path: Path, file: Path
) -> None:
    export(shared, file)

    assert import_file(file, second_plan) == 0

    for node in ("a", "b"):
        assert seen_by(second_plan, node) == seen_by(shared, node)
    again = tmp_path / "again.json"
    export(second_plan, again)
    assert again.read_bytes() == file.read_bytes()


def test_a_forced_import_of_a_shared_plan_replaces_what_its_nodes_hold_now(
    shared: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {node: seen_by(shared, node) for node in ("a", "b")}
    export(shared, file)
    node = shared.loaded("a")
    node.commit(puts(POOL._replace(id="local/100.64.3.0/30"), GATEWAY._replace(granted=77.0)))
    node.close()

    assert import_file(file, shared) == 1
    assert refusal(capsys).startswith("the state is not empty: it holds")
    assert import_file(file, shared, "--force") == 0

    assert {node: seen_by(shared, node) for node in ("a", "b")} == before


def test_a_shared_plan_is_imported_without_a_node_name(
    shared: SharedPlan, second_plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(shared, file)

    assert import_file(file, second_plan, "--node", "a") == 1

    assert refusal(capsys) == "the pools in the file name their nodes (a, b): leave out --node"


def test_the_credentials_are_read_from_a_file(
    plan: SharedPlan, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_bytes(orjson.dumps({"username": "nobody", "password": "hunter2"}))

    assert import_file(written(file, HOST), plan, "--node", "a") == 0
    named = ["--store-url", plan.address.url, "--store-credentials", str(credentials)]
    assert main(["export", *named, str(file)]) == 1

    error = refusal(capsys)
    assert "Authentication failed" in error
    assert "hunter2" not in error


def test_a_store_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "mongodb://me:hunter2@127.0.0.1:1/?replicaSet=no&serverSelectionTimeoutMS=200"

    assert main(["export", "--store-url", url, os.devnull]) == 1

    error = refusal(capsys)
    assert error.startswith("the store mongodb://me@127.0.0.1:1/pyipam does not answer (")
    assert "hunter2" not in error
