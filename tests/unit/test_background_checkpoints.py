"""Checkpoints in a thread of their own, while commits go on."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyipam.store.records import Record
from pyipam.store.tinydb import store as tinydb_store
from pyipam.store.tinydb.journal import Journal
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import LEASE, POOL, deletes, puts, replace


@contextmanager
def maintained(folder: Path, checkpoint_size: int) -> Iterator[TinyDbStore]:
    """A store whose checkpoints run beside the commits; killed at the end, not closed."""
    store = TinyDbStore(folder, checkpoint_size=checkpoint_size)
    list(store.load())
    stopping = threading.Event()
    thread = threading.Thread(target=store.run_background_work, args=[stopping])
    thread.start()
    try:
        yield store
    finally:
        stopping.set()
        store._due.set()
        thread.join()


def newest_journal(folder: Path) -> int:
    """The number of the last journal that was begun: one more than the checkpoints before it."""
    return max(int(path.stem[-8:]) for path in folder.glob("journal-*.log"))


def loaded(folder: Path) -> set[Record]:
    store = TinyDbStore(folder)
    try:
        return set(store.load())
    finally:
        store.close()


def test_a_crash_after_commits_during_checkpoints_loses_nothing(tmp_path: Path) -> None:
    pools = [replace(POOL, id=f"local/100.64.{number}.0/24") for number in range(20)]
    leases = [
        replace(LEASE, pool=pool.id, address=pool.id[6:-4] + str(host))
        for pool in pools
        for host in range(1, 60)
    ]
    with maintained(tmp_path / "state", checkpoint_size=4000) as store:
        store.commit(puts(*pools))
        for lease in leases:
            store.commit(puts(lease))
            if lease.address.endswith("7"):
                store.commit(deletes(lease))
        # A machine that is busy may not have come to its third checkpoint yet.
        while newest_journal(tmp_path / "state") <= 3:
            store.commit(puts(leases[0]))

    shutil.copytree(tmp_path / "state", tmp_path / "crashed")
    store.close()
    kept = {lease for lease in leases if not lease.address.endswith("7")}
    assert loaded(tmp_path / "crashed") == kept | set(pools)
    assert loaded(tmp_path / "state") == kept | set(pools)


def test_a_pool_that_moves_to_another_file_during_a_checkpoint_is_there_once(
    tmp_path: Path,
) -> None:
    with maintained(tmp_path / "state", checkpoint_size=2000) as store:
        for number in range(300):
            scope = f"10.{number % 5}.0.0/16"
            pool = replace(POOL, scope=scope, created=float(number))
            store.commit(puts(pool, LEASE))
            store.commit(deletes(LEASE, pool))
        store.commit(puts(pool, LEASE))

    shutil.copytree(tmp_path / "state", tmp_path / "crashed")
    store.close()
    assert loaded(tmp_path / "crashed") == {pool, LEASE}
    assert loaded(tmp_path / "state") == {pool, LEASE}


def test_a_commit_that_comes_while_journals_change_waits_for_that_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TinyDbStore(tmp_path / "state")
    list(store.load())
    store.commit(puts(POOL))
    created: list[int] = []
    create, append_next = Journal.create.__func__, Journal.append_next  # type: ignore[attr-defined]
    commit = threading.Thread(target=store.commit, args=[puts(LEASE)])

    def counted(kind: type[Journal], folder: Path, number: int, room: int) -> Journal:
        created.append(number)
        journal: Journal = create(kind, folder, number, room)
        return journal

    def with_a_commit_on_the_way(journal: Journal, number: int) -> None:
        commit.start()
        commit.join(0.1)
        append_next(journal, number)

    monkeypatch.setattr(Journal, "create", classmethod(counted))
    monkeypatch.setattr(Journal, "append_next", with_a_commit_on_the_way)
    store.checkpoint()
    commit.join()
    monkeypatch.undo()
    store.close()

    assert created == [2]
    assert loaded(tmp_path / "state") == {POOL, LEASE}


def test_a_checkpoint_rests_in_the_background_and_never_where_somebody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting: list[threading.Thread] = []
    rested = threading.Event()

    def rest(_seconds: float) -> None:
        resting.append(threading.current_thread())
        rested.set()

    monkeypatch.setattr(time, "sleep", rest)
    monkeypatch.setattr(tinydb_store, "_SECONDS_OF_WORK", 0.0)
    with maintained(tmp_path / "state", checkpoint_size=1000) as store:
        for number in range(20):
            store.commit(puts(replace(POOL, id=f"local/100.64.{number}.0/24")))
        assert rested.wait(60)
        in_the_background = set(resting)
    assert threading.current_thread() not in in_the_background

    resting.clear()
    store.commit(puts(POOL))
    store.close()
    assert not resting
    assert POOL in loaded(tmp_path / "state")
