"""The state folder of the TinyDB store: its files, and that no mishap loses or invents anything."""

from __future__ import annotations

import errno
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from socket import socketpair

import orjson
import pytest
from tinydb import TinyDB

from pyipam.errors import StateCorrupted, StoreFailure, Unavailable
from pyipam.store.records import Change, Record
from pyipam.store.tinydb.contents import LAYOUTS, Layout
from pyipam.store.tinydb.journal import Journal
from pyipam.store.tinydb.manifest import Manifest
from pyipam.store.tinydb.sealed_storage import SealedStorage
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    Model,
    deletes,
    puts,
    replace,
)
from tests.unit.eager_store import BeginningStore, EagerStore
from tests.unit.faulty_disk import FaultyDisk, Killed, faulty_disk

IPV4_FILE = "scopes/100.64.0.0-20.json"
IPV6_FILE = "scopes/fc00_f00f__-48.json"
UNMANAGED = replace(POOL, id="local/10.9.0.0/24", scope="")
EVERYTHING: list[Record] = [POOL, GATEWAY, LEASE, GLOBAL_POOL, IPV6_POOL, IPV6_LEASE, DRIVER]


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    """The disk under the folder: works until told otherwise, and makes nobody wait."""
    with faulty_disk() as disk:
        yield disk


