"""Reading a state folder: its TinyDB files, and the journals with the changes that they lack."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pyipam.store.records import Put, Record
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.file_index import FileIndex
from pyipam.store.tinydb.journal import journal_path
from pyipam.store.tinydb.journal_reading import JournalEntry, holds_batches, read_journal
from pyipam.store.tinydb.layout import Layout, has_file, table_of
from pyipam.store.tinydb.manifest import FILE_FORMAT, Manifest, read_manifest
from pyipam.store.tinydb.sealed_storage import SealedStorage
from pyipam.store.tinydb.tables import Table, read_tables


@dataclass(frozen=True)
class LoadedFolder:
    """What a store has to know about a folder to continue there, besides the records.

    `files` maps each TinyDB file to the number of the last batch that it contains at least. If it
    is outdated, all of them have to be written again: they are of another format or layout.
    `journal` is the number of the journal in use, `journal_size` how many bytes of it count, and
    `sequence` the number of the last batch.
    """

    index: FileIndex
    files: Mapping[str, int]
    is_outdated: bool
    journal: int
    journal_size: int
    sequence: int


@dataclass(frozen=True)
class _StoredFile:
    """A TinyDB file whose checksum was verified: the last batch in it, and its tables, which are
    read when they are iterated over."""

    through: int
    tables: Iterator[Table]


@dataclass(frozen=True)
class _Journals:
    """What the journals hold together; `last` is the number of the last one, `size` the number of
    bytes of it that count."""

    entries: Sequence[JournalEntry]
    last: int
    size: int
    sequence: int


def load_folder(folder: Path, layout: Layout) -> Generator[Record, None, LoadedFolder | None]:
    """Every stored record, as it is read; returns None if nothing was ever stored in the folder.

    Raises StateCorrupted, which names the file and the byte, or OSError; also after some records
    have been returned.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    files = {name: _open_file(folder, name, manifest) for name in manifest.files}
    through = max((file.through for file in files.values()), default=0)
    journals = _read_journals(folder, manifest.journal, through)
    index = FileIndex(layout)
    tables = {name: file.tables for name, file in files.items()}
    is_outdated = manifest.format < FILE_FORMAT or not all(has_file(layout, name) for name in files)
    if is_outdated:
        yield from _load_to_write_again(tables.values(), journals.entries, index)
    else:
        yield from _load(tables, journals.entries, index)
    return LoadedFolder(
        index,
        manifest.files,
        is_outdated,
        journals.last,
        journals.size,
        journals.sequence,
    )


def _load(
    files: Mapping[str, Iterator[Table]], entries: Sequence[JournalEntry], index: FileIndex
) -> Iterator[Record]:
    """The records of every table, merged with the changes in the journals."""
    changed = {table_of(change) for entry in entries for change in entry.changes}
    stored: list[Record] = []
    for name, tables in files.items():
        for table in tables:
            for pool in table.pools:
                index.register(pool, name)
            if table.name in changed:
                stored += table.pools
                stored += table.leases
            else:
                yield from table.pools
                yield from table.leases
    for entry in entries:
        index.apply(entry.changes)
    yield from index.merge(stored)


def _load_to_write_again(
    files: Iterable[Iterator[Table]], entries: Sequence[JournalEntry], index: FileIndex
) -> Iterator[Record]:
    """The same for files that have to be written again: everything counts as changed."""
    for table in chain.from_iterable(files):
        index.apply(Put(record) for record in (*table.pools, *table.leases))
    for entry in entries:
        index.apply(entry.changes)
    yield from index.merge(())


def _open_file(folder: Path, name: str, manifest: Manifest) -> _StoredFile:
    storage = SealedStorage(folder / name)
    if not storage.path.exists():
        raise corrupted(storage.path, 0, "the file is missing")
    tables = _verified_tables(storage, manifest.format)
    if storage.through < manifest.files[name]:
        raise corrupted(storage.path, 0, "the file is older than the one that was written last")
    return _StoredFile(storage.through, tables)


def _verified_tables(storage: SealedStorage, file_format: int) -> Iterator[Table]:
    if file_format >= FILE_FORMAT:
        storage.verify()
        return read_tables(storage.path, storage.documents())
    # An interrupted checkpoint may have written some of the files in the present format already.
    whole = storage.read() or {}
    return read_tables(storage.path, ((name, table.values()) for name, table in whole.items()))


def _read_journals(folder: Path, first: int, through: int) -> _Journals:
    """The journals from number `first` on, which must reach at least to batch `through`."""
    entries: list[JournalEntry] = []
    number: int | None = first
    sequence = None
    while number is not None:
        last, path = number, journal_path(folder, number)
        if not path.exists():
            raise corrupted(path, 0, "the file is missing")
        content = read_journal(path, number)
        if sequence is not None and content.after != sequence:
            raise corrupted(path, 0, f"it follows batch {content.after}, not {sequence}")
        sequence = content.after + len(content.entries)
        entries += content.entries
        if content.next_number is not None and content.next_number <= number:
            raise corrupted(path, content.size, f"journal {content.next_number} cannot follow it")
        number = content.next_number
    if sequence is None or sequence < through:
        raise corrupted(path, content.size, f"it ends before batch {through}")
    _check_nothing_follows(folder, last)
    return _Journals(entries, last, content.size, sequence)


def _check_nothing_follows(folder: Path, last: int) -> None:
    path = journal_path(folder, last + 1)
    # An interrupted checkpoint leaves a journal without batches, which the next one replaces.
    if path.exists() and holds_batches(path):
        before = journal_path(folder, last)
        raise corrupted(before, before.stat().st_size, f"its end is missing: {path} follows it")
