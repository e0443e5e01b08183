"""State in a folder of TinyDB files, with a journal in front of them.

A commit appends one line to the journal. A checkpoint brings what changed since the last one into
ordinary TinyDB files and begins a new journal. A file is never changed in place: a new one is
written beside it, made of its lines and of the changes, and takes its place. So nothing but the
changes is kept in memory. At rest the files alone hold everything, and open with plain TinyDB: a
table for each CIDR, a document for each pool and lease.

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

from pyipam import log
from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.files import sync_folder
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Put, Record
from pyipam.store.tinydb.contents import Contents, Layout, table_of
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.journal import (
    NO_ROOM,
    Batch,
    Journal,
    holds_batches,
    journal_path,
    read_journal,
)
from pyipam.store.tinydb.manifest import FORMAT, Manifest, read_manifest, write_manifest
from pyipam.store.tinydb.merging import merged_lines
from pyipam.store.tinydb.sealed_storage import SealedStorage
from pyipam.store.tinydb.tables import Table, read_tables

_Item = TypeVar("_Item")

CHECKPOINT_SIZE = 4 * 1024 * 1024
# A checkpoint in the background: 100,000 leases take a second, and a call waits for the first of
# these at most.
_SECONDS_OF_WORK = 0.0001
_SECONDS_OF_REST = 0.001
_UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError)

# Other files in the folder belong to others.
_OWN_FILES = ("scopes/*", "drivers.json*", "manifest.json.new", "journal-*.log")


class TinyDbStore:
    """The store of one host. See the module for its files."""

    shared = False

    def __init__(
        self, folder: Path, layout: Layout = "scope", checkpoint_size: int = CHECKPOINT_SIZE
    ) -> None:
        """Open the folder; a checkpoint is due when the journal has grown to so many bytes.

        Raises Unavailable when another process has the folder open.
        """
        self._folder = folder
        self._checkpoint_size = checkpoint_size
        self._checkpoint_at = checkpoint_size
        self._background: int | None = None
        self._rested = 0.0
        self._due = threading.Event()
        self._checkpointing = threading.Lock()
        self._lock = threading.Lock()
        self._sequence = 0
        self._journal: Journal | None = None
        self._journal_number = 0
        self._last_number = 0
        self._begun: Sequence[Change] | None = None
        self._contents = Contents(layout)
        self._committed: list[Sequence[Change]] = []
        self._written: dict[str, int] = {}
        self._problem: str | None = None
        self._loaded = False
        self._lock_descriptor = _lock_folder(folder)

    def load(self) -> Iterator[Record]:
        """Every stored record, as it is read; nothing is committed before the last was taken.

        Raises StateCorrupted naming the file and the place, or Unavailable when the disk does not
        let it be read.
        """
        try:
            manifest = read_manifest(self._folder)
            if manifest is not None:
                yield from self._read(manifest)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._loaded = True
        if manifest is None:
            self.checkpoint()

    def take_remote_changes(self) -> Sequence[Change]:
        """Nobody else changes anything."""
        return ()

    def load_global_space(self, within: float = COMMIT_TIMEOUT_SECONDS) -> Iterator[Record]:
        """Nobody else has changed anything."""
        return iter(())

    def problem(self) -> str | None:
        """What the last checkpoint found corrupted. What the disk does not take is known when it is
        asked to."""
        return self._problem

    def prewrite(self, changes: Sequence[Change]) -> None:
        """Write the journal's line for the next commit, and let the disk begin with it."""
        with self._lock:
            if self._journal is None:
                return
            try:
                self._take_back_begun(self._journal)
                self._journal.write(self._sequence + 1, changes)
                self._journal.start_writeback()
            except OSError:
                self._lose_journal()
            else:
                self._begun = changes

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Make the batch durable: one line in the journal. Raises StoreFailure."""
        if not self._loaded:
            raise StoreFailure(f"nothing is stored in {self._folder} before it was read whole")
        try:
            if self._journal_is_lost():
                # What a commit waits for leaves to the files whatever room the disk has.
                self._checkpoint(room=0)
            self._append(changes)
        except StateCorrupted as error:
            raise StoreFailure(f"the change could not be stored: {error}") from error
        except OSError as error:
            raise StoreFailure(
                f"the change could not be stored in {self._folder} ({error.strerror}); nothing "
                "has been done. Make room there, or mend the disk, and try again"
            ) from error

    def run_background_work(self, stopping: threading.Event) -> None:
        """Checkpoint whenever one is due, until told to stop (and woken by `close`)."""
        self._background = threading.get_ident()
        while not stopping.is_set():
            self._due.wait()
            self._due.clear()
            if not stopping.is_set():
                self.checkpoint()

    def checkpoint(self) -> None:
        """Bring everything committed into the TinyDB files. Commits go on meanwhile. Where the
        disk does not allow it, they go on all the same, and the next checkpoint tries again."""
        try:
            self._checkpoint(room=self._checkpoint_size)
            self._problem = None
        except OSError as error:
            # Everything committed is in the journals, which stay as long as they are needed.
            log.warning("checkpoint failed", folder=self._folder, reason=error.strerror)
        except StateCorrupted as error:
            self._problem = str(error)
            log.error("checkpoint failed", folder=self._folder, reason=error)

    def close(self) -> None:
        """Bring everything into the TinyDB files, and let the folder go."""
        self._due.set()
        self._background = None
        with self._checkpointing:
            waiting = bool(self._committed or self._contents.dirty)
            complete = self._journal is not None and not waiting
        # What could not be read whole must not be written over by what could.
        if self._loaded and not complete:
            self.checkpoint()
        # A checkpoint that comes later would change what another process may have begun with.
        with self._checkpointing, self._lock:
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
                if self._begun is None or self._begun != changes:
                    self._take_back_begun(self._journal)
                    self._journal.write(self._sequence + 1, changes)
                self._journal.sync()
            except OSError:
                self._lose_journal()
                raise
            self._begun = None
            self._sequence += 1
            self._committed.append(changes)
            if self._journal.size >= self._checkpoint_at:
                self._checkpoint_at = self._journal.size + self._checkpoint_size
                self._due.set()

    def _take_back_begun(self, journal: Journal) -> None:
        if self._begun is not None:
            self._begun = None
            journal.take_back()

    def _lose_journal(self) -> None:
        """What of a failed write or sync is on disk, nobody knows: this journal is not appended
        to again. The next commit begins with a checkpoint, and a new one."""
        lost, self._journal, self._begun = self._journal, None, None
        assert lost is not None
        lost.close()

    # Checkpoints

    def _checkpoint(self, room: int) -> None:
        with self._checkpointing:
            if not self._loaded:
                return
            # One that was begun before may be named already, however that went on.
            number = max(self._journal_number, self._last_number) + 1
            journal = Journal.create(self._folder, number, room)
            try:
                sequence, committed = self._change_journal(journal, number)
                self._take_in(committed)
                manifest = self._write(number, sequence)
            except (OSError, StateCorrupted):
                if self._journal_number != number:
                    journal.close()
                raise
            # Where it is in use already, it may have been lost by now.
            if self._journal_number != number:
                with self._lock:
                    self._use(journal, number)
            self._written = manifest.files
            self._contents.settle()
            self._sweep(manifest)

    def _change_journal(self, journal: Journal, number: int) -> tuple[int, list[Sequence[Change]]]:
        """End the present journal with the name of the next, and commit to that from now on.

        The number of the last batch before, and the batches that nobody has taken in yet. Where
        the present journal is lost, the new one counts only when the manifest says so.
        """
        with self._lock:
            journal.write_header(self._sequence)
            self._last_number = number
            if self._journal is not None:
                self._end_journal(number)
                self._use(journal, number)
            committed, self._committed = self._committed, []
            return self._sequence, committed

    def _end_journal(self, next_number: int) -> None:
        journal, self._journal = self._journal, None
        assert journal is not None
        try:
            self._take_back_begun(journal)
            journal.append_next(next_number)
        finally:
            journal.close()

    def _use(self, journal: Journal, number: int) -> None:
        self._journal, self._journal_number = journal, number
        self._checkpoint_at = self._checkpoint_size

    def _take_in(self, batches: Iterable[Sequence[Change]]) -> None:
        for change in self._paced(chain.from_iterable(batches)):
            self._contents.apply(change)

    def _write(self, number: int, sequence: int) -> Manifest:
        written = {}
        for name in sorted(self._contents.files()):
            if name in self._contents.dirty or name not in self._written:
                self._write_file(name, sequence)
                written[name] = sequence
            else:
                written[name] = self._written[name]
        manifest = Manifest(written, number)
        write_manifest(self._folder, manifest)
        return manifest

    def _write_file(self, name: str, sequence: int) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        former = SealedStorage(path).pieces() if name in self._written else ()
        storage = SealedStorage(path)
        storage.through = sequence
        try:
            lines = merged_lines(name, self._paced(former), self._contents)
            storage.write_lines(self._paced(lines))
        except _UNREADABLE as error:
            raise corrupted(path, 0, f"it cannot be read ({error!r})") from error

    def _paced(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items; in the background, with rests that leave the interpreter to the calls, as
        long as these can be answered."""
        for item in items:
            yield item
            if self._background == threading.get_ident() and self._journal is not None:
                self._rest()

    def _rest(self) -> None:
        if time.perf_counter() - self._rested >= _SECONDS_OF_WORK:
            time.sleep(_SECONDS_OF_REST)
            self._rested = time.perf_counter()

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

    def _read(self, manifest: Manifest) -> Iterator[Record]:
        files = {name: self._read_file(name, manifest) for name in manifest.files}
        batches, end = self._read_journals(manifest)
        if manifest.format == FORMAT and all(map(self._contents.fits, files)):
            self._written = dict(manifest.files)
            yield from self._records(files, batches)
        else:
            yield from self._records_to_be_moved(files, batches)
        self._journal = self._reopened(end)

    def _reopened(self, end: int) -> Journal | None:
        """The journal that is in use. None where a full disk does not let it be synced: the next
        commit then begins with a checkpoint, as when it was lost."""
        number = self._journal_number
        path = journal_path(self._folder, number)
        try:
            return Journal.reopen(path, number, end, self._checkpoint_size)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            return None

    def _records(
        self, files: Mapping[str, Iterator[Table]], batches: Sequence[Batch]
    ) -> Iterator[Record]:
        """The records in the files, and of the tables that have changed what the journals say."""
        changed = {table_of(change) for batch in batches for change in batch.changes}
        stored: list[Record] = []
        for name, tables in files.items():
            for table in tables:
                for pool in table.pools:
                    self._contents.know(pool, name)
                if table.name in changed:
                    stored += table.pools
                    stored += table.leases
                else:
                    yield from table.pools
                    yield from table.leases
        self._take_in(batch.changes for batch in batches)
        yield from self._contents.current(stored)

    def _records_to_be_moved(
        self, files: Mapping[str, Iterator[Table]], batches: Sequence[Batch]
    ) -> Iterator[Record]:
        """The same where the files are of another format or layout: all are written anew."""
        for table in chain.from_iterable(files.values()):
            self._take_in([[Put(record) for record in (*table.pools, *table.leases)]])
        self._take_in(batch.changes for batch in batches)
        self._due.set()
        yield from self._contents.current(())

    def _read_file(self, name: str, manifest: Manifest) -> Iterator[Table]:
        """The tables of a file that has been verified, to be read."""
        storage = SealedStorage(self._folder / name)
        if not storage.path.exists():
            raise corrupted(storage.path, 0, "the file is missing")
        tables = _verified_tables(storage, manifest.format)
        if storage.through < manifest.files[name]:
            raise corrupted(storage.path, 0, "the file is older than what was written last")
        self._sequence = max(self._sequence, storage.through)
        return tables

    def _read_journals(self, manifest: Manifest) -> tuple[list[Batch], int]:
        """The batches that the files may not contain, and where the last journal ends."""
        batches: list[Batch] = []
        number: int | None = manifest.journal
        through_files, sequence = self._sequence, None
        while number is not None:
            path = journal_path(self._folder, number)
            if not path.exists():
                raise corrupted(path, 0, "the file is missing")
            content = read_journal(path, number)
            if sequence is not None and content.after != sequence:
                raise corrupted(path, 0, f"it follows batch {content.after}, not {sequence}")
            sequence = content.after + len(content.batches)
            batches += content.batches
            if content.next_number is not None and content.next_number <= number:
                raise corrupted(
                    path, content.size, f"journal {content.next_number} cannot follow it"
                )
            self._journal_number, number = number, content.next_number
        if sequence is None or sequence < through_files:
            raise corrupted(path, content.size, f"it ends before batch {through_files}")
        self._sequence = sequence
        self._check_nothing_follows()
        return batches, content.size

    def _check_nothing_follows(self) -> None:
        path = journal_path(self._folder, self._journal_number + 1)
        # A checkpoint that was cut off leaves an empty one, which the next one replaces.
        if path.exists() and holds_batches(path):
            before = journal_path(self._folder, self._journal_number)
            raise corrupted(before, before.stat().st_size, f"its end is missing: {path} follows it")


def _verified_tables(storage: SealedStorage, file_format: int) -> Iterator[Table]:
    if file_format == FORMAT:
        storage.verify()
        return read_tables(storage.path, storage.documents())
    # A file that a cut-off checkpoint has written already is of the present format.
    whole = storage.read() or {}
    return read_tables(storage.path, ((name, table.values()) for name, table in whole.items()))


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
            f"the state folder {folder} is in use by another process; stop it first (a plugin with "
            "docker plugin disable)"
        ) from None
    return descriptor


def _unusable(folder: Path, error: OSError) -> Unavailable:
    place = f": {error.filename}" if error.filename else ""
    return Unavailable(
        f"the state folder {folder} cannot be used ({error.strerror}{place}); mend that, then "
        "disable and enable the plugin"
    )
