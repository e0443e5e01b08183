"""Writing a journal: what is in it, and what is on the disk when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyipam.store.tinydb.journal import Journal, journal_path
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.journals import (
    AFTER,
    COMMITS,
    NUMBER,
    append,
    batches_in,
    created,
    read,
    write_journal,
)

pytestmark = pytest.mark.usefixtures("disk")


def test_batches_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    content = read(write_journal(tmp_path))

    assert content.after == AFTER
    assert [entry.sequence for entry in content.entries] == [42, 43, 44, 45, 46]
    assert [list(entry.changes) for entry in content.entries] == COMMITS
    assert content.next_number is None


def test_each_batch_is_one_line(tmp_path: Path) -> None:
    content = write_journal(tmp_path).read_bytes()

    assert content.count(b"\n") == 1 + len(COMMITS)
    assert content.endswith(b"\n")


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    journal = created(tmp_path)
    append(journal, AFTER + 1, COMMITS[0])
    journal.close()

    assert journal.size == journal.path.stat().st_size == read(journal.path).size


def test_a_journal_may_name_the_one_that_follows_it(tmp_path: Path) -> None:
    journal = created(tmp_path)
    append(journal, AFTER + 1, COMMITS[0])
    journal.write_next(NUMBER + 1)
    journal.close()

    assert read(journal.path).next_number == NUMBER + 1


def test_the_names_of_journals_sort_by_number() -> None:
    names = [str(journal_path(Path(), number)) for number in (1, 9, 10, 99_999_999)]

    assert names == sorted(names)


def test_only_the_owner_can_read_a_journal(tmp_path: Path) -> None:
    assert write_journal(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_batch_is_on_the_disk_once_it_is_synced(tmp_path: Path, disk: FaultyDisk) -> None:
    journal = created(tmp_path)

    journal.write(AFTER + 1, COMMITS[0])
    assert list(disk.unsynced) == [str(journal.path)]
    journal.sync()

    assert disk.unsynced == {}
    journal.close()


def test_a_new_journal_and_its_name_are_on_the_disk_before_it_is_used(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    created(tmp_path).close()

    assert disk.unsynced == {}


def test_a_batch_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    journal = created(tmp_path)
    append(journal, AFTER + 1, COMMITS[0])
    before = journal.path.read_bytes()
    disk.fill_up_at(len(disk.calls))

    with pytest.raises(OSError, match="No space left"):
        append(journal, AFTER + 2, COMMITS[1])

    assert journal.path.read_bytes() == before
    append(journal, AFTER + 2, COMMITS[2])
    journal.close()
    assert batches_in(journal.path) == [COMMITS[0], COMMITS[2]]


def test_a_batch_that_could_not_be_synced_leaves_nothing_behind(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    journal = created(tmp_path)
    disk.fill_up_at(len(disk.calls) + 1)

    with pytest.raises(OSError, match="No space left"):
        append(journal, AFTER + 1, COMMITS[0])

    journal.close()
    assert batches_in(journal.path) == []


def test_a_journal_continues_after_its_last_whole_batch(tmp_path: Path) -> None:
    path = write_journal(tmp_path, COMMITS[:3])
    path.write_bytes(path.read_bytes()[:-20])

    journal = Journal.reopen(path, NUMBER, read(path).size)
    append(journal, AFTER + 3, COMMITS[4])
    journal.close()

    assert batches_in(path) == [COMMITS[0], COMMITS[1], COMMITS[4]]


def test_no_descriptor_is_left_open_when_a_journal_cannot_be_created(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for failing in range(1, 4):
        disk.fill_up_at(len(disk.calls) + failing)
        with pytest.raises(OSError, match="No space left"):
            created(tmp_path)

    assert len(os.listdir("/proc/self/fd")) == before
