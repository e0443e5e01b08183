"""The journal: one line for each committed batch, synced before the commit is acknowledged.

A journal is a file of lines, each `CRC32 JSON`. The first says which journal it is; the others
are [sequence, changes]; a last one may say which journal comes next. A last line without its end
is a commit that nobody was told of, and is dropped. Anything else that cannot be read means that
the journal is corrupted.

While a journal is in use, zeros stand behind its last line: room that was made ahead. To write
over them changes neither the size of the file nor where it lies, so that a sync has nothing but
the line itself to bring to the disk. Where the room ends, the file grows with each line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pyipam.files import SYNCED_AT_ONCE, sync_folder, write_all
from pyipam.store.documents import change_from_json, change_to_json
from pyipam.store.records import Change
from pyipam.store.tinydb.corruption import corrupted

_TITLE = "pyipam journal"
FORMAT = 1
_SECTOR = 512
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def journal_path(folder: Path, number: int) -> Path:
    """Where journal `number` is."""
    return folder / f"journal-{number:08d}.log"


def _line(content: Any) -> bytes:
    text = orjson.dumps(content)
    return b"%08x %s\n" % (zlib.crc32(text), text)


class Journal:
    """The end of the journal: where batches are appended."""

    def __init__(self, path: Path, number: int, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self._written = size
        self._number = number
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, number: int, room: int = 0) -> Journal:
        """Make the file of journal `number`, with nothing in it but room for so many bytes: less,
        or none, where the disk has not so much. Raises OSError."""
        path = journal_path(folder, number)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        journal = cls(path, number, os.open(path, flags, 0o600), 0)
        try:
            journal._make_room(room)
            sync_folder(folder)
        except OSError:
            journal.close()
            raise
        return journal

    def write_header(self, after: int) -> None:
        """Write its first line: the first batch follows sequence `after`. Raises OSError."""
        self._append([_TITLE, FORMAT, self._number, after])

    @classmethod
    def reopen(cls, path: Path, number: int, size: int, room: int = 0) -> Journal:
        """Go on after the first `size` bytes, with room up to so many. What stands behind them,
        of a torn commit or as room, is cut off first. Raises OSError."""
        journal = cls(path, number, os.open(path, os.O_RDWR | os.O_CLOEXEC), size)
        try:
            journal.take_back()
            journal._make_room(room)
        except OSError:
            os.close(journal._descriptor)
            raise
        return journal

    def append(self, sequence: int, changes: Sequence[Change]) -> None:
        """Write a batch and sync it. Raises OSError; what was written of it is then cut off."""
        self.write(sequence, changes)
        self.sync()

    def write(self, sequence: int, changes: Sequence[Change]) -> None:
        """Write a batch that counts from the next `sync` on. Raises OSError as `append` does."""
        self._write([sequence, [change_to_json(change) for change in changes]])

    def start_writeback(self) -> None:
        """Let the disk begin with what was written, and wait for nothing."""
        # What the advice is for, to drop what was written from memory, begins with this.
        length = self._written - self.size
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._descriptor, self.size, length, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Have on the disk what was written. Raises OSError as `append` does."""
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            self._give_up()
            raise
        self.size = self._written

    def take_back(self) -> None:
        """Cut off what stands behind the last line that counts, and sync that. Raises OSError."""
        self._cut()
        # A line that is torn later must not lie among pieces of the one that was cut off, nor
        # behind one that no sync has seen.
        os.fsync(self._descriptor)

    def append_next(self, number: int) -> None:
        """Say that journal `number` follows this one. Raises OSError as `append` does."""
        self._append(["next", number])

    def close(self) -> None:
        """Let the file go, without the room that is left. What counts in it is synced already."""
        with contextlib.suppress(OSError):
            if os.lseek(self._descriptor, 0, os.SEEK_END) > self.size:
                self._cut()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _append(self, content: Any) -> None:
        self._write(content)
        self.sync()

    def _write(self, content: Any) -> None:
        line = _line(content)
        try:
            write_all(self._descriptor, line)
        except OSError:
            self._give_up()
            raise
        self._written += len(line)

    def _give_up(self) -> None:
        # Whoever reads it must not find what its writer was told is not there.
        with contextlib.suppress(OSError):
            self._cut()

    def _make_room(self, end: int) -> None:
        """Write zeros up to the byte `end`, and have them on the disk."""
        try:
            for start in range(self.size, end, SYNCED_AT_ONCE):
                write_all(self._descriptor, bytes(min(SYNCED_AT_ONCE, end - start)))
                os.fdatasync(self._descriptor)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            # Others need the rest of the disk more; where it cannot be cut, zeros do no harm.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)

    def _cut(self) -> None:
        """End the file behind the last line that counts."""
        self._written = self.size
        os.ftruncate(self._descriptor, self.size)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)