pytestmark = pytest.mark.usefixtures("disk")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the state is; not there yet."""
    return tmp_path / "state"


Kind = type[EagerStore]
of_both_kinds = pytest.mark.parametrize("kind", [EagerStore, BeginningStore])


def opened(
    folder: Path, layout: Layout = "scope", checkpoint_size: int = 4096, kind: Kind = EagerStore
) -> TinyDbStore:
    """A store that has been loaded. Its journal has room for as much as makes a checkpoint due."""
    store = kind(folder, layout, checkpoint_size)
    list(store.load())
    return store


def keep(folder: Path, *commits: Sequence[Change], layout: Layout = "scope") -> None:
    """A process that commits these batches, and ends."""
    store = opened(folder, layout)
    for changes in commits:
        store.commit(changes)
    store.close()


def load(folder: Path, layout: Layout = "scope") -> set[Record]:
    """What the next process finds."""
    store = TinyDbStore(folder, layout)
    try:
        records = list(store.load())
    finally:
        store.close()
    assert len(set(records)) == len(records)
    return set(records)


def crashed(folder: Path) -> Path:
    """The folder as it is when its process is killed now."""
    copy = folder.with_name("crashed")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    return copy


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, which holds nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


# The files


def test_at_rest_plain_tinydb_opens_every_file(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))

    with TinyDB(folder / IPV4_FILE) as database:
        assert database.tables() == {"100.64.0.0/30", "_pyipam"}
        documents = database.table("100.64.0.0/30").all()
    assert [document["kind"] for document in documents].count("pool") == 2
    (lease,) = [d for d in documents if d.get("use") == "container"]
    assert lease == {
        "kind": "lease",
        "pool": "local/100.64.0.0/30",
        "address": "100.64.0.2",
        "use": "container",
        "driver": "driver",
        "epoch": 1,
        "granted": 1600000002.25,
        "released": None,
    }


def test_pools_and_drivers_are_documents_with_every_field(folder: Path) -> None:
    keep(folder, puts(POOL, DRIVER))

    with TinyDB(folder / IPV4_FILE) as database:
        assert database.table("100.64.0.0/30").all() == [
            {
                "kind": "pool",
                "id": "local/100.64.0.0/30",
                "scope": "100.64.0.0/20",
                "label": "testnet",
                "tags": "null_routed",
                "claims": [["driver", 1, 1]],
                "created": 1600000000.123456,
                "released": None,
            }
        ]
    with TinyDB(folder / "drivers.json") as database:
        assert database.table("drivers").all() == [
            {
                "kind": "driver",
                "name": "driver",
                "engine": "boot:4711",
                "local_epoch": 3,
                "global_epoch": 4,
            }
        ]


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("scope", [IPV4_FILE, IPV6_FILE, "scopes/unmanaged.json"]),
        ("single", ["scopes/all.json"]),
    ],
)
def test_the_layout_says_how_many_files_there_are(
    folder: Path, layout: Layout, names: list[str]
) -> None:
    keep(folder, puts(*EVERYTHING, UNMANAGED), layout=layout)

    assert [name for name in files_in(folder) if name.startswith("scopes/")] == names


def test_the_file_of_a_scope_that_holds_nothing_any_more_is_removed(folder: Path) -> None:
    keep(folder, puts(POOL, IPV6_POOL), deletes(IPV6_POOL))
    keep(folder, deletes(POOL), puts(IPV6_POOL))

    assert [name for name in files_in(folder) if name.startswith("scopes/")] == [IPV6_FILE]


@pytest.mark.parametrize("before", LAYOUTS)
@pytest.mark.parametrize("after", LAYOUTS)
def test_another_layout_keeps_everything(folder: Path, before: Layout, after: Layout) -> None:
    keep(folder, puts(*EVERYTHING, UNMANAGED), layout=before)

    assert load(folder, after) == {*EVERYTHING, UNMANAGED}
    assert load(folder, before) == {*EVERYTHING, UNMANAGED}


def test_another_layout_takes_in_what_a_crash_left_in_the_journal(folder: Path) -> None:
    keep(folder, puts(POOL))
    store = opened(folder)
    store.commit(puts(GATEWAY, IPV6_POOL))

    assert load(crashed(folder), "single") == {POOL, GATEWAY, IPV6_POOL}
    store.close()


def test_nobody_else_may_read_the_state(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))

    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_files_that_are_not_the_stores_are_left_alone(folder: Path) -> None:
    keep(folder, puts(POOL))
    (folder / "schema.json").write_text("the remembered schema")

    keep(folder, puts(LEASE), deletes(LEASE, POOL))

    assert (folder / "schema.json").read_text() == "the remembered schema"


# Commits and checkpoints


@pytest.mark.parametrize("stored", [0, 2000])
def test_a_commit_is_one_write_and_one_sync_whatever_is_stored(
    folder: Path, disk: FaultyDisk, stored: int
) -> None:
    store = opened(folder, checkpoint_size=1 << 20)
    pool = replace(POOL, id="local/100.64.0.0/20")
    leases = [
        replace(LEASE, pool=pool.id, address=f"100.64.{n >> 8}.{n & 255}") for n in range(stored)
    ]
    store.commit(puts(pool, *leases))
    disk.calls.clear()

    store.commit(puts(replace(LEASE, pool=pool.id, address="100.64.15.1")))

    assert disk.calls == ["write", "fdatasync"]
    store.close()


def test_a_journal_that_has_grown_is_brought_into_the_files_and_begun_anew(folder: Path) -> None:
    store = opened(folder, checkpoint_size=4096)
    sizes = []
    for number in range(100):
        store.commit(puts(replace(POOL, label=str(number))))
        (journal,) = folder.glob("journal-*.log")
        sizes.append(len(journal.read_bytes().rstrip(b"\0")))

    assert max(sizes) < 4096
    assert sizes != sorted(sizes)
    assert load(crashed(folder)) == {replace(POOL, label="99")}
    store.close()


def test_a_file_is_synced_before_it_takes_the_place_of_the_old_one(
    folder: Path, disk: FaultyDisk
) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    disk.calls.clear()

    store.close()

    for position, name in enumerate(disk.calls):
        if name == "replace":
            assert disk.calls[position - 1] == "fsync"
            assert disk.calls[position + 1] == "fsync"
    assert disk.calls.count("replace") == 2


def test_a_checkpoint_writes_only_the_files_that_changed(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    before = files_in(folder)

    keep(folder, puts(replace(IPV6_LEASE, epoch=2)))

    after = files_in(folder)
    assert before[IPV4_FILE] == after[IPV4_FILE]
    assert before["drivers.json"] == after["drivers.json"]
    assert before[IPV6_FILE] != after[IPV6_FILE]


def test_a_process_that_changes_nothing_writes_nothing_but_the_lock(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    before = files_in(folder)

    load(folder)

    assert files_in(folder) == before


# Two processes


def test_a_second_process_on_the_folder_is_refused(folder: Path) -> None:
    store = opened(folder)

    with pytest.raises(Unavailable, match=r"in use by another process; stop it first") as caught:
        TinyDbStore(folder)

    assert str(folder) in str(caught.value)
    store.close()


def test_the_folder_is_free_when_its_process_has_ended(folder: Path) -> None:
    keep(folder, puts(POOL))

    assert load(folder) == {POOL}


# A process that is killed


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


class Progress:
    """What a process was told, call by call."""

    def __init__(self) -> None:
        self.acknowledged = Model()
        self.pending: Sequence[Change] = []

    def commit(self, store: TinyDbStore, changes: Sequence[Change]) -> None:
        self.pending = changes
        store.commit(changes)
        self.acknowledged.apply(changes)
        self.pending = []

    def allows(self, records: set[Record]) -> bool:
        """Whether these are what was acknowledged, or that and the commit that was under way."""
        ahead = self.acknowledged.after(self.pending)
        return self.acknowledged.holds(records) or ahead.holds(records)


def run_script(folder: Path, progress: Progress, kind: Kind) -> None:
    """Two processes, one after the other, with another layout; checkpoints now and then."""
    half = len(SCRIPT) // 2
    plan: list[tuple[Layout, list[Sequence[Change]]]] = [
        ("scope", SCRIPT[:half]),
        ("single", SCRIPT[half:]),
    ]
    for layout, commits in plan:
        store = opened(folder, layout, 500, kind)
        for changes in commits:
            progress.commit(store, changes)
        store.close()


@of_both_kinds
def test_killed_at_any_moment_it_has_what_was_acknowledged(
    folder: Path, disk: FaultyDisk, kind: Kind
) -> None:
    for moment in count():
        progress = Progress()
        disk.calls.clear()
        disk.kill_at(moment)
        place = folder / str(moment)
        try:
            run_script(place, progress, kind)
        except Killed:
            disk.heal()
        else:
            break
        if place.exists():
            found = load(crashed(place))
            assert progress.allows(found), f"killed in call {moment}, a {disk.calls[moment]}"

    assert moment > 50


@of_both_kinds
def test_killed_at_any_moment_the_next_process_goes_on_and_leaves_nothing_behind(
    folder: Path, disk: FaultyDisk, kind: Kind
) -> None:
    for moment in count(0, 3):
        progress = Progress()
        disk.calls.clear()
        disk.kill_at(moment)
        place = folder / str(moment)
        try:
            run_script(place, progress, kind)
        except Killed:
            disk.heal()
        else:
            break
        if not place.exists():
            continue
        after = crashed(place)
        everything = load(after)
        keep(after, deletes(*sorted(everything, key=lambda record: "pool" not in str(record.key))))
        keep(after, puts(POOL))
        assert load(after) == {POOL}
        assert [name for name in files_in(after) if not name.startswith("journal")] == [
            "manifest.json",
            IPV4_FILE,
        ]


def test_a_first_start_that_is_killed_at_any_moment_leaves_nothing_that_counts(
    folder: Path, disk: FaultyDisk
) -> None:
    for moment in count():
        place = folder / str(moment)
        disk.calls.clear()
        disk.kill_at(moment)
        try:
            opened(place)
        except Killed:
            disk.heal()
        else:
            break
        if place.exists():
            after = crashed(place)
            assert load(after) == set(), f"killed in call {moment}"
            keep(after, puts(POOL))
            assert load(after) == {POOL}

    assert moment > 8


# A commit that was begun


def journal_of(folder: Path) -> bytes:
    """The journal that is in use, without the room behind its lines."""
    return max(folder.glob("journal-*.log")).read_bytes().rstrip(b"\0")


def test_what_was_begun_is_written_once_and_synced_by_the_commit(
    folder: Path, disk: FaultyDisk
) -> None:
    store = opened(folder)
    before = journal_of(folder)
    disk.calls.clear()

    store.prewrite(puts(POOL))
    assert disk.calls == ["write"]
    begun = journal_of(folder)
    store.commit(puts(POOL))

    assert disk.calls == ["write", "fdatasync"]
    assert journal_of(folder) == begun != before
    assert load(crashed(folder)) == {POOL}
    store.close()


@pytest.mark.parametrize(
    "committed",
    [puts(POOL, GATEWAY), puts(GLOBAL_POOL)],
    ids=["more than was begun", "something else"],
)
def test_what_was_begun_gives_way_to_what_is_committed(
    folder: Path, committed: Sequence[Change]
) -> None:
    store = opened(folder)
    store.prewrite(puts(POOL))

    store.commit(committed)
    store.commit(puts(IPV6_POOL))

    expected = Model()
    expected.apply([*committed, *puts(IPV6_POOL)])
    assert expected.holds(load(crashed(folder)))
    store.close()
    assert expected.holds(load(folder))


def test_nothing_that_was_begun_gives_way_too(folder: Path) -> None:
    store = opened(folder)
    store.prewrite([])
    store.commit(puts(POOL))
    store.commit(puts(LEASE))

    assert load(crashed(folder)) == {POOL, LEASE}
    store.close()


def test_what_was_begun_last_is_what_is_committed(folder: Path) -> None:
    store = opened(folder)
    store.prewrite(puts(*EVERYTHING))
    store.prewrite(puts(POOL))
    store.commit(puts(POOL))

    assert load(crashed(folder)) == {POOL}
    store.close()


def test_a_checkpoint_comes_between_the_beginning_of_a_commit_and_its_end(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(IPV6_POOL))
    store.prewrite(puts(POOL))
    store.checkpoint()
    assert load(crashed(folder)) == {IPV6_POOL}

    store.commit(puts(POOL))
    store.commit(puts(LEASE))

    assert load(crashed(folder)) == {IPV6_POOL, POOL, LEASE}
    store.close()


def test_what_was_begun_and_never_committed_is_gone_when_the_process_ends(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(IPV6_POOL))
    store.prewrite(puts(POOL))
    store.close()

    assert load(folder) == {IPV6_POOL}


def test_what_was_begun_when_the_process_was_killed_is_whole_or_not_there(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(IPV6_POOL))
    durable = len(journal_of(folder))
    store.prewrite(puts(POOL, GATEWAY, LEASE))
    written = journal_of(folder)
    after = {IPV6_POOL, POOL, GATEWAY, LEASE}

    for end in range(durable, len(written) + 1):
        (journal,) = crashed(folder).glob("journal-*.log")
        journal.write_bytes(written[:end])
        assert load(journal.parent) == (after if end == len(written) else {IPV6_POOL})
    store.close()


def test_what_could_not_be_begun_is_committed_to_a_new_journal(
    folder: Path, disk: FaultyDisk
) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    (doubtful,) = folder.glob("journal-*.log")
    disk.fill_up_at(len(disk.calls))
    store.prewrite(puts(LEASE))

    store.commit(puts(LEASE))

    assert not doubtful.exists()
    assert load(crashed(folder)) == {POOL, LEASE}
    store.close()


def test_nothing_is_begun_before_the_folder_was_read(folder: Path, disk: FaultyDisk) -> None:
    store = TinyDbStore(folder)
    disk.calls.clear()

    store.prewrite(puts(POOL))

    assert disk.calls == []
    store.close()


# A disk that fails


def test_a_commit_that_fails_says_so_and_has_no_effect(folder: Path, disk: FaultyDisk) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    disk.fill_up_at(len(disk.calls))

    with pytest.raises(StoreFailure) as caught:
        store.commit(puts(LEASE))

    assert str(caught.value) == (
        f"the change could not be stored in {folder} (No space left on device); nothing has been "
        "done. Make room there, or mend the disk, and try again"
    )
    assert load(crashed(folder)) == {POOL}
    store.close()
    assert load(folder) == {POOL}


@of_both_kinds
def test_commits_are_refused_while_the_disk_is_full_and_go_on_when_there_is_room(
    folder: Path, disk: FaultyDisk, kind: Kind
) -> None:
    store = opened(folder, kind=kind)
    store.commit(puts(POOL))
    disk.fill_up_at(len(disk.calls), calls=1_000_000)
    for _ in range(5):
        with pytest.raises(StoreFailure):
            store.commit(puts(LEASE))

    disk.heal()
    store.commit(puts(GATEWAY))

    assert load(crashed(folder)) == {POOL, GATEWAY}
    store.close()


@of_both_kinds
def test_after_a_sync_that_failed_nothing_more_goes_to_the_same_journal(
    folder: Path, disk: FaultyDisk, kind: Kind
) -> None:
    store = opened(folder, kind=kind)
    store.commit(puts(POOL))
    (doubtful,) = folder.glob("journal-*.log")
    disk.calls.clear()
    disk.fill_up_at(1)
    with pytest.raises(StoreFailure):
        store.commit(puts(LEASE))
    assert disk.calls[1] == "fdatasync"

    disk.heal()
    disk.calls.clear()
    store.commit(puts(GATEWAY))

    assert disk.calls[0] == "open"
    assert not doubtful.exists()
    assert load(crashed(folder)) == {POOL, GATEWAY}
    store.close()


@of_both_kinds
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_failing_at_any_call_loses_nothing_and_stores_nothing_that_was_refused(
    folder: Path, disk: FaultyDisk, kind: Kind, calls: int
) -> None:
    for moment in count(0, calls):
        acknowledged = Model()
        place = folder / str(moment)
        opened(place).close()
        store = opened(place, checkpoint_size=500, kind=kind)
        disk.calls.clear()
        disk.fill_up_at(moment, calls)
        for changes in SCRIPT:
            try:
                store.commit(changes)
            except StoreFailure:
                continue
            acknowledged.apply(changes)
        happened = len(disk.calls) > moment
        disk.heal()
        if calls == 1:
            assert acknowledged.holds(load(crashed(place))), f"call {moment}"
        store.close()
        assert acknowledged.holds(load(place)), f"call {moment}"
        assert not [name for name in files_in(place) if name.endswith(".new")]
        if not happened:
            break

    assert moment > 20


def test_a_full_disk_when_the_process_ends_loses_nothing(folder: Path, disk: FaultyDisk) -> None:
    for moment in range(12):
        store = opened(folder / str(moment))
        store.commit(puts(*EVERYTHING))
        disk.fill_up_at(len(disk.calls) + moment, calls=100)
        store.close()
        disk.heal()

        assert load(folder / str(moment)) == set(EVERYTHING)


def test_a_full_disk_at_the_first_start_refuses_commits_until_there_is_room(
    folder: Path, disk: FaultyDisk
) -> None:
    for moment in range(1, 9):
        place = folder / str(moment)
        disk.calls.clear()
        disk.fill_up_at(moment, calls=1_000_000)
        store = opened(place)
        with pytest.raises(StoreFailure):
            store.commit(puts(POOL))

        disk.heal()
        store.commit(puts(POOL))
        assert load(crashed(place)) == {POOL}
        store.close()


def test_a_full_disk_at_a_later_start_leaves_everything_readable(
    folder: Path, disk: FaultyDisk
) -> None:
    keep(folder, puts(*EVERYTHING))
    disk.fill_up_at(len(disk.calls) + 1, calls=1_000_000)

    assert load(folder, "single") == set(EVERYTHING)
    disk.heal()
    assert load(folder, "single") == set(EVERYTHING)


def test_a_checkpoint_that_fails_does_not_fail_the_commit(folder: Path, disk: FaultyDisk) -> None:
    store = opened(folder, checkpoint_size=500)
    store.commit(puts(POOL))
    disk.fill_up_at(len(disk.calls) + 2, calls=1_000_000)

    store.commit(puts(GATEWAY, LEASE, IPV6_POOL))

    disk.heal()
    assert load(crashed(folder)) == {POOL, GATEWAY, LEASE, IPV6_POOL}
    store.close()


class Interrupted(EagerStore):
    """Does something else in the middle of each checkpoint, as another thread may."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def _write(self, number: int, sequence: int) -> Manifest:
        self.meanwhile()
        return super()._write(number, sequence)


