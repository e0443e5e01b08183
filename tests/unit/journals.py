"""Journals for tests, and what is read back from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pyipam.errors import StateCorrupted
from pyipam.store.records import Change
from pyipam.store.tinydb.journal import Journal
from pyipam.store.tinydb.journal_reading import JournalContent, read_journal
from tests.support.stored_records import (
    DRIVER,
    EVERY_KIND,
    GATEWAY,
    LEASE,
    POOL,
    deletes,
    puts,
)

NUMBER = 7
AFTER = 41
COMMITS: list[list[Change]] = [
    puts(POOL, GATEWAY),
    puts(LEASE, DRIVER),
    deletes(LEASE),
    [],
    puts(*EVERY_KIND["a-pool-with-a-strange-label"]),
]
ROOM = 8192


def created(folder: Path, room: int = 0) -> Journal:
    """A journal with its first line."""
    journal = Journal.create(folder, NUMBER, room)
    try:
        journal.write_header(AFTER)
    except OSError:
        journal.close()
        raise
    return journal


def append(journal: Journal, sequence: int, changes: Sequence[Change]) -> None:
    """Write a batch, and sync it."""
    journal.write(sequence, changes)
    journal.sync()


def append_all(journal: Journal, commits: Sequence[Sequence[Change]]) -> None:
    """Append the first batches of a journal."""
    for sequence, changes in enumerate(commits, start=AFTER + 1):
        append(journal, sequence, changes)


def write_journal(folder: Path, commits: Sequence[Sequence[Change]] = COMMITS) -> Path:
    """A journal that was closed."""
    journal = created(folder)
    append_all(journal, commits)
    journal.close()
    return journal.path


def write_journal_in_use(folder: Path, commits: Sequence[Sequence[Change]] = COMMITS) -> Path:
    """A journal with room, as it is when its process is killed."""
    journal = created(folder, ROOM)
    append_all(journal, commits)
    copy = journal.path.with_name("killed.log")
    copy.write_bytes(journal.path.read_bytes())
    journal.close()
    return copy


def read(path: Path) -> JournalContent:
    return read_journal(path, NUMBER)


def batches_in(path: Path) -> list[list[Change]]:
    return [list(entry.changes) for entry in read(path).entries]


def corruption_of(path: Path) -> str:
    """The error of reading the journal."""
    with pytest.raises(StateCorrupted) as caught:
        read(path)
    return str(caught.value)


def line_ends(content: bytes) -> list[int]:
    """The offsets after each line."""
    return [position + 1 for position, byte in enumerate(content) if byte == ord("\n")]
