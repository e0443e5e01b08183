"""State folders of the TinyDB store: what processes do with them, and what is in them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pyipam.store.records import Change, Record
from pyipam.store.tinydb.layout import Layout
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    deletes,
    puts,
    replace,
)
from tests.unit.eager_store import EagerStore
from tests.unit.faulty_disk import faulty_disk

IPV4_FILE = "scopes/100.64.0.0-20.json"
IPV6_FILE = "scopes/fc00_f00f__-48.json"
UNMANAGED = replace(POOL, id="local/10.9.0.0/24", scope="")
EVERYTHING: list[Record] = [POOL, GATEWAY, LEASE, GLOBAL_POOL, IPV6_POOL, IPV6_LEASE, DRIVER]

# Batches that create, change and delete every kind of record in several files.
SCRIPT: list[Sequence[Change]] = [
    puts(DRIVER),
    puts(POOL, GATEWAY),
    puts(LEASE),
    puts(IPV6_POOL, IPV6_LEASE),
    deletes(LEASE),
    puts(replace(POOL, label="changed"), GLOBAL_POOL),
    deletes(GATEWAY, POOL),
    puts(UNMANAGED, POOL, LEASE),
]


def opened(
    folder: Path,
    layout: Layout = "scope",
    checkpoint_size: int = 4096,
    kind: type[EagerStore] = EagerStore,
) -> EagerStore:
    """A store that has been loaded."""
    store = kind(folder, layout, checkpoint_size)
    list(store.load())
    return store


def keep(folder: Path, *commits: Sequence[Change], layout: Layout = "scope") -> None:
    """Commit these batches in a process that ends normally."""
    store = opened(folder, layout)
    for changes in commits:
        store.commit(changes)
    store.close()


def load(folder: Path, layout: Layout = "scope") -> set[Record]:
    """The records that the next process loads."""
    store = TinyDbStore(folder, layout)
    try:
        records = list(store.load())
    finally:
        store.close()
    assert len(set(records)) == len(records), "a record was loaded twice"
    return set(records)


def crashed(folder: Path) -> Path:
    """A copy of the folder, as it is found after its process was killed now."""
    copy = folder.with_name("crashed")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    return copy


def files_in(folder: Path) -> dict[str, bytes]:
    """The content of every file, by its path in the folder; without the empty lock file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def names_without_journals(folder: Path) -> list[str]:
    """The files of a folder at rest that hold something."""
    return [name for name in files_in(folder) if not name.startswith("journal")]


def journal_of(folder: Path) -> Path:
    """The journal that is in use."""
    return max(folder.glob("journal-*.log"))


def lines_of_journal(folder: Path) -> bytes:
    """What the journal in use holds, without its room."""
    return journal_of(folder).read_bytes().rstrip(b"\0")


def make_files_only(folder: Path) -> None:
    """A state at rest."""
    keep(folder, puts(*EVERYTHING), puts(replace(LEASE, epoch=2)))


def make_with_journal(folder: Path) -> None:
    """A state whose process was killed with some commits in the journal."""
    keep(folder, puts(POOL, IPV6_POOL, DRIVER))
    store = opened(folder)
    for record in (GATEWAY, LEASE, GLOBAL_POOL, IPV6_LEASE):
        store.commit([*puts(record)])
    _keep_as_killed(folder, store)


def make_with_two_journals(folder: Path) -> None:
    """A state whose process was killed when the disk had room for another journal, but not for the
    files of a checkpoint."""
    keep(folder, puts(POOL, IPV6_POOL, DRIVER))
    with faulty_disk() as disk:
        store = opened(folder, checkpoint_size=300)
        for record in (GATEWAY, LEASE, GLOBAL_POOL, IPV6_LEASE):
            disk.calls.clear()
            # After the commit, the next journal, and the line that names it.
            disk.fill_up_at(10, calls=1_000_000)
            store.commit(puts(record))
            disk.heal()
        _keep_as_killed(folder, store)
    assert len(list(folder.glob("journal-*.log"))) > 1


def _keep_as_killed(folder: Path, store: TinyDbStore) -> None:
    killed = folder.with_name("killed")
    shutil.copytree(folder, killed)
    store.close()
    shutil.rmtree(folder)
    killed.rename(folder)
