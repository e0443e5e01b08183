"""The journal: what is promised of a commit, and what is read back after any mishap."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pyipam.errors import StateCorrupted
from pyipam.files import SYNCED_AT_ONCE
from pyipam.store.records import Change
from pyipam.store.tinydb.journal import (
    Journal,
    JournalContent,
    holds_batches,
    journal_path,
    read_journal,
)
from tests.support.stored_records import (
    DRIVER,
    EVERY_KIND,
    GATEWAY,
    LEASE,
    POOL,
    deletes,
    puts,
    replace,
)
from tests.unit.faulty_disk import FaultyDisk, faulty_disk

NUMBER = 7
AFTER = 41
COMMITS: list[list[Change]] = [
    puts(POOL, GATEWAY),
    puts(LEASE, DRIVER),
    deletes(LEASE),
    [],
    puts(*EVERY_KIND["a-pool-with-a-strange-label"]),
]


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    """The disk under the journal: works, and makes nobody wait."""
    with faulty_disk() as disk:
        yield disk


pytestmark = pytest.mark.usefixtures("disk")


def begun(folder: Path, room: int = 0) -> Journal:
    """A journal with its first line."""
    journal = Journal.create(folder, NUMBER, room)
    try:
        journal.write_header(AFTER)
    except OSError:
        journal.close()
        raise
    return journal


def write_journal(folder: Path, commits: Sequence[Sequence[Change]] = COMMITS) -> Path:
    journal = begun(folder)
    for number, changes in enumerate(commits, start=AFTER + 1):
        journal.append(number, changes)
    journal.close()
    return journal.path


def read(path: Path) -> JournalContent:
    return read_journal(path, NUMBER)


def batches_in(path: Path) -> list[list[Change]]:
    return [list(batch.changes) for batch in read(path).batches]


def corruption_in(path: Path) -> str:
    with pytest.raises(StateCorrupted) as caught:
        read(path)
    return str(caught.value)


# What is written


def test_batches_are_read_back_as_they_were_appended(tmp_path: Path) -> None:
    content = read(write_journal(tmp_path))

    assert content.after == AFTER
    assert [batch.sequence for batch in content.batches] == [42, 43, 44, 45, 46]
    assert [list(batch.changes) for batch in content.batches] == COMMITS
    assert content.next_number is None


def test_each_batch_is_one_line(tmp_path: Path) -> None:
    content = write_journal(tmp_path).read_bytes()

    assert content.count(b"\n") == 1 + len(COMMITS)
    assert content.endswith(b"\n")


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.append(AFTER + 1, COMMITS[0])
    journal.close()

    assert journal.size == journal.path.stat().st_size == read(journal.path).size


def test_a_journal_may_say_which_one_follows_it(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.append(AFTER + 1, COMMITS[0])
    journal.append_next(NUMBER + 1)
    journal.close()

    assert read(journal.path).next_number == NUMBER + 1


def test_journals_sort_by_their_number() -> None:
    names = [str(journal_path(Path(), number)) for number in (1, 9, 10, 99_999_999)]

    assert names == sorted(names)


def test_only_the_owner_may_read_a_journal(tmp_path: Path) -> None:
    assert write_journal(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_batch_is_synced_before_append_returns(tmp_path: Path, disk: FaultyDisk) -> None:
    journal = begun(tmp_path)
    disk.calls.clear()

    journal.append(AFTER + 1, COMMITS[0])

    assert disk.calls == ["write", "fdatasync"]
    journal.close()


def test_a_new_journal_and_its_name_are_synced_before_it_is_used(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    disk.calls.clear()

    begun(tmp_path).close()

    assert disk.calls == ["open", "fsync", "write", "fdatasync"]


def test_a_batch_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    journal = begun(tmp_path)
    journal.append(AFTER + 1, COMMITS[0])
    before = journal.path.read_bytes()
    disk.fill_up_at(len(disk.calls))

    with pytest.raises(OSError, match="No space left"):
        journal.append(AFTER + 2, COMMITS[1])

    assert journal.path.read_bytes() == before
    journal.append(AFTER + 2, COMMITS[2])
    journal.close()
    assert batches_in(journal.path) == [COMMITS[0], COMMITS[2]]


def test_a_batch_that_could_not_be_synced_leaves_nothing_behind(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    journal = begun(tmp_path)
    disk.fill_up_at(len(disk.calls) + 1)

    with pytest.raises(OSError, match="No space left"):
        journal.append(AFTER + 1, COMMITS[0])

    journal.close()
    assert batches_in(journal.path) == []


# Room made ahead


ROOM = 8192


def in_use(folder: Path, commits: Sequence[Sequence[Change]] = COMMITS) -> Path:
    """A journal with room, as it is when its process is killed."""
    journal = begun(folder, ROOM)
    for number, changes in enumerate(commits, start=AFTER + 1):
        journal.append(number, changes)
    copy = journal.path.with_name("killed.log")
    copy.write_bytes(journal.path.read_bytes())
    journal.close()
    return copy


def test_while_it_has_room_a_batch_does_not_change_the_size_of_the_file(tmp_path: Path) -> None:
    journal = begun(tmp_path, ROOM)
    for number, changes in enumerate(COMMITS, start=AFTER + 1):
        journal.append(number, changes)
        assert journal.path.stat().st_size == ROOM
        assert read(journal.path).size == journal.size

    assert batches_in(journal.path) == COMMITS
    journal.close()


def test_room_is_on_the_disk_before_the_journal_is_used(tmp_path: Path, disk: FaultyDisk) -> None:
    disk.calls.clear()

    begun(tmp_path, ROOM).close()

    assert disk.calls[:4] == ["open", "write", "fdatasync", "fsync"]


def test_much_room_is_synced_in_steps(tmp_path: Path, disk: FaultyDisk) -> None:
    disk.calls.clear()

    begun(tmp_path, 3 * SYNCED_AT_ONCE).close()

    assert disk.calls[:8] == ["open", *["write", "fdatasync"] * 3, "fsync"]


def test_a_journal_that_is_closed_holds_no_room(tmp_path: Path) -> None:
    journal = begun(tmp_path, ROOM)
    journal.append(AFTER + 1, COMMITS[0])
    journal.close()

    assert journal.path.stat().st_size == journal.size


def test_a_journal_goes_on_behind_its_room(tmp_path: Path) -> None:
    """Also where a line reaches over the end of the room, or ends exactly there."""
    commits = [COMMITS[1]] * 8
    whole = write_journal(tmp_path, commits).read_bytes()
    for room in {*range(0, len(whole), 9), *line_ends(whole), len(whole) - 1, len(whole) + 1}:
        journal = begun(tmp_path, room)
        for number, changes in enumerate(commits, start=AFTER + 1):
            journal.append(number, changes)
        assert journal.path.read_bytes() == whole + bytes(max(room - len(whole), 0))
        assert batches_in(journal.path) == commits
        journal.close()


def test_without_space_for_all_of_the_room_a_journal_has_none(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    for failing in range(1, 7):
        disk.calls.clear()
        disk.fill_up_at(failing)
        journal = Journal.create(tmp_path, NUMBER, 3 * SYNCED_AT_ONCE)
        assert journal.path.stat().st_size == 0, f"call {failing}"
        journal.write_header(AFTER)
        journal.append(AFTER + 1, COMMITS[0])
        journal.close()
        assert batches_in(journal.path) == [COMMITS[0]]


def test_room_that_cannot_even_be_given_back_does_no_harm(tmp_path: Path, disk: FaultyDisk) -> None:
    disk.calls.clear()
    disk.fill_up_at(3, calls=2)

    journal = begun(tmp_path, 2 * SYNCED_AT_ONCE)

    assert disk.calls[3:5] == ["write", "ftruncate"]
    journal.append(AFTER + 1, COMMITS[0])
    assert batches_in(journal.path) == [COMMITS[0]]
    journal.close()
    assert journal.path.stat().st_size == journal.size


def test_a_disk_that_breaks_while_room_is_made_is_an_error(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    disk.fails = lambda call: OSError(errno.EIO, "Input/output error") if call == 2 else None

    with pytest.raises(OSError, match="Input/output error"):
        Journal.create(tmp_path, NUMBER, ROOM)


def test_a_journal_that_is_opened_again_has_new_room_behind_its_last_whole_batch(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    path = in_use(tmp_path, COMMITS[:3])
    torn = path.read_bytes().rstrip(b"\0")[:-20]
    path.write_bytes(torn + bytes(ROOM - len(torn)))
    disk.calls.clear()

    journal = Journal.reopen(path, NUMBER, read(path).size, ROOM)

    assert disk.calls == ["ftruncate", "fsync", "write", "fdatasync"]
    assert path.read_bytes() == path.read_bytes()[: journal.size].ljust(ROOM, b"\0")
    journal.append(AFTER + 3, COMMITS[4])
    assert batches_in(path) == [COMMITS[0], COMMITS[1], COMMITS[4]]
    journal.close()


def test_killed_while_its_room_is_made_a_journal_holds_nothing(tmp_path: Path) -> None:
    path = journal_path(tmp_path, NUMBER)
    for size in (0, 1, 100, ROOM):
        path.write_bytes(bytes(size))
        assert not holds_batches(path)


def test_a_journal_with_its_first_line_alone_holds_no_batches(tmp_path: Path) -> None:
    assert not holds_batches(in_use(tmp_path, []))
    assert holds_batches(in_use(tmp_path, [[]]))


def test_a_line_torn_at_any_byte_inside_of_the_room_is_dropped(tmp_path: Path) -> None:
    path = in_use(tmp_path)
    whole = path.read_bytes()
    head, *ends = line_ends(whole)

    for cut in range(head, ends[-1] + 1):
        path.write_bytes(whole[:cut] + bytes(ROOM - cut))
        expected = COMMITS[: sum(end <= cut for end in ends)]
        assert batches_in(path) == expected, f"cut at byte {cut}"


@pytest.mark.parametrize("before", [0, 1, 3, 4])
def test_a_line_of_which_any_sectors_are_missing_inside_of_the_room_is_dropped(
    tmp_path: Path, before: int
) -> None:
    """The disk may have had any of its sectors, in any order, when the power was cut."""
    commits = [COMMITS[1]] * before
    start = len(in_use(tmp_path, commits).read_bytes().rstrip(b"\0"))
    path = in_use(tmp_path, [*commits, COMMITS[0] * 3])
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


def test_any_flipped_bit_of_a_line_before_the_room_is_corruption(tmp_path: Path) -> None:
    path = in_use(tmp_path, [COMMITS[2], puts(replace(POOL, label="a b@c"))])
    whole = path.read_bytes()

    for position in range(len(whole.rstrip(b"\0"))):
        for bit in range(8):
            content = bytearray(whole)
            content[position] ^= 1 << bit
            path.write_bytes(content)
            assert f"{path} at byte" in corruption_in(path), f"bit {bit} of byte {position}"


def test_any_flipped_bit_of_the_room_changes_nothing(tmp_path: Path) -> None:
    path = in_use(tmp_path, COMMITS[:2])
    whole = path.read_bytes()

    for position in range(len(whole.rstrip(b"\0")), len(whole), 7):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        assert batches_in(path) == COMMITS[:2]


# A commit that was cut off


def line_ends(content: bytes) -> list[int]:
    return [position + 1 for position, byte in enumerate(content) if byte == ord("\n")]


def test_a_journal_cut_at_any_byte_holds_the_batches_before_the_cut(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    whole = path.read_bytes()
    head, *ends = line_ends(whole)

    for cut in range(head, len(whole) + 1):
        path.write_bytes(whole[:cut])
        expected = COMMITS[: sum(end <= cut for end in ends)]
        assert batches_in(path) == expected, f"cut at byte {cut}"
        assert read(path).size == max(end for end in (head, *ends) if end <= cut)


def test_appending_goes_on_behind_the_last_whole_batch(tmp_path: Path) -> None:
    path = write_journal(tmp_path, COMMITS[:3])
    path.write_bytes(path.read_bytes()[:-20])

    journal = Journal.reopen(path, NUMBER, read(path).size)
    journal.append(AFTER + 3, COMMITS[4])
    journal.close()

    assert batches_in(path) == [COMMITS[0], COMMITS[1], COMMITS[4]]


@pytest.mark.parametrize("shift", [0, 100, 400, 511])
def test_a_last_batch_with_a_sector_that_was_never_written_is_dropped(
    tmp_path: Path, shift: int
) -> None:
    """The file may have grown before all of its new sectors reached the disk."""
    path = write_journal(tmp_path, [COMMITS[1]] * (shift // 100))
    start = path.stat().st_size
    journal = Journal.reopen(path, NUMBER, start)
    journal.append(AFTER + 1 + shift // 100, COMMITS[0] * 8)
    journal.close()
    whole = path.read_bytes()

    for sector in range(start // 512, len(whole) // 512):
        first, last = max(start, sector * 512), sector * 512 + 512
        path.write_bytes(whole[:first] + bytes(last - first) + whole[last:])
        assert batches_in(path) == [COMMITS[1]] * (shift // 100), f"sector {sector}"


# Corruption


def test_a_journal_without_its_first_line_is_corruption(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    whole = path.read_bytes()

    for cut in range(line_ends(whole)[0]):
        path.write_bytes(whole[:cut])
        assert f"{path} at byte 0" in corruption_in(path), f"cut at byte {cut}"


def test_the_journal_of_another_number_is_corruption(tmp_path: Path) -> None:
    path = write_journal(tmp_path)

    with pytest.raises(StateCorrupted, match="does not begin as journal 8 of format 1"):
        read_journal(path, NUMBER + 1)


def test_a_corruption_names_the_file_the_byte_and_the_way_out(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    content = bytearray(path.read_bytes())
    second, third, *_ = line_ends(bytes(content))[1:]
    content[third - 5] ^= 1
    path.write_bytes(content)

    assert corruption_in(path) == (
        f"the state is corrupted: {path} at byte {second}: the line does not agree with its "
        "checksum. Nothing is given out from it. Restore the state folder from a backup, or move "
        "it away to begin anew (networks that exist must then be made again); see "
        "docs/operations.md"
    )


def test_any_flipped_bit_is_corruption_and_never_a_loss(tmp_path: Path) -> None:
    path = write_journal(tmp_path, [COMMITS[2], puts(replace(POOL, label="a b@c"))])
    whole = path.read_bytes()

    for position in range(len(whole)):
        for bit in range(8):
            content = bytearray(whole)
            content[position] ^= 1 << bit
            path.write_bytes(content)
            assert f"{path} at byte" in corruption_in(path), f"bit {bit} of byte {position}"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("index", range(len(COMMITS)))
def test_a_line_that_stands_twice_is_corruption(tmp_path: Path, index: int) -> None:
    path = write_journal(tmp_path)
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[: index + 2], *lines[index + 1 :]]))

    assert f"batch {42 + index} stands where batch {43 + index} belongs" in corruption_in(path)


@pytest.mark.parametrize("index", range(len(COMMITS) - 1))
def test_a_line_that_is_missing_is_corruption(tmp_path: Path, index: int) -> None:
    path = write_journal(tmp_path)
    lines = lines_of(path)
    del lines[index + 1]
    path.write_bytes(b"".join(lines))

    assert f"batch {43 + index} stands where batch {42 + index} belongs" in corruption_in(path)


def test_any_other_order_of_the_lines_is_corruption(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    lines = lines_of(path)
    shuffled = list(lines)
    order = random.Random(1)

    for _ in range(50):
        order.shuffle(shuffled)
        if shuffled != lines:
            path.write_bytes(b"".join(shuffled))
            assert corruption_in(path)


def test_a_line_after_the_end_of_a_journal_is_corruption(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.append_next(NUMBER + 1)
    offset = journal.size
    journal.append(AFTER + 1, COMMITS[0])
    journal.close()

    assert f"at byte {offset}: a line follows the one that ends the journal" in corruption_in(
        journal.path
    )


@pytest.mark.parametrize("cut_whole_lines", [False, True])
def test_bytes_missing_from_the_middle_are_corruption(
    tmp_path: Path, cut_whole_lines: bool
) -> None:
    path = write_journal(tmp_path)
    whole = path.read_bytes()
    first, second, *_ = line_ends(whole)
    path.write_bytes(whole[:first] + whole[second if cut_whole_lines else first + 30 :])

    assert f"{path} at byte {first}" in corruption_in(path)


def test_zeros_in_a_line_that_others_follow_are_corruption(tmp_path: Path) -> None:
    path = write_journal(tmp_path, [COMMITS[0] * 8, COMMITS[1]])
    whole = path.read_bytes()
    path.write_bytes(whole[:512] + bytes(512) + whole[1024:])

    assert f"{path} at byte {line_ends(whole)[0]}" in corruption_in(path)


def test_a_descriptor_is_not_left_open_when_a_journal_cannot_be_begun(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for failing in range(1, 4):
        disk.fill_up_at(len(disk.calls) + failing)
        with pytest.raises(OSError, match="No space left"):
            begun(tmp_path)

    assert len(os.listdir("/proc/self/fd")) == before
