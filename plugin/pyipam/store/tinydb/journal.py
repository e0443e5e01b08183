"""The journal: one line for each committed batch, synced before the commit returns.

A journal is a file of lines, each `CRC32 JSON`. The first line says which journal it is, the others
are [sequence number, changes], and a last one may say which journal comes next. A last line without
its end is a commit that did not return, and is dropped. Anything else that cannot be read means
that the journal is corrupted (see journal_reading).

While a journal is in use, its last line is followed by zeros: room that was allocated in advance.
Writing over them changes neither the size of the file nor its place on the disk, so a sync has
only the line itself to write. Beyond the room, the file grows with each line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from pyipam.files import SYNC_STEP_BYTES, sync_folder, write_all
from pyipam.store.documents import change_to_json
from pyipam.store.records import Change

JOURNAL_TITLE = "pyipam journal"
JOURNAL_FORMAT = 1
# What a write or a sync fails with if the disk is full.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def journal_path(folder: Path, number: int) -> Path:
    """The file of journal `number`. The names sort by number."""
    return folder / f"journal-{number:08d}.log"


def _line(content: Any) -> bytes:
    text = orjson.dumps(content)
    return b"%08x %s\n" % (zlib.crc32(text), text)


class Journal:
    """The end of a journal, where batches are appended. `size` is how many bytes of it count.

    Without a lock: whoever shares a journal among threads must guard it.
    """

    def __init__(self, path: Path, number: int, descriptor: int, size: int) -> None:
        self.path = path
        self.number = number
        self.size = size
        self._written = size
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, number: int, room: int = 0) -> Journal:
        """Create journal `number`, still without its first line, with `room` bytes of room; with
        less or none if the disk is too full for that. Raises OSError."""
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

    @classmethod
    def reopen(cls, path: Path, number: int, size: int, room: int = 0) -> Journal:
        """Continue journal `number` after its first `size` bytes, with room up to `room` bytes.
        Everything after `size`, which is a torn commit or old room, is cut off first. Raises
        OSError."""
        journal = cls(path, number, os.open(path, os.O_RDWR | os.O_CLOEXEC), size)
        try:
            journal.cut_unsynced()
            journal._make_room(room)
        except OSError:
            os.close(journal._descriptor)
            raise
        return journal

    def write_header(self, after: int) -> None:
        """Write and sync the first line: the first batch has the number `after` + 1.

        Raises OSError; the part of the line that was written is then cut off if possible.
        """
        self._append([JOURNAL_TITLE, JOURNAL_FORMAT, self.number, after])

    def write(self, sequence: int, changes: Sequence[Change]) -> None:
        """Write the batch of this number; it counts once `sync` has returned. Raises OSError as
        `write_header` does."""
        self._write([sequence, [change_to_json(change) for change in changes]])

    def start_writeback(self) -> None:
        """Let the disk begin to write, without waiting for it."""
        # The advice is to drop these pages from memory; to do so, Linux starts writing them.
        length = self._written - self.size
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._descriptor, self.size, length, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Wait until everything written is on the disk. Raises OSError as `write_header` does."""
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            self._give_up()
            raise
        self.size = self._written

    def cut_unsynced(self) -> None:
        """Cut off what follows the last line that counts, and sync that. Raises OSError."""
        self._cut()
        # Otherwise a power cut could leave parts of the line that was cut off among those of the
        # next one, or before it.
        os.fsync(self._descriptor)

    def write_next(self, number: int) -> None:
        """Write and sync the line which says that journal `number` follows. Raises OSError as
        `write_header` does."""
        self._append(["next", number])

    def close(self) -> None:
        """Close the file, without the rest of the room. Every line that counts is synced."""
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
        # The caller is told that the line is not stored, so a later reader must not find it.
        with contextlib.suppress(OSError):
            self._cut()

    def _make_room(self, end: int) -> None:
        """Write zeros up to the offset `end`, and sync them."""
        try:
            for start in range(self.size, end, SYNC_STEP_BYTES):
                write_all(self._descriptor, bytes(min(SYNC_STEP_BYTES, end - start)))
                os.fdatasync(self._descriptor)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            # Leave the rest of the disk to others. If the file cannot be cut, the zeros do no harm.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)

    def _cut(self) -> None:
        """End the file after the last line that counts."""
        self._written = self.size
        os.ftruncate(self._descriptor, self.size)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)
