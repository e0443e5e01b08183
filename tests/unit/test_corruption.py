"""A state folder that cannot be read completely is refused, and is not written to."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from tinydb import TinyDB

from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.store.records import Record
from pyipam.store.tinydb.journal import Journal
from pyipam.store.tinydb.sealed_storage import SealedStorage
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    puts,
    replace,
)
from tests.unit.state_folders import (
    EVERYTHING,
    IPV4_FILE,
    crashed,
    files_in,
    journal_of,
    keep,
    lines_of_journal,
    load,
    make_files_only,
    make_with_journal,
    make_with_two_journals,
)

pytestmark = pytest.mark.usefixtures("disk")


@pytest.fixture(params=[make_files_only, make_with_journal, make_with_two_journals])
def state(request: pytest.FixtureRequest, folder: Path) -> Path:
    """A state with none, one or two journals that hold something."""
    make: Callable[[Path], None] = request.param
    make(folder)
    return folder


def refusal(folder: Path) -> str:
    """The error of loading, which may not change anything in the folder."""
    before = files_in(folder)
    store = TinyDbStore(folder)
    with pytest.raises(StateCorrupted) as caught:
        list(store.load())
    store.close()
    assert files_in(folder) == before, "a state that cannot be read was written to"
    return str(caught.value)


def corrupted_copies(
    state: Path, corrupt: Callable[[bytes], bytes | None]
) -> Iterator[tuple[str, Path]]:
    """For each file a copy of the folder with that file corrupted (None: removed)."""
    for name, content in files_in(state).items():
        copy = crashed(state)
        changed = corrupt(content)
        if changed is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(changed)
        yield name, copy


def test_a_missing_file_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda _: None):
        message = refusal(copy)
        assert f"{copy / name} at byte 0: the file is missing" in message


def test_an_empty_file_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda _: b""):
        assert f"{copy / name} at byte 0" in refusal(copy)


def test_a_file_full_of_zeros_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda content: bytes(len(content))):
        assert f"{copy / name} at byte 0" in refusal(copy)


def test_a_truncated_file_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda content: content[: len(content) // 2]):
        if name.startswith("journal"):
            continue
        assert f"{copy / name} at byte" in refusal(copy)


def test_a_truncated_journal_that_another_one_follows_is_refused(folder: Path) -> None:
    make_with_two_journals(folder)
    first = min(folder.glob("journal-*.log"))
    whole = first.read_bytes()

    for cut in range(0, len(whole), 3):
        copy = crashed(folder)
        (copy / first.name).write_bytes(whole[:cut])
        assert f"{copy / first.name} at byte" in refusal(copy), f"cut at byte {cut}"


def test_the_last_journal_cut_at_any_byte_has_the_commits_before_the_cut(folder: Path) -> None:
    make_with_journal(folder)
    whole = lines_of_journal(folder)
    records: list[Record] = [POOL, IPV6_POOL, DRIVER, GATEWAY, LEASE, GLOBAL_POOL, IPV6_LEASE]
    head = whole.index(b"\n") + 1

    for cut in range(head, len(whole) + 1, 5):
        copy = crashed(folder)
        journal_of(copy).write_bytes(whole[:cut])
        whole_lines = whole[:cut].count(b"\n") - 1
        assert load(copy) == set(records[: 3 + whole_lines]), f"cut at byte {cut}"


def test_any_flipped_bit_is_refused_or_changes_nothing(state: Path) -> None:
    chance = random.Random(4711)
    expected = load(crashed(state))
    for name, content in files_in(state).items():
        for position in range(chance.randrange(19), len(content), 19):
            flipped = bytearray(content)
            flipped[position] ^= 1 << chance.randrange(8)
            copy = crashed(state)
            (copy / name).write_bytes(flipped)
            with suppress(StateCorrupted):
                assert load(copy) == expected, f"byte {position} of {name}"


def test_an_outdated_file_is_refused(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    before = files_in(folder)
    keep(folder, puts(replace(LEASE, epoch=2), replace(IPV6_LEASE, epoch=2), replace(DRIVER)))
    now = files_in(folder)

    for name, content in before.items():
        if name in now:
            copy = crashed(folder)
            (copy / name).write_bytes(content)
            assert "the state is corrupted: " in refusal(copy), name


def test_an_old_copy_of_the_whole_folder_is_a_valid_backup(folder: Path) -> None:
    keep(folder, puts(POOL, GATEWAY))
    backup = crashed(folder)
    keep(folder, puts(LEASE))

    assert load(backup) == {POOL, GATEWAY}


def test_a_file_that_another_program_has_written_is_refused(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    with TinyDB(folder / IPV4_FILE) as database:
        database.table("100.64.0.0/30").insert({"kind": "lease"})

    assert f"{folder / IPV4_FILE} at byte 0" in refusal(folder)


def test_a_lease_without_its_pool_is_refused(folder: Path) -> None:
    keep(folder, puts(POOL, LEASE))
    storage = SealedStorage(folder / IPV4_FILE)
    tables = storage.read()
    assert tables is not None
    (documents,) = tables.values()
    storage.write({"100.64.0.0/30": {n: d for n, d in documents.items() if d["kind"] == "lease"}})

    place = f"{folder / IPV4_FILE} at byte 0: table 100.64.0.0/30 cannot be read"
    assert place in refusal(folder)


def test_a_document_that_is_not_a_record_is_refused(folder: Path) -> None:
    keep(folder, puts(POOL))
    storage = SealedStorage(folder / IPV4_FILE)
    storage.read()
    storage.write({"100.64.0.0/30": {"7": {"kind": "cat"}}})

    place = f"{folder / IPV4_FILE} at byte 0: table 100.64.0.0/30 cannot be read"
    assert place in refusal(folder)


def test_a_folder_in_the_place_of_a_file_is_refused(state: Path) -> None:
    for name in files_in(state):
        copy = crashed(state)
        (copy / name).unlink()
        (copy / name).mkdir()
        store = TinyDbStore(copy)
        with pytest.raises(Unavailable, match="Is a directory"):
            list(store.load())
        store.close()


def test_a_journal_that_names_itself_as_the_next_is_refused(folder: Path) -> None:
    make_with_journal(folder)
    path = journal_of(folder)
    number = int(path.stem[-8:])
    journal = Journal.reopen(path, number, len(lines_of_journal(folder)))
    journal.write_next(number)
    journal.close()

    assert f"journal {number} cannot follow it" in refusal(folder)


def test_a_newer_format_is_refused_with_what_to_do(folder: Path) -> None:
    keep(folder, puts(POOL))
    state = {"format": 4, "files": {}, "journal": 1}
    manifest = {"crc32": zlib.crc32(orjson.dumps(state)), "state": state}
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))

    assert refusal(folder) == (
        f"{folder / 'manifest.json'} has format 4, but this version of pyipam reads formats up to "
        "3 only; install the version that wrote it"
    )


def test_a_manifest_is_required_even_if_only_driver_names_were_stored(folder: Path) -> None:
    keep(folder, puts(DRIVER))
    (folder / "manifest.json").unlink()

    assert "manifest.json at byte 0: the file is missing" in refusal(folder)


def test_a_state_that_could_not_be_loaded_is_not_written_to_by_commits(folder: Path) -> None:
    make_with_journal(folder)
    (folder / IPV4_FILE).write_bytes(b"{}")
    before = files_in(folder)
    store = TinyDbStore(folder)
    with pytest.raises(StateCorrupted):
        list(store.load())

    with pytest.raises(StoreFailure):
        store.commit(puts(POOL))

    store.close()
    assert files_in(folder) == before
