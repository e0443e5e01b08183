"""Exports and imports: what they move, and into which states."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings

from pyipam.cli.main import main
from pyipam.store.records import Change, LeaseRecord, PoolRecord
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    DRIVER,
    POOL,
    Model,
    batches,
    puts,
)
from tests.unit.transfers import (
    EVERYTHING,
    OTHER_POOL,
    OTHER_SCHEMA,
    SCHEMA,
    exported,
    imported,
    keep,
    load,
    written,
)

# The disk makes nobody wait, and works until told otherwise.
pytestmark = pytest.mark.usefixtures("disk")


def test_an_export_contains_everything_that_the_state_holds(full_export: Path) -> None:
    export = exported(full_export)

    assert set(export.records) == set(EVERYTHING)
    assert export.schema == SCHEMA


def test_an_export_changes_nothing_in_the_state(full_state: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in full_state.rglob("*") if path.is_file()}

    assert main(["export", "--state", str(full_state), str(tmp_path / "export.json")]) == 0

    assert {path: path.read_bytes() for path in full_state.rglob("*") if path.is_file()} == before


def test_an_export_after_a_crash_contains_what_was_committed(
    full_state: Path, tmp_path: Path
) -> None:
    with closing(TinyDbStore(full_state)) as store:
        list(store.load())
        store.commit(puts(OTHER_POOL))
        crashed = tmp_path / "crashed"
        shutil.copytree(full_state, crashed)

    assert main(["export", "--state", str(crashed), str(tmp_path / "export.json")]) == 0

    assert OTHER_POOL in exported(tmp_path / "export.json").records


def test_an_import_restores_everything(full_export: Path, empty_state: Path) -> None:
    assert imported(full_export, empty_state) == 0

    assert load(empty_state) == set(EVERYTHING)
    assert (empty_state / "schema.json").read_text() == SCHEMA


def test_exporting_what_was_imported_gives_the_same_bytes(
    full_export: Path, empty_state: Path, tmp_path: Path
) -> None:
    assert imported(full_export, empty_state) == 0

    again = tmp_path / "again.json"
    assert main(["export", "--state", str(empty_state), str(again)]) == 0
    assert again.read_bytes() == full_export.read_bytes()


def test_both_commands_say_how_much_they_moved(
    full_state: Path, empty_state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "export.json"
    main(["export", "--state", str(full_state), str(file)])
    imported(file, empty_state)

    assert capsys.readouterr().err.splitlines() == [
        "pyipam: exported 4 pools, 5 leases and 1 driver name, with the schema that was remembered",
        f"pyipam: imported 4 pools, 5 leases and 1 driver name into {empty_state}",
    ]


def test_an_export_can_go_through_the_standard_streams(
    full_state: Path,
    empty_state: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["export", "--state", str(full_state), "-"]) == 0
    content = capsysbinary.readouterr().out

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["import", "--state", str(empty_state), "-"]) == 0

    assert load(empty_state) == set(EVERYTHING)


@settings(max_examples=25)
@given(commits=batches())
def test_whatever_a_state_holds_is_moved(
    tmp_path_factory: pytest.TempPathFactory, commits: list[Sequence[Change]]
) -> None:
    folder = tmp_path_factory.mktemp("transfer")
    model = Model()
    with closing(TinyDbStore(folder / "from")) as store:
        list(store.load())
        for changes in commits:
            store.commit(changes)
            model.apply(changes)

    file = folder / "export.json"
    assert main(["export", "--state", str(folder / "from"), str(file)]) == 0
    (folder / "to").mkdir()
    assert imported(file, folder / "to") == 0

    assert model.holds(load(folder / "to"))


def test_an_export_replaces_an_earlier_one(full_export: Path, other_state: Path) -> None:
    assert main(["export", "--state", str(other_state), str(full_export)]) == 0

    assert OTHER_POOL in exported(full_export).records


def test_only_its_owner_can_read_an_export(full_export: Path) -> None:
    assert full_export.stat().st_mode & 0o777 == 0o600


def test_pools_and_leases_are_counted_by_their_kind(full_export: Path) -> None:
    records = exported(full_export).records

    assert sum(isinstance(record, PoolRecord) for record in records) == 4
    assert sum(isinstance(record, LeaseRecord) for record in records) == 5


# Into a state that is not empty


def test_an_import_into_a_state_with_pools_and_leases_is_refused(
    full_export: Path, other_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load(other_state)

    assert imported(full_export, other_state) == 1

    assert load(other_state) == before
    assert not (other_state / "schema.json").exists()
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: refused: the state is not empty: it holds 1 pool, 1 lease and 1 driver name. "
        "Import into an empty one, or replace all of that with --force"
    )


def test_a_state_with_only_driver_names_counts_as_empty(
    full_export: Path, empty_state: Path
) -> None:
    keep(empty_state, puts(DRIVER._replace(local_epoch=1), DRIVER._replace(name="pyipam")))

    assert imported(full_export, empty_state) == 0

    assert load(empty_state) == set(EVERYTHING)


def test_a_forced_import_replaces_everything(full_export: Path, other_state: Path) -> None:
    assert imported(full_export, other_state, "--force") == 0

    assert load(other_state) == set(EVERYTHING)
    assert (other_state / "schema.json").read_text() == SCHEMA


def test_a_forced_import_of_the_same_records_changes_nothing(
    full_export: Path, full_state: Path
) -> None:
    assert imported(full_export, full_state, "--force") == 0

    assert load(full_state) == set(EVERYTHING)


def test_a_forced_import_moves_a_pool_to_the_file_of_its_scope_in_the_export(
    full_export: Path, empty_state: Path
) -> None:
    keep(empty_state, puts(POOL._replace(scope="100.64.0.0/10")))

    assert imported(full_export, empty_state, "--force") == 0

    assert load(empty_state) == set(EVERYTHING)
    assert not (empty_state / "scopes" / "100.64.0.0-10.json").exists()


# The remembered schema


def test_a_schema_that_the_state_remembers_is_kept_with_a_message(
    full_export: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty_state.mkdir()
    (empty_state / "schema.json").write_text(OTHER_SCHEMA)

    assert imported(full_export, empty_state) == 0

    assert (empty_state / "schema.json").read_text() == OTHER_SCHEMA
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: the schema of the file was left out: the state keeps another one that it remembers"
    )


def test_a_forced_import_replaces_the_remembered_schema(
    full_export: Path, other_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (other_state / "schema.json").write_text(OTHER_SCHEMA)

    assert imported(full_export, other_state, "--force") == 0

    assert (other_state / "schema.json").read_text() == SCHEMA
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_an_export_without_a_schema_keeps_the_remembered_one(
    tmp_path: Path, empty_state: Path, options: list[str]
) -> None:
    empty_state.mkdir()
    (empty_state / "schema.json").write_text(OTHER_SCHEMA)

    assert imported(written(tmp_path / "export.json", POOL), empty_state, *options) == 0

    assert (empty_state / "schema.json").read_text() == OTHER_SCHEMA


def test_a_state_with_an_invalid_schema_is_not_exported(
    full_state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (full_state / "schema.json").write_text('{"schema_version": 1, "scopes": 7}')

    assert main(["export", "--state", str(full_state), str(tmp_path / "export.json")]) == 1

    assert not (tmp_path / "export.json").exists()
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("$.plan.schema: the schema is not valid: $.scopes: it must be a list, not 7")
    )
