"""Checkpoints: everything committed is brought into the TinyDB files, and a new journal begins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar

from pyipam import log
from pyipam.errors import StateCorrupted
from pyipam.files import sync_folder
from pyipam.store.records import AggregateRecord, Change, NodeRecord, Put
from pyipam.store.tinydb.commit_log import CommitLog
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.file_index import FileIndex
from pyipam.store.tinydb.journal import Journal, journal_path
from pyipam.store.tinydb.layout import Layout
from pyipam.store.tinydb.loading import LoadedFolder
from pyipam.store.tinydb.manifest import (
    FILE_FORMAT,
    FORMAT_WITH_AGGREGATES,
    Manifest,
    write_manifest,
)
from pyipam.store.tinydb.merging import merged_lines
from pyipam.store.tinydb.sealed_storage import SealedStorage

_Item = TypeVar("_Item")

# A checkpoint of 100,000 leases takes a second; a call waits for at most one of these steps.
_WORK_SECONDS = 0.0001
_REST_SECONDS = 0.001
_UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError)

# The remembered schema, and whatever else is in the folder, do not belong to the store.
_OWN_FILES = ("scopes/*", "drivers.json*", "nodes.json*", "manifest.json.new", "journal-*.log")


class Pace(Protocol):
    """Passes on the items that a checkpoint works through, and may pause between them."""

    def __call__(self, items: Iterable[_Item]) -> Iterator[_Item]: ...


def without_rests(items: Iterable[_Item]) -> Iterator[_Item]:
    """The pace of a checkpoint that somebody waits for."""
    return iter(items)


class Rests:
    """The pace of a checkpoint in the background: it rests between items, so that calls get the
    interpreter. For one thread."""

    def __init__(self, allowed: Callable[[], bool], sleep: Callable[[float], None]) -> None:
        """It rests only while `allowed` returns true, and then by `sleep`, for some seconds."""
        self._allowed = allowed
        self._sleep = sleep
        self._rested = 0.0

    def between(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items, with rests. A Pace."""
        for item in items:
            yield item
            if self._allowed() and time.perf_counter() - self._rested >= _WORK_SECONDS:
                self._sleep(_REST_SECONDS)
                self._rested = time.perf_counter()


class Checkpointer:
    """The TinyDB files of a folder, and what they do not contain yet.

    One lock guards everything, and is kept during a whole checkpoint: one runs at a time. Each
    method takes it by itself unless its docstring says otherwise. The lock of the commit log is
    taken after it, and never kept while files are written, so commits go on meanwhile.
    """

    def __init__(self, folder: Path, layout: Layout, commits: CommitLog) -> None:
        """Checkpoints of these commits. None runs before `open` or after `close`."""
        self._folder = folder
        self._commits = commits
        self._lock = threading.Lock()
        self._index = FileIndex(layout)
        # The last batch that each file contains at least; as the manifest says.
        self._files: dict[str, int] = {}
        self._is_open = False
        # Whether the manifest says that there may be records that older versions cannot read. Once
        # it does, it stays so until the folder is opened again without any.
        self._has_newest_format = False

    def open(self, loaded: LoadedFolder | None) -> None:
        """Continue from what was loaded; from nothing in an empty folder."""
        with self._lock:
            if loaded is not None:
                self._index = loaded.index
                self._files = {} if loaded.is_outdated else dict(loaded.files)
                self._has_newest_format = loaded.index.needs_format_3()
            self._is_open = True

    def close(self) -> None:
        """Wait for a checkpoint that is running, and let no other begin."""
        with self._lock:
            self._is_open = False

    def is_complete(self) -> bool:
        """Whether the files contain every commit, and commits can go on."""
        with self._lock:
            return self._commits.is_at_rest() and not self._index.dirty

    def must_raise_format(self, changes: Sequence[Change]) -> bool:
        """Whether the manifest must say, before these changes are committed, that older versions
        cannot read the state. Needs no lock."""
        return not self._has_newest_format and any(
            isinstance(change, Put) and isinstance(change.record, AggregateRecord | NodeRecord)
            for change in changes
        )

    def raise_format(self, room: int) -> None:
        """Let the manifest say so, by a checkpoint. Raises like `run`."""
        self._has_newest_format = True
        try:
            self.run(room)
        except (OSError, StateCorrupted):
            self._has_newest_format = False
            raise

    def run(self, room: int, pace: Pace = without_rests) -> None:
        """Bring everything committed into the files, and commits into a new journal, which gets
        `room` bytes of room.

        Raises OSError or StateCorrupted. Everything committed is in the journals then, which stay
        for as long as they are needed, and the next checkpoint tries again.
        """
        with self._lock:
            if not self._is_open:
                return
            journal = Journal.create(self._folder, self._commits.next_number, room)
            try:
                sequence, batches = self._commits.switch_to(journal)
                self._index.apply(pace(chain.from_iterable(batches)))
                manifest = self._write(journal.number, sequence, pace)
            except (OSError, StateCorrupted):
                self._commits.discard(journal)
                raise
            self._commits.use(journal)
            self._files = manifest.files
            self._index.mark_written()
            self._sweep(manifest)

    # Everything below needs the lock.

    def _write(self, journal: int, sequence: int, pace: Pace) -> Manifest:
        """Write the files that do not contain every change, and the manifest: the files then
        contain every batch up to `sequence`, which the journal of this number follows."""
        written = {}
        for name in sorted(self._index.files()):
            if name in self._index.dirty or name not in self._files:
                self._write_file(name, sequence, pace)
                written[name] = sequence
            else:
                written[name] = self._files[name]
        file_format = FORMAT_WITH_AGGREGATES if self._has_newest_format else FILE_FORMAT
        manifest = Manifest(written, journal, file_format)
        write_manifest(self._folder, manifest)
        return manifest

    def _write_file(self, name: str, sequence: int, pace: Pace) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        previous = SealedStorage(path).portions() if name in self._files else ()
        storage = SealedStorage(path)
        storage.through = sequence
        try:
            storage.write_lines(pace(merged_lines(name, pace(previous), self._index)))
        except _UNREADABLE as error:
            raise corrupted(path, 0, f"it cannot be read ({error!r})") from error

    def _sweep(self, manifest: Manifest) -> None:
        """Remove files that are no longer part of the state, or never became part of it."""
        needed = {self._folder / name for name in manifest.files}
        first_journal = journal_path(self._folder, manifest.journal)
        needed |= {path for path in self._folder.glob("journal-*.log") if path >= first_journal}
        try:
            for pattern in _OWN_FILES:
                for path in self._folder.glob(pattern):
                    if path not in needed:
                        path.unlink()
            sync_folder(self._folder)
        except OSError as error:
            # What is left does no harm, and the next checkpoint tries again.
            log.warning("cannot tidy up", folder=self._folder, reason=error.strerror)
