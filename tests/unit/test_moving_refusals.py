"""Exports and imports that are refused, and why."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import orjson
import pytest

from pyipam.cli.main import main
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    GATEWAY,
    LEASE,
)
from tests.unit.transfers import (
    imported,
    refusal,
    written,
)

# The disk makes nobody wait, and works until told otherwise.
pytestmark = pytest.mark.usefixtures("disk")


def test_a_state_in_use_is_neither_exported_nor_imported_into(
    full_state: Path, full_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = (
        f"the state folder {full_state} is in use by another process; stop it first (a plugin with "
        "docker plugin disable)"
    )
    with closing(TinyDbStore(full_state)):
        assert refusal(capsys, "export", "--state", full_state, full_export) == expected
        assert refusal(capsys, "import", "--force", "--state", full_state, full_export) == expected


def test_an_export_of_a_folder_without_a_state_creates_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"

    assert refusal(capsys, "export", "--state", nowhere, "-") == (
        f"there is no state in {nowhere}: it has no manifest.json"
    )
    assert not nowhere.exists()


def test_a_corrupted_state_is_not_exported(
    full_state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = full_state.glob("scopes/fc00*.json")
    path.write_bytes(path.read_bytes().replace(b"container", b"canteiner"))

    error = refusal(capsys, "export", "--state", full_state, tmp_path / "export.json")

    assert error.startswith(f"the state is corrupted: {path} at byte 0")
    assert not (tmp_path / "export.json").exists()


def test_a_corrupted_state_is_not_imported_into(
    full_state: Path, full_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = full_state.glob("scopes/fc00*.json")
    path.write_bytes(path.read_bytes().replace(b"container", b"canteiner"))
    before = {path: path.read_bytes() for path in full_state.rglob("*") if path.is_file()}

    error = refusal(capsys, "import", "--force", "--state", full_state, full_export)

    assert error.startswith(f"the state is corrupted: {path}")
    assert {path: path.read_bytes() for path in full_state.rglob("*") if path.is_file()} == before


def test_a_folder_with_other_files_does_not_become_a_state(
    tmp_path: Path, full_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "plugin"
    (plugin / "propagated-mount").mkdir(parents=True)
    (plugin / "config.json").touch()

    assert refusal(capsys, "import", "--state", plugin, full_export).startswith(
        f"{plugin} is not a state folder of pyipam"
    )
    assert {path.name for path in plugin.iterdir()} == {"config.json", "propagated-mount"}
    assert imported(full_export, plugin / "propagated-mount") == 0


@pytest.mark.parametrize("name", ["nowhere", "no/where", "plugins/1d/propagated-mnt"])
def test_an_import_into_a_folder_that_is_not_there_creates_none(
    tmp_path: Path,
    full_export: Path,
    empty_state: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nowhere = tmp_path / name

    error = refusal(capsys, "import", "--state", nowhere, full_export)

    assert error.startswith(f"there is no folder {nowhere}. The state folder of a plugin is ")
    assert not nowhere.exists()
    assert not empty_state.exists()


def test_an_invalid_file_is_refused_with_every_error(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "export.json", GATEWAY, LEASE)

    assert imported(file, empty_state) == 1

    assert capsys.readouterr().err.splitlines() == [
        f"pyipam: refused: {file} cannot be imported:",
        '  $.plan.leases[0].pool: "local/100.64.0.0/30" is not a pool of this file',
        '  $.plan.leases[1].pool: "local/100.64.0.0/30" is not a pool of this file',
    ]
    assert not empty_state.exists()


def test_only_the_first_hundred_errors_are_shown(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leases = [LEASE._replace(address=f"100.64.0.{n}") for n in range(150)]

    assert imported(written(tmp_path / "export.json", *leases), empty_state) == 1

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 102
    assert lines[-1] == "  and 50 more"


def test_files_that_do_not_exist_are_named(
    tmp_path: Path, full_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none" / "export.json"

    assert refusal(capsys, "import", "--force", "--state", full_state, missing) == (
        f"{missing}: No such file or directory"
    )
    assert refusal(capsys, "export", "--state", full_state, missing) == (
        f"{missing} cannot be written: there is no folder {missing.parent}"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["move", "x"],
        ["export"],
        ["export", "--state", "x", "--disable", "y"],
        ["import", "--state", "x", "--plugin", "x", "y"],
        ["import", "--state", "x"],
        ["import", "--state", "x", "--store-url", "mongodb://x", "y"],
        ["export", "--store-credentials", "x", "y"],
    ],
)
def test_invalid_arguments_have_an_exit_code_of_their_own(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("Usage: pyipam")


def test_a_file_of_a_newer_format_is_refused(
    full_export: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full_export.write_bytes(orjson.dumps(orjson.loads(full_export.read_bytes()) | {"format": 3}))

    assert refusal(capsys, "import", "--state", empty_state, full_export) == (
        "  $.format: the file has format 3, and this version of pyipam reads formats 1 and "
        "2: use the version that wrote the file"
    )
    assert not empty_state.exists()
