"""Reading a journal back: a torn last batch is dropped, anything else unreadable is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pyipam.errors import StateCorrupted
from pyipam.store.tinydb.journal import Journal
from pyipam.store.tinydb.journal_reading import read_journal
from tests.support.stored_records import POOL, puts, replace
from tests.unit.journals import (
    AFTER,
    COMMITS,
    NUMBER,
    append,
    batches_in,
    corruption_of,
    created,
    line_ends,
    read,
    write_journal,
)

pytestmark = pytest.mark.usefixtures("disk")


# A torn last batch


def test_a_journal_cut_at_any_byte_holds_the_batches_before_the_cut(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    whole = path.read_bytes()
    head, *ends = line_ends(whole)

    for cut in range(head, len(whole) + 1):
        path.write_bytes(whole[:cut])
        expected = COMMITS[: sum(end <= cut for end in ends)]
        assert batches_in(path) == expected, f"cut at byte {cut}"
        assert read(path).size == max(end for end in (head, *ends) if end <= cut)


@pytest.mark.parametrize("shift", [0, 100, 400, 511])
def test_a_last_batch_with_a_sector_that_was_never_written_is_dropped(
    tmp_path: Path, shift: int
) -> None:
    """The file may have grown before all of its new sectors reached the disk."""
    path = write_journal(tmp_path, [COMMITS[1]] * (shift // 100))
    start = path.stat().st_size
    journal = Journal.reopen(path, NUMBER, start)
    append(journal, AFTER + 1 + shift // 100, COMMITS[0] * 8)
    journal.close()
    whole = path.read_bytes()

    for sector in range(start // 512, len(whole) // 512):
        first, last = max(start, sector * 512), sector * 512 + 512
        path.write_bytes(whole[:first] + bytes(last - first) + whole[last:])
        assert batches_in(path) == [COMMITS[1]] * (shift // 100), f"sector {sector}"


# Corruption


def test_a_journal_without_its_first_line_is_refused(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    whole = path.read_bytes()

    for cut in range(line_ends(whole)[0]):
        path.write_bytes(whole[:cut])
        assert f"{path} at byte 0" in corruption_of(path), f"cut at byte {cut}"


def test_a_journal_with_another_number_is_refused(tmp_path: Path) -> None:
    path = write_journal(tmp_path)

    with pytest.raises(StateCorrupted, match="does not begin as journal 8 of format 1"):
        read_journal(path, NUMBER + 1)


def test_the_error_names_the_file_the_byte_and_what_to_do(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    content = bytearray(path.read_bytes())
    second, third, *_ = line_ends(bytes(content))[1:]
    content[third - 5] ^= 1
    path.write_bytes(content)

    assert corruption_of(path) == (
        f"the state is corrupted: {path} at byte {second}: the checksum of the line does not "
        "match. No pools or addresses are given out until this is fixed. Disable the plugin, "
        "restore the state folder from a backup, and enable it. Without a backup, move the files "
        "of the folder away instead; then restart dockerd, which tells the plugin about its "
        "networks and addresses. See docs/operations.md"
    )


def test_any_flipped_bit_is_refused_and_never_a_loss(tmp_path: Path) -> None:
    path = write_journal(tmp_path, [COMMITS[2], puts(replace(POOL, label="a b@c"))])
    whole = path.read_bytes()

    for position in range(len(whole)):
        for bit in range(8):
            content = bytearray(whole)
            content[position] ^= 1 << bit
            path.write_bytes(content)
            assert f"{path} at byte" in corruption_of(path), f"bit {bit} of byte {position}"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("index", range(len(COMMITS)))
def test_a_line_that_is_there_twice_is_refused(tmp_path: Path, index: int) -> None:
    path = write_journal(tmp_path)
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[: index + 2], *lines[index + 1 :]]))

    assert f"batch {42 + index} is in the place of batch {43 + index}" in corruption_of(path)


@pytest.mark.parametrize("index", range(len(COMMITS) - 1))
def test_a_missing_line_is_refused(tmp_path: Path, index: int) -> None:
    path = write_journal(tmp_path)
    lines = lines_of(path)
    del lines[index + 1]
    path.write_bytes(b"".join(lines))

    assert f"batch {43 + index} is in the place of batch {42 + index}" in corruption_of(path)


def test_lines_in_any_other_order_are_refused(tmp_path: Path) -> None:
    path = write_journal(tmp_path)
    lines = lines_of(path)
    shuffled = list(lines)
    order = random.Random(1)

    for _ in range(50):
        order.shuffle(shuffled)
        if shuffled != lines:
            path.write_bytes(b"".join(shuffled))
            assert corruption_of(path)


def test_a_line_after_the_last_one_of_the_journal_is_refused(tmp_path: Path) -> None:
    journal = created(tmp_path)
    journal.write_next(NUMBER + 1)
    offset = journal.size
    append(journal, AFTER + 1, COMMITS[0])
    journal.close()

    assert f"at byte {offset}: another line follows the last one of the journal" in corruption_of(
        journal.path
    )


@pytest.mark.parametrize("cut_whole_lines", [False, True])
def test_bytes_missing_from_the_middle_are_refused(tmp_path: Path, cut_whole_lines: bool) -> None:
    path = write_journal(tmp_path)
    whole = path.read_bytes()
    first, second, *_ = line_ends(whole)
    path.write_bytes(whole[:first] + whole[second if cut_whole_lines else first + 30 :])

    assert f"{path} at byte {first}" in corruption_of(path)


def test_zeros_in_a_line_that_others_follow_are_refused(tmp_path: Path) -> None:
    path = write_journal(tmp_path, [COMMITS[0] * 8, COMMITS[1]])
    whole = path.read_bytes()
    path.write_bytes(whole[:512] + bytes(512) + whole[1024:])

    assert f"{path} at byte {line_ends(whole)[0]}" in corruption_of(path)
