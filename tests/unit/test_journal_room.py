"""The room of a journal: zeros that are allocated in advance, and written over by batches."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pyipam.files import SYNC_STEP_BYTES
from pyipam.store.tinydb.journal import Journal, journal_path
from pyipam.store.tinydb.journal_reading import holds_batches
from tests.support.stored_records import POOL, puts, replace
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.journals import (
    AFTER,
    COMMITS,
    NUMBER,
    ROOM,
    append,
    append_all,
    batches_in,
    corruption_of,
    created,
    line_ends,
    read,
    write_journal,
    write_journal_in_use,
)

pytestmark = pytest.mark.usefixtures("disk")


def test_a_batch_does_not_change_the_size_of_a_file_with_room(tmp_path: Path) -> None:
    journal = created(tmp_path, ROOM)
    for sequence, changes in enumerate(COMMITS, start=AFTER + 1):
        append(journal, sequence, changes)
        assert journal.path.stat().st_size == ROOM
        assert read(journal.path).size == journal.size

    assert batches_in(journal.path) == COMMITS
    journal.close()


def test_the_room_is_on_the_disk_before_the_journal_is_used(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    journal = Journal.create(tmp_path, NUMBER, ROOM)

    assert journal.path.stat().st_size == ROOM
    assert disk.unsynced == {}
    journal.close()


def test_much_room_is_synced_in_steps(tmp_path: Path, disk: FaultyDisk) -> None:
    created(tmp_path, 3 * SYNC_STEP_BYTES).close()

    assert disk.most_unsynced == SYNC_STEP_BYTES


def test_a_closed_journal_has_no_room(tmp_path: Path) -> None:
    journal = created(tmp_path, ROOM)
    append(journal, AFTER + 1, COMMITS[0])
    journal.close()

    assert journal.path.stat().st_size == journal.size


def test_a_journal_grows_beyond_its_room(tmp_path: Path) -> None:
    """Also if a line crosses the end of the room, or ends exactly there."""
    commits = [COMMITS[1]] * 8
    whole = write_journal(tmp_path, commits).read_bytes()
    for room in {*range(0, len(whole), 9), *line_ends(whole), len(whole) - 1, len(whole) + 1}:
        journal = created(tmp_path, room)
        append_all(journal, commits)
        assert journal.path.read_bytes() == whole + bytes(max(room - len(whole), 0))
        assert batches_in(journal.path) == commits
        journal.close()


def test_a_journal_has_no_room_if_the_disk_has_not_enough_space_for_it(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    for failing in range(1, 7):
        disk.calls.clear()
        disk.fill_up_at(failing)
        journal = Journal.create(tmp_path, NUMBER, 3 * SYNC_STEP_BYTES)
        assert journal.path.stat().st_size == 0, f"call {failing}"
        journal.write_header(AFTER)
        append(journal, AFTER + 1, COMMITS[0])
        journal.close()
        assert batches_in(journal.path) == [COMMITS[0]]


def test_room_that_cannot_even_be_given_back_does_no_harm(tmp_path: Path, disk: FaultyDisk) -> None:
    disk.calls.clear()
    # The second write of room, and the call that gives back the first.
    disk.fill_up_at(3, calls=2)

    journal = created(tmp_path, 2 * SYNC_STEP_BYTES)

    assert journal.path.stat().st_size > SYNC_STEP_BYTES
    append(journal, AFTER + 1, COMMITS[0])
    assert batches_in(journal.path) == [COMMITS[0]]
    journal.close()
    assert journal.path.stat().st_size == journal.size


def test_a_disk_that_breaks_while_room_is_allocated_is_an_error(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    broken = OSError(errno.EIO, os.strerror(errno.EIO))
    disk.fails = lambda _number, name: broken if name == "fdatasync" else None

    with pytest.raises(OSError, match="Input/output error"):
        Journal.create(tmp_path, NUMBER, ROOM)


def test_a_journal_that_is_reopened_has_new_room_after_its_last_whole_batch(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    path = write_journal_in_use(tmp_path, COMMITS[:3])
    torn = path.read_bytes().rstrip(b"\0")[:-20]
    path.write_bytes(torn + bytes(ROOM - len(torn)))
    disk.unsynced.clear()

    journal = Journal.reopen(path, NUMBER, read(path).size, ROOM)

    assert disk.unsynced == {}
    assert path.read_bytes() == path.read_bytes()[: journal.size].ljust(ROOM, b"\0")
    append(journal, AFTER + 3, COMMITS[4])
    assert batches_in(path) == [COMMITS[0], COMMITS[1], COMMITS[4]]
    journal.close()


def test_a_torn_batch_is_off_the_disk_before_another_is_written(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    """Otherwise a power cut could leave parts of both."""
    journal = created(tmp_path, ROOM)
    journal.write(AFTER + 1, COMMITS[0])

    journal.cut_unsynced()

    assert disk.unsynced == {}
    assert batches_in(journal.path) == []
    journal.close()


def test_a_journal_whose_creation_was_killed_holds_no_batches(tmp_path: Path) -> None:
    path = journal_path(tmp_path, NUMBER)
    for size in (0, 1, 100, ROOM):
        path.write_bytes(bytes(size))
        assert not holds_batches(path)


def test_a_journal_with_only_its_first_line_holds_no_batches(tmp_path: Path) -> None:
    assert not holds_batches(write_journal_in_use(tmp_path, []))
    assert holds_batches(write_journal_in_use(tmp_path, [[]]))


def test_a_line_torn_at_any_byte_inside_the_room_is_dropped(tmp_path: Path) -> None:
    path = write_journal_in_use(tmp_path)
    whole = path.read_bytes()
    head, *ends = line_ends(whole)

    for cut in range(head, ends[-1] + 1):
        path.write_bytes(whole[:cut] + bytes(ROOM - cut))
        expected = COMMITS[: sum(end <= cut for end in ends)]
        assert batches_in(path) == expected, f"cut at byte {cut}"


@pytest.mark.parametrize("before", [0, 1, 3, 4])
def test_a_line_inside_the_room_with_any_sectors_missing_is_dropped(
    tmp_path: Path, before: int
) -> None:
    """When the power is cut, the disk may have any of its sectors, in any order."""
    commits = [COMMITS[1]] * before
    start = len(write_journal_in_use(tmp_path, commits).read_bytes().rstrip(b"\0"))
    path = write_journal_in_use(tmp_path, [*commits, COMMITS[0] * 3])
    whole = path.read_bytes()
    sectors = range(start // 512, len(whole.rstrip(b"\0")) // 512 + 1)
    assert len(sectors) > 2

    for missing in range(1, 1 << len(sectors)):
        content = bytearray(whole)
        for bit, sector in enumerate(sectors):
            if missing >> bit & 1:
                first, last = max(start, sector * 512), sector * 512 + 512
                content[first:last] = bytes(last - first)
        path.write_bytes(content)
        assert batches_in(path) == commits, f"{missing:b} of {sectors}"
        assert read(path).size == start


def test_any_flipped_bit_of_a_line_before_the_room_is_refused(tmp_path: Path) -> None:
    path = write_journal_in_use(tmp_path, [COMMITS[2], puts(replace(POOL, label="a b@c"))])
    whole = path.read_bytes()

    for position in range(len(whole.rstrip(b"\0"))):
        for bit in range(8):
            content = bytearray(whole)
            content[position] ^= 1 << bit
            path.write_bytes(content)
            assert f"{path} at byte" in corruption_of(path), f"bit {bit} of byte {position}"


def test_any_flipped_bit_of_the_room_changes_nothing(tmp_path: Path) -> None:
    path = write_journal_in_use(tmp_path, COMMITS[:2])
    whole = path.read_bytes()

    for position in range(len(whole.rstrip(b"\0")), len(whole), 7):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        assert batches_in(path) == COMMITS[:2]
