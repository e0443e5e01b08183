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

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pyipam import log
from pyipam.errors import StoreFailure, Unavailable
from pyipam.store.damage import damaged
from pyipam.store.documents import to_document, to_record
from pyipam.store.files import sync_folder
from pyipam.store.journal import Journal, journal_path, read_journal
from pyipam.store.manifest import Manifest, read_manifest, write_manifest
from pyipam.store.sealed_storage import SealedStorage
from pyipam.store.store import (
    Change,
    Delete,
    DriverKey,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
    subnet_of,
)

CHECKPOINT_SIZE = 4 * 1024 * 1024
Layout = Literal["scope", "single"]
LAYOUTS: tuple[Layout, ...] = ("scope", "single")

_DRIVERS = "drivers"
_DRIVERS_FILE = "drivers.json"
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
        self._lock = threading.Lock()
        self._sequence = 0
        self._journal: Journal | None = None
        self._journal_number = 0
        self._contents = _Contents(layout)
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
            self._checkpoint_or_go_on()
        return self._contents.records()

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the batch durable: one line in the journal. Raises StoreFailure."""
        with self._lock:
            if not self._loaded:
                raise StoreFailure(f"nothing is stored in {self._folder} before it was read whole")
            try:
                self._append(changes)
            except OSError as error:
                raise StoreFailure(
                    f"the change could not be stored in {self._folder} ({error.strerror}); nothing "
                    "has been done. Make room there, or mend the disk, and try again"
                ) from error
            for change in changes:
                self._contents.apply(change)
            if self._journal is not None and self._journal.size >= self._checkpoint_size:
                self._checkpoint_or_go_on()

    def close(self) -> None:
        """Bring everything into the TinyDB files, and let the folder go."""
        with self._lock:
            # What could not be read whole must not be written over by what could.
            if self._loaded and (self._contents.dirty or self._journal is None):
                self._checkpoint_or_go_on()
            if self._journal is not None:
                self._journal.close()
                self._journal = None
            os.close(self._lock_descriptor)

    def _append(self, changes: Sequence[Change]) -> None:
        if self._journal is None:
            self._checkpoint()
        assert self._journal is not None
        try:
            self._journal.append(self._sequence + 1, changes)
        except OSError:
            # What of a failed write or sync is on disk, nobody knows: this journal is not
            # appended to again. The next commit begins with a checkpoint, which does without it.
            self._journal.close()
            self._journal = None
            raise
        self._sequence += 1

    # Checkpoints

    def _checkpoint_or_go_on(self) -> None:
        try:
            self._checkpoint()
        except OSError as error:
            # Everything committed is in the journals, which stay as long as they are needed.
            log.warning("checkpoint failed", folder=self._folder, reason=error.strerror)

    def _checkpoint(self) -> None:
        """Bring everything committed into TinyDB files, and begin a new journal."""
        number = self._journal_number + 1
        journal = Journal.create(self._folder, number, self._sequence)
        try:
            if self._journal is not None:
                self._end_journal(number)
                self._use(journal, number)
            manifest = Manifest(self._write_files(), number)
            write_manifest(self._folder, manifest)
        except OSError:
            if self._journal is not journal:
                journal.close()
            raise
        self._use(journal, number)
        self._contents.dirty.clear()
        self._written = manifest.files
        self._sweep(manifest)

    def _end_journal(self, next_number: int) -> None:
        journal, self._journal = self._journal, None
        assert journal is not None
        try:
            journal.append_next(next_number)
        finally:
            journal.close()

    def _use(self, journal: Journal, number: int) -> None:
        self._journal, self._journal_number = journal, number

    def _write_files(self) -> dict[str, int]:
        written = {}
        for name in self._contents.files:
            if name in self._contents.dirty or name not in self._written:
                path = self._folder / name
                path.parent.mkdir(mode=0o700, exist_ok=True)
                storage = SealedStorage(path)
                storage.through = self._sequence
                storage.write(self._contents.tables(name))
                written[name] = self._sequence
            else:
                written[name] = self._written[name]
        return written

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
        self._journal = Journal.reopen(path, content.size)

    def _check_nothing_follows(self) -> None:
        path = journal_path(self._folder, self._journal_number + 1)
        # A checkpoint that was cut off leaves an empty one, which the next one replaces.
        if path.exists() and b"\n" in path.read_bytes()[:-1]:
            before = journal_path(self._folder, self._journal_number)
            raise damaged(before, before.stat().st_size, f"its end is missing: {path} follows it")


class _Contents:
    """Every record, by the file and the subnet that it is stored under."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._homes: dict[str, str] = {}
        self.files: dict[str, dict[str, dict[str, Record]]] = {}
        self.dirty: set[str] = set()

    def records(self) -> Iterator[Record]:
        """Every record; the pools of a subnet before the leases in them."""
        for subnets in self.files.values():
            for records in subnets.values():
                rows = records.values()
                yield from (row for row in rows if not isinstance(row, LeaseRecord))
                yield from (row for row in rows if isinstance(row, LeaseRecord))

    def tables(self, file: str) -> dict[str, dict[str, Any]]:
        """The tables of a TinyDB file: one for each CIDR, with what both spaces hold there."""
        tables: dict[str, dict[str, Any]] = {}
        for subnet, records in self.files[file].items():
            table = tables.setdefault(subnet.partition("/")[2] or subnet, {})
            for record in records.values():
                table[str(len(table) + 1)] = to_document(record)
        return tables

    def apply(self, change: Change) -> None:
        match change:
            case Put(record):
                self._put(record)
            case Delete(key):
                self._delete(key)

    def put_table(self, records: Sequence[Record]) -> None:
        """Every record of a table as it was read. Raises KeyError for a lease without its pool."""
        rows: dict[str, dict[str, Record]] = {}
        leases = [record for record in records if isinstance(record, LeaseRecord)]
        for record in records:
            if not isinstance(record, LeaseRecord):
                self._put(record)
        for lease in leases:
            row = rows.get(lease.pool)
            if row is None:
                subnet = subnet_of(lease.pool)
                row = rows[lease.pool] = self.files[self._homes[subnet]][subnet]
            row[lease.address] = lease

    def _put(self, record: Record) -> None:
        subnet, name = _place(record.key)
        if isinstance(record, PoolRecord):
            self._homes.setdefault(subnet, self._file_for(record.scope))
        file = self._home(subnet)
        self.files.setdefault(file, {}).setdefault(subnet, {})[name] = record
        self.dirty.add(file)

    def _delete(self, key: Key) -> None:
        subnet, name = _place(key)
        file = self._home(subnet)
        records = self.files.get(file, {}).get(subnet, {})
        if records.pop(name, None) is None:
            return
        self.dirty.add(file)
        if not records:
            del self.files[file][subnet]
            self._homes.pop(subnet, None)
        if not self.files[file]:
            del self.files[file]

    def _home(self, subnet: str) -> str:
        return _DRIVERS_FILE if subnet == _DRIVERS else self._homes.get(subnet, "")

    def _file_for(self, scope: str) -> str:
        if self._layout == "single":
            return "scopes/all.json"
        name = scope.replace("/", "-").replace(":", "_") or "unmanaged"
        return f"scopes/{name}.json"


def _place(key: Key) -> tuple[str, str]:
    """The subnet that a record is stored under, and its name there."""
    match key:
        case LeaseKey(subnet, address):
            return subnet, address
        case PoolKey(pool_id):
            return subnet_of(pool_id), pool_id
        case DriverKey(name):
            return _DRIVERS, name


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
