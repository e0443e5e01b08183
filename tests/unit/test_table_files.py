"""The lines of a TinyDB file: what a checkpoint copies, and what it rewrites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tinydb import TinyDB

from pyipam.errors import StateCorrupted, StoreFailure
from pyipam.files import SYNC_STEP_BYTES, replace_file
from pyipam.store.records import DriverRecord, LeaseRecord, Record
from pyipam.store.tinydb.sealed_storage import DOCUMENTS_PER_LINE, SealedStorage
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import DRIVER, POOL, STRANGE_TEXT, deletes, puts
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.state_folders import crashed, load

FILE = "scopes/100.64.0.0-20.json"
LARGE = POOL._replace(id="local/100.64.0.0/22")
MANY = 10 * DOCUMENTS_PER_LINE


pytestmark = pytest.mark.usefixtures("disk")


def lease(number: int, pool: str = LARGE.id) -> LeaseRecord:
    address = f"100.64.{number >> 8}.{number & 255}"
    return LeaseRecord(pool, address, "container", "driver", 1, float(number))


LEASES: list[Record] = [lease(number) for number in range(1, MANY + 1)]


@pytest.fixture
def store(folder: Path) -> Iterator[TinyDbStore]:
    """A store after a checkpoint, whose file has a table of many leases and one with only a
    pool."""
    store = TinyDbStore(folder)
    list(store.load())
    store.commit(puts(LARGE, *LEASES, POOL._replace(id="local/100.64.8.0/24")))
    store.checkpoint()
    yield store
    store.close()


def lines_in(folder: Path) -> list[bytes]:
    return (folder / FILE).read_bytes().splitlines()


def documents_in(line: bytes) -> int:
    return line.count(b'"kind":')


@pytest.mark.usefixtures("store")
def test_a_table_is_one_line_and_a_large_one_several(folder: Path) -> None:
    lines = lines_in(folder)

    assert lines[0] == b"{"
    assert lines[1] == b'"100.64.0.0/22":{'
    assert [documents_in(line) for line in lines[2:-3]] == [DOCUMENTS_PER_LINE] * 10 + [1]
    assert lines[-3] == b"},"
    assert lines[-2].startswith(b'"100.64.8.0/24":{"1":{"kind":"pool",')
    assert lines[-1].startswith(b'"_pyipam":{"1":{"crc32":')


@pytest.mark.usefixtures("store")
def test_a_file_is_ordinary_json_that_plain_tinydb_opens(folder: Path) -> None:
    tables = orjson.loads((folder / FILE).read_bytes())

    assert list(tables["100.64.0.0/22"]) == [str(number) for number in range(1, MANY + 2)]
    with TinyDB(folder / FILE) as database:
        assert len(database.table("100.64.0.0/22")) == MANY + 1


def test_a_line_that_has_not_changed_is_copied_as_it_is(store: TinyDbStore, folder: Path) -> None:
    before = {line[1:] for line in lines_in(folder)}

    store.commit(puts(lease(3)._replace(epoch=7)))
    store.checkpoint()

    written = {line[1:] for line in lines_in(folder)} - before
    # The line of the lease with the next one, the last line of the table, and the seal.
    assert sorted(map(documents_in, written)) == [0, 2, 2 * DOCUMENTS_PER_LINE - 1]


def test_no_line_grows_without_bound(store: TinyDbStore, folder: Path) -> None:
    for number in range(1, MANY, 7):
        store.commit(deletes(lease(number)))
        store.commit(puts(lease(MANY + number)))
        store.checkpoint()

    sizes = [documents_in(line) for line in lines_in(folder)]
    assert sum(sizes) == MANY + 2
    assert max(sizes) < 2 * DOCUMENTS_PER_LINE


def test_changes_are_found_whatever_the_names_contain(store: TinyDbStore, folder: Path) -> None:
    drivers = [DRIVER._replace(name=f"{STRANGE_TEXT} {number}") for number in range(120)]
    store.commit(puts(*drivers))
    store.checkpoint()

    store.commit(puts(drivers[7]._replace(engine="another")))
    store.commit(deletes(drivers[60]))
    store.commit(puts(LARGE._replace(label='"address":"100.64.0.9"')))
    store.checkpoint()

    found = load(crashed(folder))
    assert {record for record in found if isinstance(record, DriverRecord)} == {
        *drivers[:7],
        drivers[7]._replace(engine="another"),
        *drivers[8:60],
        *drivers[61:],
    }
    assert set(LEASES) < found


def test_a_large_file_is_synced_in_steps(tmp_path: Path, disk: FaultyDisk) -> None:
    piece = bytes(1024)

    replace_file(tmp_path / "large", [piece] * 600)

    assert disk.most_unsynced < SYNC_STEP_BYTES + 64 * len(piece)
    assert disk.unsynced == {}


def test_documents_keep_their_ids_and_no_id_is_used_twice(store: TinyDbStore, folder: Path) -> None:
    for number in range(1, 200, 3):
        store.commit([*puts(lease(number)._replace(epoch=2)), *deletes(lease(number + 1))])
        store.commit(puts(lease(MANY + number)))
        store.checkpoint()

    content = (folder / FILE).read_bytes()
    documents = orjson.loads(content)["100.64.0.0/22"]
    assert len(documents) == documents_in(content) - 1
    assert documents["4"]["address"] == "100.64.0.3"


def test_short_lines_are_joined(store: TinyDbStore, folder: Path) -> None:
    before = len(lines_in(folder))

    for number in range(MANY + 1, MANY + 20):
        store.commit(puts(lease(number)))
        store.checkpoint()

    assert len(lines_in(folder)) == before


def test_a_table_without_records_is_removed(store: TinyDbStore, folder: Path) -> None:
    store.commit(deletes(*LEASES, LARGE))
    store.checkpoint()

    assert list(orjson.loads((folder / FILE).read_bytes())) == ["100.64.8.0/24", "_pyipam"]


def test_all_records_of_a_subnet_end_with_its_last_pool(store: TinyDbStore, folder: Path) -> None:
    store.commit(deletes(LARGE, *LEASES[:-10]))
    store.checkpoint()

    assert list(orjson.loads((folder / FILE).read_bytes())) == ["100.64.8.0/24", "_pyipam"]


def test_a_file_that_becomes_corrupted_in_use_is_not_overwritten(
    store: TinyDbStore, folder: Path, logged: list[str]
) -> None:
    path = folder / FILE
    content = bytearray(path.read_bytes())
    content[content.index(b"100.64.1.7")] ^= 1
    path.write_bytes(content)
    store.commit(puts(DRIVER, lease(1)._replace(epoch=2)))

    store.checkpoint()

    assert path.read_bytes() == content
    assert not list(folder.glob("scopes/*.new"))
    assert f"{path} at byte 0: the checksum of the file does not match" in logged[0]
    store.commit(puts(lease(2)._replace(epoch=2)))
    with pytest.raises(StateCorrupted, match="checksum of the file does not match"):
        load(crashed(folder))


def test_a_commit_that_needs_a_corrupted_file_is_refused(
    store: TinyDbStore, folder: Path, disk: FaultyDisk
) -> None:
    store.commit(puts(lease(1)._replace(epoch=3)))
    (folder / FILE).write_bytes(b"{}")
    disk.fill_up_at(len(disk.calls))
    with pytest.raises(StoreFailure, match="No space left"):
        store.commit(puts(lease(1)._replace(epoch=2)))

    with pytest.raises(
        StoreFailure, match="the change could not be stored: the state is corrupted"
    ):
        store.commit(puts(lease(1)._replace(epoch=2)))


@pytest.mark.usefixtures("store")
def test_a_file_that_continues_after_its_seal_is_refused(folder: Path) -> None:
    path = folder / FILE
    path.write_bytes(path.read_bytes() + b"\n{}")

    with pytest.raises(StateCorrupted, match="checksum of the file does not match"):
        SealedStorage(path).verify()


def test_tables_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    tables: dict[str, dict[str, Any]] = {
        "a": {str(n): {"kind": "x", "n": n} for n in range(1, 200)},
        "b": {"1": {}},
        "c": {},
    }
    storage = SealedStorage(tmp_path / "file.json")

    storage.write(tables)

    assert storage.read() == {"a": tables["a"], "b": tables["b"]}