@pytest.mark.parametrize("checkpoint", ["succeeds", "fails"])
def test_a_journal_that_is_lost_during_a_checkpoint_is_not_used_again(
    folder: Path, disk: FaultyDisk, checkpoint: str
) -> None:
    store = opened(folder, kind=Interrupted)
    assert isinstance(store, Interrupted)
    store.commit(puts(POOL))
    mine, others = socketpair()
    descriptor = -1

    def lose_the_journal() -> None:
        nonlocal descriptor
        del store.meanwhile
        assert store._journal is not None
        descriptor = store._journal._descriptor
        after = len(disk.calls)
        disk.fill_up_at(after + 1, calls=1 if checkpoint == "succeeds" else 1_000_000)
        with pytest.raises(StoreFailure):
            store.commit(puts(LEASE))
        # The number of its descriptor is somebody else's from now on.
        os.dup2(mine.fileno(), descriptor)

    store.meanwhile = lose_the_journal
    store.checkpoint()
    disk.heal()
    store.commit(puts(GATEWAY))
    store.commit(puts(IPV6_POOL))

    assert load(crashed(folder)) == {POOL, GATEWAY, IPV6_POOL}
    assert os.path.sameopenfile(descriptor, mine.fileno())
    mine.close()
    os.close(descriptor)
    assert others.recv(1) == b""
    others.close()
    store.close()


