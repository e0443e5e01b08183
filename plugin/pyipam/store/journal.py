"""The journal: one line for each committed batch, synced before the commit is acknowledged.

A journal is a file of lines, each `CRC32 JSON`. The first says which journal it is; the others
are [sequence, changes]; a last one may say which journal comes next. A last line without its end
is a commit that nobody was told of, and is dropped. Anything else that cannot be read is damage.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pyipam.store.damage import damaged
from pyipam.store.documents import change_from_json, change_to_json
from pyipam.store.files import sync_folder, write_all
from pyipam.store.store import Change

_TITLE = "pyipam journal"
FORMAT = 1
_SECTOR = 512


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
        self._number = number
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, number: int) -> Journal:
        """Make the file of journal `number`, with nothing in it. Raises OSError."""
        path = journal_path(folder, number)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        journal = cls(path, number, os.open(path, flags, 0o600), 0)
        try:
            sync_folder(folder)
        except OSError:
            journal.close()
            raise
        return journal

    def begin(self, after: int) -> None:
        """Write its first line: the first batch follows sequence `after`. Raises OSError."""
        self._append([_TITLE, FORMAT, self._number, after])

    @classmethod
    def reopen(cls, path: Path, number: int, size: int) -> Journal:
        """Go on after the first `size` bytes; what a torn commit left behind them is cut off."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if os.lseek(descriptor, 0, os.SEEK_END) > size:
            os.ftruncate(descriptor, size)
            os.lseek(descriptor, size, os.SEEK_SET)
        return cls(path, number, descriptor, size)

    def append(self, sequence: int, changes: Sequence[Change]) -> None:
        """Write a batch and sync it. Raises OSError; what was written of it is then cut off."""
        self._append([sequence, [change_to_json(change) for change in changes]])

    def append_next(self, number: int) -> None:
        """Say that journal `number` follows this one. Raises OSError as `append` does."""
        self._append(["next", number])

    def close(self) -> None:
        os.close(self._descriptor)

    def _append(self, content: Any) -> None:
        line = _line(content)
        try:
            write_all(self._descriptor, line)
            os.fdatasync(self._descriptor)
        except OSError:
            # Whoever appends next must not do so behind half a line.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
            raise
        self.size += len(line)


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
    """Read a journal. Raises StateDamaged naming the file and the byte."""
    content = path.read_bytes()
    lines = _whole_lines(path, content)
    head = next(lines, None)
    if head is None or head[1][:3] != [_TITLE, FORMAT, number]:
        raise damaged(path, 0, f"it does not begin as journal {number} of format {FORMAT}")
    after = sequence = head[1][3]
    batches: list[Batch] = []
    next_number = None
    size = head[2]
    for offset, item, end in lines:
        size = end
        if next_number is not None:
            raise damaged(path, offset, "a line follows the one that ends the journal")
        if item[0] == "next":
            next_number = item[1]
            continue
        sequence += 1
        if item[0] != sequence:
            raise damaged(path, offset, f"batch {item[0]} stands where batch {sequence} belongs")
        batches.append(Batch(sequence, _read_changes(path, offset, item)))
    return JournalContent(after, tuple(batches), size, next_number)


def _read_changes(path: Path, offset: int, item: Any) -> tuple[Change, ...]:
    try:
        return tuple(change_from_json(change) for change in item[1])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise damaged(path, offset, f"a change cannot be read ({error})") from error


def _whole_lines(path: Path, content: bytes) -> Iterator[tuple[int, Any, int]]:
    """Each line as (offset, content, end). A torn last line ends the iteration."""
    offset = 0
    while offset < len(content):
        end = content.find(b"\n", offset) + 1
        if end == 0:
            if _lost_only_its_end(content, offset):
                raise damaged(path, len(content) - 1, "this is not the end of the line")
            return
        text = content[offset + 9 : end - 1]
        if not _agrees(content, offset, text):
            if end == len(content) and _has_unwritten_sector(content, offset):
                return
            raise damaged(path, offset, "the line does not agree with its checksum")
        yield offset, orjson.loads(text), end
        offset = end


def _agrees(content: bytes, offset: int, text: bytes) -> bool:
    return content[offset : offset + 9] == b"%08x " % zlib.crc32(text)


def _lost_only_its_end(content: bytes, offset: int) -> bool:
    """Whether something stands where the last line ends, which is otherwise whole. A write that
    was cut off leaves nothing there, or zeros."""
    return content[-1] != 0 and _agrees(content, offset, content[offset + 9 : -1])


def _has_unwritten_sector(content: bytes, offset: int) -> bool:
    """Whether a sector of the last line reads as zeros: the file had grown before the disk had
    all of it. (A zero anywhere else never came from a write that was cut off.)"""
    for sector in range(offset - offset % _SECTOR, len(content), _SECTOR):
        if not content[max(sector, offset) : sector + _SECTOR].strip(b"\0"):
            return True
    return False
