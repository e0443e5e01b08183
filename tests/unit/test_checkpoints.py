"""What commits and checkpoints do to the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stored_records import LEASE, POOL, puts, replace
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.state_folders import crashed, files_in, lines_of_journal, load, opened

pytestmark = pytest.mark.usefixtures("disk")


def test_a_commit_is_on_the_disk_when_it_returns(folder: Path, disk: FaultyDisk) -> None:
    store = opened(folder)

    store.commit(puts(POOL, LEASE))

    assert disk.unsynced == {}
    store.close()


@pytest.mark.parametrize("stored", [0, 2000])
def test_a_commit_takes_one_write_and_one_sync_however_much_is_stored(
    folder: Path, disk: FaultyDisk, stored: int
) -> None:
    store = opened(folder, checkpoint_size=1 << 20)
    pool = replace(POOL, id="local/100.64.0.0/20")
    leases = [
        replace(LEASE, pool=pool.id, address=f"100.64.{n >> 8}.{n & 255}") for n in range(stored)
    ]
    store.commit(puts(pool, *leases))
    disk.calls.clear()
    size = len(lines_of_journal(folder))

    store.commit(puts(replace(LEASE, pool=pool.id, address="100.64.15.1")))

    assert len(disk.calls) == 2
    assert len(lines_of_journal(folder)) - size < 300
    store.close()


def test_a_journal_that_has_grown_is_brought_into_the_files_and_replaced(folder: Path) -> None:
    store = opened(folder, checkpoint_size=4096)
    sizes = []
    for number in range(100):
        store.commit(puts(replace(POOL, label=str(number))))
        (journal,) = folder.glob("journal-*.log")
        sizes.append(len(journal.read_bytes().rstrip(b"\0")))

    assert max(sizes) < 4096
    assert sizes != sorted(sizes)
    assert load(crashed(folder)) == {replace(POOL, label="99")}
    store.close()


def test_a_checkpoint_syncs_each_file_before_it_counts_and_removes_the_old_journal_last(
    folder: Path, disk: FaultyDisk
) -> None:
    """The one test that lists system calls, because their order is what keeps the state whole."""
    store = opened(folder)
    store.commit(puts(POOL))
    disk.calls.clear()

    store.checkpoint()

    create_the_next_journal = ["open", "write", "fdatasync", "fsync"]
    write_its_header = ["write", "fdatasync"]
    name_it_in_the_present_one = ["write", "fdatasync", "ftruncate"]
    replace_a_file = ["open", "write", "fsync", "replace", "fsync"]
    remove_the_old_journal = ["unlink", "fsync"]
    assert disk.calls == [
        *create_the_next_journal,
        *write_its_header,
        *name_it_in_the_present_one,
        # The file of the scope, then the manifest.
        *replace_a_file,
        *replace_a_file,
        *remove_the_old_journal,
    ]
    assert disk.unsynced == {}
    store.close()


def test_a_checkpoint_after_the_store_was_closed_changes_nothing(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    store.close()
    before = files_in(folder)

    store.checkpoint()

    assert files_in(folder) == before