@dataclass(frozen=True)
class Batch:
    """A committed batch as read back."""

    sequence: int
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class JournalContent:
    """What a journal holds: its batches, how many bytes of it are whole, and what follows."""

    after: int
    batches: tuple[Batch, ...]
    size: int
    next_number: int | None


def read_journal(path: Path, number: int) -> JournalContent:
    """Read a journal. Raises StateCorrupted naming the file and the byte."""
    lines = _whole_lines(path, _without_room(path))
    head = next(lines, None)
    if head is None or head[1][:3] != [_TITLE, FORMAT, number]:
        raise corrupted(path, 0, f"it does not begin as journal {number} of format {FORMAT}")
    after = sequence = head[1][3]
    batches: list[Batch] = []
    next_number = None
    size = head[2]
    for offset, item, end in lines:
        size = end
        if next_number is not None:
            raise corrupted(path, offset, "a line follows the one that ends the journal")
        if item[0] == "next":
            next_number = item[1]
            continue
        sequence += 1
        if item[0] != sequence:
            raise corrupted(path, offset, f"batch {item[0]} stands where batch {sequence} belongs")
        batches.append(Batch(sequence, _read_changes(path, offset, item)))
    return JournalContent(after, tuple(batches), size, next_number)


def holds_batches(path: Path) -> bool:
    """Whether there is anything behind the first line. What was cut off before it was used has
    one line, or a part of it, or room alone."""
    return b"\n" in _without_room(path)[:-1]


def _without_room(path: Path) -> bytes:
    # No line holds a zero: those at the end are room, or sectors that were never written.
    return path.read_bytes().rstrip(b"\0")


def _read_changes(path: Path, offset: int, item: Any) -> tuple[Change, ...]:
    try:
        return tuple(change_from_json(change) for change in item[1])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise corrupted(path, offset, f"a change cannot be read ({error})") from error


def _whole_lines(path: Path, content: bytes) -> Iterator[tuple[int, Any, int]]:
    """Each line as (offset, content, end). A torn last line ends the iteration."""
    offset = 0
    while offset < len(content):
        end = content.find(b"\n", offset) + 1
        if end == 0:
            if _lost_only_its_end(content, offset):
                raise corrupted(path, len(content) - 1, "this is not the end of the line")
            return
        text = content[offset + 9 : end - 1]
        if not _agrees(content, offset, text):
            if end == len(content) and _has_unwritten_sector(content, offset):
                return
            raise corrupted(path, offset, "the line does not agree with its checksum")
        yield offset, orjson.loads(text), end
        offset = end


def _agrees(content: bytes, offset: int, text: bytes) -> bool:
    return content[offset : offset + 9] == b"%08x " % zlib.crc32(text)


def _lost_only_its_end(content: bytes, offset: int) -> bool:
    """Whether something stands where the last line ends, which is otherwise whole. A write that
    was cut off leaves nothing there."""
    return _agrees(content, offset, content[offset + 9 : -1])


def _has_unwritten_sector(content: bytes, offset: int) -> bool:
    """Whether a sector of the last line reads as zeros: the disk never had all of it. (A zero
    anywhere else never came from a write that was cut off.)"""
    for sector in range(offset - offset % _SECTOR, len(content), _SECTOR):
        if not content[max(sector, offset) : sector + _SECTOR].strip(b"\0"):
            return True
    return False