def test_a_journal_that_may_be_named_already_is_not_begun_again(
    folder: Path, disk: FaultyDisk
) -> None:
    for moment in range(12):
        place = folder / str(moment)
        store = opened(place)
        store.commit(puts(POOL))
        disk.calls.clear()
        disk.fill_up_at(1)
        with pytest.raises(StoreFailure):
            store.commit(puts(LEASE))
        disk.calls.clear()
        disk.fails = partial(once_the_manifest_is_replaced, disk, place, files_in(place))
        with pytest.raises(StoreFailure):
            store.commit(puts(LEASE))
        disk.calls.clear()
        disk.kill_at(moment)
        with suppress(Killed):
            store.commit(puts(LEASE))
        disk.heal()

        assert load(crashed(place)) in ({POOL}, {POOL, LEASE}), f"killed in call {moment}"


def once_the_manifest_is_replaced(
    disk: FaultyDisk, folder: Path, before: dict[str, bytes], _number: int
) -> OSError | None:
    """The sync of its folder fails, so that nobody knows which one a crash leaves."""
    replaced = files_in(folder)["manifest.json"] != before["manifest.json"]
    if replaced and disk.calls[-1] == "replace":
        return OSError(errno.EIO, os.strerror(errno.EIO))
    return None


def test_what_a_checkpoint_finds_corrupted_is_a_problem_until_it_is_mended(folder: Path) -> None:
    keep(folder, puts(POOL))
    store = opened(folder)
    assert store.problem() is None
    whole = (folder / IPV4_FILE).read_bytes()
    (folder / IPV4_FILE).write_bytes(whole[:-20])
    store.commit(puts(LEASE))
    store.checkpoint()
    assert IPV4_FILE in str(store.problem())

    (folder / IPV4_FILE).write_bytes(whole)
    store.checkpoint()

    assert store.problem() is None
    store.close()
    assert load(folder) == {POOL, LEASE}


