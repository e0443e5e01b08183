"""State in a folder of TinyDB files, with a journal in front of them.

A commit appends one line to the journal. A checkpoint writes what changed since the last one into
ordinary TinyDB files (beside and renamed, never in place) and begins a new journal. At rest the
files alone hold everything, and open with plain TinyDB: a table for each CIDR, a document for
each pool and lease.

    manifest.json          the format's version, the files that must be there, the first journal
    scopes/*.json          a TinyDB file for each scope (scopes/all.json with the single layout)
    drivers.json           the driver names and their epochs
    journal-NNNNNNNN.log   what was committed since the last checkpoint
    lock                   held by the process that has the folder open
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyipam import log
from pyipam.errors import StoreFailure, Unavailable
from pyipam.store.contents import Contents, Layout
from pyipam.store.damage import damaged
from pyipam.store.documents import to_record
from pyipam.store.files import sync_folder
from pyipam.store.journal import Journal, journal_path, read_journal
from pyipam.store.manifest import Manifest, read_manifest, write_manifest
from pyipam.store.sealed_storage import SealedStorage
from pyipam.store.store import (
    Change,
    Record,
)

CHECKPOINT_SIZE = 4 * 1024 * 1024

# Other files in the folder belong to others.
_OWN_FILES = ("scopes/*", "drivers.json*", "manifest.json.new", "journal-*.log")


class TinyDbStore:
    """The store of one host. See the module for its files."""

    def __init__(
        self, folder: Path, layout: Layout = "scope", checkpoint_size: int = CHECKPOINT_SIZE
    ) -> None:
        """Open the folder; a checkpoint is due when the journal has grown to so many bytes.

        Raises Unavailable when another process has the folder open.
        """
        self._folder = folder
        self._checkpoint_size = checkpoint_size
        self._checkpoint_at = checkpoint_size
        self._pause = _go_on
        self._due = threading.Event()
        self._checkpointing = threading.Lock()
        self._lock = threading.Lock()
        self._sequence = 0
        self._journal: Journal | None = None
        self._journal_number = 0
        self._contents = Contents(layout)
        self._written: dict[str, int] = {}
        self._loaded = False
        self._lock_descriptor = _lock_folder(folder)

    def load(self) -> Iterator[Record]:
        """Every stored record. Raises StateDamaged naming the file and the place, or Unavailable
        when the disk does not let it be read."""
        try:
            manifest = read_manifest(self._folder)
            if manifest is not None:
                self._read_files(manifest)
                self._read_journals(manifest)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._loaded = True
        if manifest is None or self._written.keys() - self._contents.files.keys():
            self.checkpoint()
        return self._contents.records()

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the batch durable: one line in the journal. Raises StoreFailure."""
        if not self._loaded:
            raise StoreFailure(f"nothing is stored in {self._folder} before it was read whole")
        try:
            if self._journal_is_lost():
                self._checkpoint()
            self._append(changes)
        except OSError as error:
            raise StoreFailure(
                f"the change could not be stored in {self._folder} ({error.strerror}); nothing "
                "has been done. Make room there, or mend the disk, and try again"
            ) from error

    def maintain(self, stopping: threading.Event) -> None:
        """Checkpoint whenever one is due, until told to stop (and woken by `close`)."""
        self._pause = _let_others_run
        while not stopping.is_set():
            self._due.wait()
            self._due.clear()
            if not stopping.is_set():
                self.checkpoint()

    def checkpoint(self) -> None:
        """Bring everything committed into the TinyDB files. Commits go on meanwhile. Where the
        disk does not allow it, they go on all the same, and the next checkpoint tries again."""
        try:
            self._checkpoint()
        except OSError as error:
            # Everything committed is in the journals, which stay as long as they are needed.
            log.warning("checkpoint failed", folder=self._folder, reason=error.strerror)

    def close(self) -> None:
        """Bring everything into the TinyDB files, and let the folder go."""
        self._due.set()
        self._pause = _go_on
        with self._checkpointing:
            complete = self._journal is not None and not self._contents.dirty
        # What could not be read whole must not be written over by what could.
        if self._loaded and not complete:
            self.checkpoint()
        with self._lock:
            self._loaded = False
            if self._journal is not None:
                self._journal.close()
                self._journal = None
            os.close(self._lock_descriptor)

    def _journal_is_lost(self) -> bool:
        # Not while a checkpoint changes journals: what it holds in its hand is not lost.
        with self._lock:
            return self._journal is None

    def _append(self, changes: Sequence[Change]) -> None:
        with self._lock:
            if self._journal is None:
                raise OSError(errno.EIO, "the journal could not be written a moment ago")
            try:
                self._journal.append(self._sequence + 1, changes)
            except OSError:
                # What of a failed write or sync is on disk, nobody knows: this journal is not
                # appended to again. The next commit begins with a checkpoint, and a new one.
                self._journal.close()
                self._journal = None
                raise
            self._sequence += 1
            for change in changes:
                self._contents.apply(change)
            if self._journal.size >= self._checkpoint_at:
                self._checkpoint_at = self._journal.size + self._checkpoint_size
                self._due.set()

    # Checkpoints

    def _checkpoint(self) -> None:
        with self._checkpointing:
            number = self._journal_number + 1
            journal = Journal.create(self._folder, number)
            try:
                sequence, dirty = self._change_journal(journal, number)
                manifest = self._write(number, sequence, dirty)
            except OSError:
                if self._journal is not journal:
                    journal.close()
                raise
            self._use(journal, number)
            self._written = manifest.files
            self._sweep(manifest)

    def _change_journal(self, journal: Journal, number: int) -> tuple[int, set[str]]:
        """End the present journal with the name of the next, and commit to that from now on.

        The last batch before, and the files that do not contain every batch up to it. Where the
        present journal is lost, the new one counts only when the manifest says so.
        """
        with self._lock:
            journal.begin(self._sequence)
            if self._journal is not None:
                self._end_journal(number)
                self._use(journal, number)
            dirty, self._contents.dirty = self._contents.dirty, set()
            return self._sequence, dirty

    def _end_journal(self, next_number: int) -> None:
        journal, self._journal = self._journal, None
        assert journal is not None
        try:
            journal.append_next(next_number)
        finally:
            journal.close()

    def _use(self, journal: Journal, number: int) -> None:
        self._journal, self._journal_number = journal, number
        self._checkpoint_at = self._checkpoint_size

    def _write(self, number: int, sequence: int, dirty: set[str]) -> Manifest:
        try:
            written = {}
            for name in list(self._contents.files):
                if name in dirty or name not in self._written:
                    self._write_file(name, sequence)
                    written[name] = sequence
                else:
                    written[name] = self._written[name]
            manifest = Manifest(written, number)
            write_manifest(self._folder, manifest)
        except OSError:
            self._contents.dirty |= dirty
            raise
        return manifest

    def _write_file(self, name: str, sequence: int) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        storage = SealedStorage(path)
        storage.through = sequence
        storage.write_tables(self._contents.tables(name), lambda: self._pause())

    def _sweep(self, manifest: Manifest) -> None:
        """Remove what is no part of the state any more, or never became one."""
        needed = {self._folder / name for name in manifest.files}
        journals = self._folder.glob("journal-*.log")
        needed |= {
            path for path in journals if path >= journal_path(self._folder, manifest.journal)
        }
        try:
            for pattern in _OWN_FILES:
                for path in self._folder.glob(pattern):
                    if path not in needed:
                        path.unlink()
            sync_folder(self._folder)
        except OSError as error:
            # What is left over does no harm; the next checkpoint tries again.
            log.warning("cannot tidy up", folder=self._folder, reason=error.strerror)

    # Reading

    def _read_files(self, manifest: Manifest) -> None:
        for name, through in manifest.files.items():
            path = self._folder / name
            storage = SealedStorage(path)
            tables = storage.read()
            if tables is None:
                raise damaged(path, 0, "the file is missing")
            if storage.through < through:
                raise damaged(path, 0, "the file is older than what was written last")
            self._sequence = max(self._sequence, storage.through)
            self._read_tables(path, tables)
        self._written = dict(manifest.files)
        self._contents.dirty.clear()

    def _read_tables(self, path: Path, tables: dict[str, dict[str, Any]]) -> None:
        for name, documents in tables.items():
            try:
                records = [to_record(document) for document in documents.values()]
                self._contents.put_table(records)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise damaged(path, 0, f"table {name} cannot be read ({error!r})") from error

    def _read_journals(self, manifest: Manifest) -> None:
        number: int | None = manifest.journal
        through_files, sequence = self._sequence, None
        while number is not None:
            path = journal_path(self._folder, number)
            if not path.exists():
                raise damaged(path, 0, "the file is missing")
            content = read_journal(path, number)
            if sequence is not None and content.after != sequence:
                raise damaged(path, 0, f"it follows batch {content.after}, not {sequence}")
            sequence = content.after + len(content.batches)
            for batch in content.batches:
                for change in batch.changes:
                    self._contents.apply(change)
            self._journal_number, number = number, content.next_number
        if sequence is None or sequence < through_files:
            raise damaged(path, content.size, f"it ends before batch {through_files}")
        self._sequence = sequence
        self._check_nothing_follows()
        self._journal = Journal.reopen(path, self._journal_number, content.size)

    def _check_nothing_follows(self) -> None:
        path = journal_path(self._folder, self._journal_number + 1)
        # A checkpoint that was cut off leaves an empty one, which the next one replaces.
        if path.exists() and b"\n" in path.read_bytes()[:-1]:
            before = journal_path(self._folder, self._journal_number)
            raise damaged(before, before.stat().st_size, f"its end is missing: {path} follows it")


def _go_on() -> None:
    """Nobody waits."""


def _let_others_run() -> None:
    # Long enough that a thread with a call to answer gets the interpreter.
    time.sleep(0.0001)


def _lock_folder(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unavailable(
            f"the state folder {folder} is in use by another process; stop it first"
        ) from None
    return descriptor


def _unusable(folder: Path, error: OSError) -> Unavailable:
    place = f": {error.filename}" if error.filename else ""
    return Unavailable(
        f"the state folder {folder} cannot be used ({error.strerror}{place}); mend that, then "
        "disable and enable the plugin"
    )
