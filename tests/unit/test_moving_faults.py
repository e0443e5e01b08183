"""Imports and exports that are killed or fail take effect completely or not at all."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest

from pyipam.cli.main import main
from tests.support.stored_records import (
    puts,
)
from tests.unit.faulty_disk import FaultyDisk, Killed
from tests.unit.transfers import (
    EVERYTHING,
    OTHER_POOL,
    OTHER_SCHEMA,
    imported,
    keep,
    load,
    refusal,
)

pytestmark = pytest.mark.usefixtures("disk")


@pytest.mark.parametrize("command", [["import", "--force"], ["restore", "--discard-newer"]])
def test_an_import_that_is_killed_has_taken_effect_completely_or_not_at_all(
    full_export: Path, other_state: Path, disk: FaultyDisk, command: list[str]
) -> None:
    before, after = load(other_state), set(EVERYTHING)
    found = []
    for moment in count():
        place = other_state.with_name(f"{moment}")
        shutil.copytree(other_state, place)
        disk.calls.clear()
        disk.kill_at(moment)
        try:
            main([*command, "--state", str(place), str(full_export)])
        except Killed:
            disk.heal()
        else:
            break
        crashed = shutil.copytree(place, other_state.with_name(f"{moment}-crashed"))
        found.append(load(crashed))
        assert found[-1] in (before, after), f"killed in call {moment}, a {disk.calls[moment]}"
        remembers = (crashed / "schema.json").exists()
        assert remembers or found[-1] == before, "no state has its records without their schema"

    assert before in found
    assert after in found


def test_an_import_on_a_full_disk_leaves_the_state_unchanged(
    full_export: Path, other_state: Path, disk: FaultyDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    (other_state / "schema.json").write_text(OTHER_SCHEMA)
    before, refused = load(other_state), 0
    for moment in count():
        place = other_state.with_name(f"{moment}")
        shutil.copytree(other_state, place)
        disk.calls.clear()
        disk.fill_up_at(moment)
        code = imported(full_export, place, "--force")
        full = moment < len(disk.calls)
        disk.heal()
        if not full:
            break
        if code == 0:
            assert load(place) == set(EVERYTHING)
            continue
        refused += 1
        assert "No space left on device" in capsys.readouterr().err
        assert load(place) == before
        assert (place / "schema.json").read_text() == OTHER_SCHEMA

    assert refused > 2


def test_an_export_that_fails_leaves_the_earlier_one(
    full_state: Path, full_export: Path, disk: FaultyDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    before = full_export.read_bytes()
    keep(full_state, puts(OTHER_POOL))
    disk.calls.clear()
    main(["export", "--state", str(full_state), str(full_export.with_name("unused.json"))])
    write = max(number for number, name in enumerate(disk.calls) if name == "write")
    disk.calls.clear()
    disk.fill_up_at(write)

    error = refusal(capsys, "export", "--state", full_state, full_export)

    assert "No space left on device" in error
    assert full_export.read_bytes() == before