def test_a_checkpoint_that_comes_after_the_end_changes_nothing(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    store.close()
    before = files_in(folder)

    store.checkpoint()

    assert files_in(folder) == before


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(folder: Path) -> None:
    folder.write_text("a file in its place")

    with pytest.raises(Unavailable, match=r"cannot be used \(File exists: /") as caught:
        TinyDbStore(folder)

    assert str(folder) in str(caught.value)


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(
    folder: Path, disk: FaultyDisk
) -> None:
    disk.fill_up_at(len(disk.calls))

    with pytest.raises(Unavailable, match=r"cannot be used \(No space left on device\)") as caught:
        TinyDbStore(folder)

    assert str(folder) in str(caught.value)


# Corruption


def with_files_only(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING), puts(replace(LEASE, epoch=2)))


def with_a_journal(folder: Path) -> None:
    keep(folder, puts(POOL, IPV6_POOL, DRIVER))
    store = opened(folder)
    for record in (GATEWAY, LEASE, GLOBAL_POOL, IPV6_LEASE):
        store.commit([*puts(record)])
    shutil.copytree(folder, folder.with_name("killed"))
    store.close()
    shutil.rmtree(folder)
    folder.with_name("killed").rename(folder)


def with_two_journals(folder: Path) -> None:
    """As when the disk was too full for a checkpoint, but not for the next journal."""
    keep(folder, puts(POOL, IPV6_POOL, DRIVER))
    with faulty_disk() as disk:
        store = opened(folder, checkpoint_size=300)
        for record in (GATEWAY, LEASE, GLOBAL_POOL, IPV6_LEASE):
            disk.calls.clear()
            # The batch, the next journal, the word that it follows; then no room for files.
            disk.fill_up_at(10, calls=1_000_000)
            store.commit(puts(record))
            disk.heal()
        shutil.copytree(folder, folder.with_name("killed"))
        store.close()
    shutil.rmtree(folder)
    folder.with_name("killed").rename(folder)
    assert len(list(folder.glob("journal-*.log"))) > 1


