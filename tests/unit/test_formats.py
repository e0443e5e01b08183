"""State folders that an older version has written.

`format_1` was left by a killed process of the version that wrote format 1. It consists of TinyDB
files, and of a journal with commits that they do not contain.
"""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import orjson
import pytest
from tinydb import TinyDB

from pyipam.errors import StateCorrupted
from pyipam.store.records import Record
from pyipam.store.tinydb.layout import LAYOUTS, Layout
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_POOL,
    LEASE,
    MARK,
    POOL,
    deletes,
    puts,
)
from tests.unit.faulty_disk import FaultyDisk, Killed
from tests.unit.state_folders import crashed, load

HELD: set[Record] = {
    POOL,
    GATEWAY,
    LEASE,
    GLOBAL_POOL,
    IPV6_POOL,
    DRIVER._replace(local_epoch=9),
}
FORMAT_1 = Path(__file__).with_name("format_1")


pytestmark = pytest.mark.usefixtures("disk")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the old folder."""
    return copied(tmp_path / "state")


def copied(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(FORMAT_1, place)
    return place


def format_of(folder: Path) -> int:
    found: int = orjson.loads((folder / "manifest.json").read_bytes())["state"]["format"]
    return found


def test_an_old_folder_is_loaded_with_what_its_journal_holds(folder: Path) -> None:
    store = TinyDbStore(folder)

    assert set(store.load()) == HELD
    assert format_of(folder) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_next_checkpoint_writes_the_present_format(folder: Path, layout: Layout) -> None:
    store = TinyDbStore(folder, layout)
    list(store.load())
    store.checkpoint()

    assert format_of(folder) == 2
    for path in folder.glob("scopes/*.json"):
        assert path.read_bytes().startswith(b'{\n"')
        with TinyDB(path) as database:
            assert "_pyipam" in database.tables()
    store.close()
    assert load(folder, layout) == HELD


def test_a_checkpoint_is_due_as_soon_as_an_old_folder_is_loaded(folder: Path) -> None:
    store = TinyDbStore(folder)
    list(store.load())

    store.checkpoint_if_due()

    assert format_of(folder) == 2
    store.close()


def test_a_commit_before_that_checkpoint_is_part_of_it(folder: Path) -> None:
    store = TinyDbStore(folder)
    list(store.load())
    other = POOL._replace(label="other")
    store.commit(puts(other))
    crash = crashed(folder)
    store.close()

    assert load(folder) == load(crash) == HELD - {POOL} | {other}


def test_a_migration_that_is_killed_at_any_moment_loses_nothing(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    for moment in count():
        place = copied(tmp_path / "state")
        disk.calls.clear()
        disk.kill_at(moment)
        try:
            load(place)
        except Killed:
            disk.heal()
        else:
            break
        crash = crashed(place)
        assert load(crash) == HELD, f"killed in call {moment}"
        assert format_of(crash) == 2

    assert moment > 20


def test_any_flipped_bit_of_an_old_folder_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    chance = random.Random(4711)
    for name in (path.relative_to(FORMAT_1) for path in FORMAT_1.rglob("*") if path.is_file()):
        content = (FORMAT_1 / name).read_bytes()
        for position in range(chance.randrange(7), len(content), 7):
            place = copied(tmp_path / "state")
            flipped = bytearray(content)
            flipped[position] ^= 1 << chance.randrange(8)
            (place / name).write_bytes(flipped)
            with suppress(StateCorrupted):
                assert load(place) == HELD, f"byte {position} of {name}"


def test_a_missing_file_of_an_old_folder_is_refused(tmp_path: Path) -> None:
    for name in ("drivers.json", "scopes/100.64.0.0-20.json", "journal-00000002.log"):
        place = copied(tmp_path / "state")
        (place / name).unlink()
        with pytest.raises(StateCorrupted, match="the file is missing"):
            load(place)


def test_a_folder_without_aggregates_can_be_read_by_older_versions(tmp_path: Path) -> None:
    store = TinyDbStore(tmp_path / "state")
    list(store.load())
    store.commit(puts(POOL, LEASE, DRIVER))
    store.close()

    assert format_of(tmp_path / "state") == 2


@pytest.mark.parametrize("record", [AGGREGATE, MARK])
def test_older_versions_refuse_a_folder_with_aggregates_from_the_first_one_on(
    tmp_path: Path, record: Record
) -> None:
    store = TinyDbStore(tmp_path / "state")
    list(store.load())
    store.commit(puts(POOL))

    store.commit(puts(record))

    assert format_of(tmp_path / "state") == 3
    store.close()
    assert format_of(tmp_path / "state") == 3
    assert load(tmp_path / "state") == {POOL, record}


def test_a_folder_whose_aggregates_are_gone_can_be_read_by_older_versions_again(
    tmp_path: Path,
) -> None:
    for changes in (puts(AGGREGATE), deletes(AGGREGATE), puts(POOL)):
        store = TinyDbStore(tmp_path / "state")
        list(store.load())
        store.commit(changes)
        store.close()

    assert format_of(tmp_path / "state") == 2
    assert load(tmp_path / "state") == {POOL}