@pytest.fixture(params=[with_files_only, with_a_journal, with_two_journals])
def state(request: pytest.FixtureRequest, folder: Path) -> Path:
    """A folder that holds something, in different states of its journals."""
    make: Callable[[Path], None] = request.param
    make(folder)
    return folder


def refusal(folder: Path) -> str:
    """What loading says; nothing in the folder may change by it."""
    before = files_in(folder)
    store = TinyDbStore(folder)
    with pytest.raises(StateCorrupted) as caught:
        list(store.load())
    store.close()
    assert files_in(folder) == before, "a state that cannot be read was written to"
    return str(caught.value)


def test_a_journal_that_leads_back_to_itself_is_refused(folder: Path) -> None:
    with_a_journal(folder)
    (path,) = folder.glob("journal-*.log")
    number = int(path.stem[-8:])
    size = len(path.read_bytes().rstrip(b"\0"))
    journal = Journal.reopen(path, number, size)
    journal.append_next(number)
    journal.close()

    assert f"journal {number} cannot follow it" in refusal(folder)


def corrupted_copies(
    state: Path, corrupt: Callable[[bytes], bytes | None]
) -> Iterator[tuple[str, Path]]:
    """For each file a copy of the folder with that file corrupted (None: removed)."""
    for name, content in files_in(state).items():
        copy = crashed(state)
        changed = corrupt(content)
        if changed is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(changed)
        yield name, copy


def is_the_last_journal(state: Path, name: str) -> bool:
    return name == max(file for file in files_in(state) if file.startswith("journal"))


def test_a_missing_file_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda _: None):
        message = refusal(copy)
        assert f"{copy / name} at byte 0: the file is missing" in message


def test_an_emptied_file_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda _: b""):
        assert f"{copy / name} at byte 0" in refusal(copy)


def test_a_file_filled_with_zeros_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda content: bytes(len(content))):
        assert f"{copy / name} at byte 0" in refusal(copy)


def test_a_file_cut_in_its_middle_is_refused(state: Path) -> None:
    for name, copy in corrupted_copies(state, lambda content: content[: len(content) // 2]):
        if name.startswith("journal"):
            continue
        assert f"{copy / name} at byte" in refusal(copy)


def test_a_journal_that_another_follows_and_that_is_cut_is_refused(folder: Path) -> None:
    with_two_journals(folder)
    first = min(folder.glob("journal-*.log"))
    whole = first.read_bytes()

    for cut in range(0, len(whole), 3):
        copy = crashed(folder)
        (copy / first.name).write_bytes(whole[:cut])
        assert f"{copy / first.name} at byte" in refusal(copy), f"cut at byte {cut}"


def test_the_last_journal_cut_anywhere_leaves_exactly_a_prefix(folder: Path) -> None:
    with_a_journal(folder)
    (journal,) = folder.glob("journal-*.log")
    whole = journal.read_bytes().rstrip(b"\0")
    records: list[Record] = [POOL, IPV6_POOL, DRIVER, GATEWAY, LEASE, GLOBAL_POOL, IPV6_LEASE]
    head = whole.index(b"\n") + 1

    for cut in range(head, len(whole) + 1, 5):
        copy = crashed(folder)
        (copy / journal.name).write_bytes(whole[:cut])
        whole_lines = whole[:cut].count(b"\n") - 1
        assert load(copy) == set(records[: 3 + whole_lines]), f"cut at byte {cut}"


def test_any_flipped_bit_is_refused_or_changes_nothing(state: Path) -> None:
    chance = random.Random(4711)
    expected = load(crashed(state))
    for name, content in files_in(state).items():
        for position in range(chance.randrange(19), len(content), 19):
            flipped = bytearray(content)
            flipped[position] ^= 1 << chance.randrange(8)
            copy = crashed(state)
            (copy / name).write_bytes(flipped)
            with suppress(StateCorrupted):
                assert load(copy) == expected, f"byte {position} of {name}"


def test_a_file_of_before_is_refused(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    before = files_in(folder)
    keep(folder, puts(replace(LEASE, epoch=2), replace(IPV6_LEASE, epoch=2), replace(DRIVER)))
    now = files_in(folder)

    for name, content in before.items():
        if name in now:
            copy = crashed(folder)
            (copy / name).write_bytes(content)
            assert "the state is corrupted: " in refusal(copy), name


def test_an_old_copy_of_the_whole_folder_is_a_good_backup(folder: Path) -> None:
    keep(folder, puts(POOL, GATEWAY))
    backup = crashed(folder)
    keep(folder, puts(LEASE))

    assert load(backup) == {POOL, GATEWAY}


def test_a_file_that_somebody_else_wrote_is_refused(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    with TinyDB(folder / IPV4_FILE) as database:
        database.table("100.64.0.0/30").insert({"kind": "lease"})

    assert f"{folder / IPV4_FILE} at byte 0" in refusal(folder)


def test_a_lease_without_its_pool_is_refused(folder: Path) -> None:
    keep(folder, puts(POOL, LEASE))
    storage = SealedStorage(folder / IPV4_FILE)
    tables = storage.read()
    assert tables is not None
    (documents,) = tables.values()
    storage.write({"100.64.0.0/30": {n: d for n, d in documents.items() if d["kind"] == "lease"}})

    place = f"{folder / IPV4_FILE} at byte 0: table 100.64.0.0/30 cannot be read"
    assert place in refusal(folder)


def test_a_document_that_is_no_record_is_refused(folder: Path) -> None:
    keep(folder, puts(POOL))
    storage = SealedStorage(folder / IPV4_FILE)
    storage.read()
    storage.write({"100.64.0.0/30": {"7": {"kind": "cat"}}})

    place = f"{folder / IPV4_FILE} at byte 0: table 100.64.0.0/30 cannot be read"
    assert place in refusal(folder)


def test_a_folder_in_place_of_a_file_is_refused(state: Path) -> None:
    for name in files_in(state):
        copy = crashed(state)
        (copy / name).unlink()
        (copy / name).mkdir()
        store = TinyDbStore(copy)
        with pytest.raises(Unavailable, match="Is a directory"):
            list(store.load())
        store.close()


def write_manifest_of(folder: Path, **state: object) -> None:
    content = orjson.dumps(state)
    document = {"crc32": zlib.crc32(content), "state": state}
    (folder / "manifest.json").write_bytes(orjson.dumps(document))


def test_a_newer_format_is_refused_with_the_way_out(folder: Path) -> None:
    keep(folder, puts(POOL))
    write_manifest_of(folder, format=3, files={}, journal=1)

    assert refusal(folder) == (
        f"{folder / 'manifest.json'} is of format 3; this pyipam reads formats up to 2: install "
        "the version that wrote it"
    )


def test_the_manifest_is_needed_even_where_only_driver_names_were_stored(folder: Path) -> None:
    keep(folder, puts(DRIVER))
    (folder / "manifest.json").unlink()

    assert "manifest.json at byte 0: the file is missing" in refusal(folder)


def test_what_could_not_be_read_is_not_written_to_by_commits_either(folder: Path) -> None:
    with_a_journal(folder)
    (folder / IPV4_FILE).write_bytes(b"{}")
    before = files_in(folder)
    store = TinyDbStore(folder)
    with pytest.raises(StateCorrupted):
        list(store.load())

    with pytest.raises(StoreFailure):
        store.commit(puts(POOL))

    store.close()
    assert files_in(folder) == before


def test_the_remains_of_a_cut_off_checkpoint_are_swept_away(folder: Path) -> None:
    keep(folder, puts(POOL))
    (folder / "scopes" / "10.0.0.0-8.json").write_text("{}")
    (folder / f"{IPV4_FILE}.new").write_text("{")
    (folder / "manifest.json.new").write_text("{")

    keep(folder, puts(LEASE))

    assert [name for name in files_in(folder) if not name.startswith("journal")] == [
        "manifest.json",
        IPV4_FILE,
    ]
    assert os.listdir(folder / "scopes") == [Path(IPV4_FILE).name]
