"""Checkpoints in a thread of their own, while commits go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyipam.store.records import DriverRecord
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import LEASE, POOL, deletes, puts, replace
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.state_folders import crashed, journal_of, load, opened

# Committed last by `in_background`.
LAST = DriverRecord("last", "x" * 5000, 1, 1)


@contextmanager
def in_background(
    folder: Path, checkpoint_size: int, sleep: Callable[[float], None] = time.sleep
) -> Iterator[TinyDbStore]:
    """A store whose checkpoints run beside the commits. In the end that stops, and the store stays
    open."""
    store = TinyDbStore(folder, checkpoint_size=checkpoint_size, sleep=sleep)
    list(store.load())
    stopping = threading.Event()
    thread = threading.Thread(target=store.run_background_work, args=[stopping])
    thread.start()
    try:
        yield store
    finally:
        stopping.set()
        # So large that a checkpoint is due, which wakes the thread.
        store.commit(puts(LAST))
        thread.join()


def newest_journal(folder: Path) -> int:
    """The number of the newest journal, which is one more than that of checkpoints so far."""
    return int(journal_of(folder).stem[-8:])


def test_a_crash_after_commits_during_checkpoints_loses_nothing(folder: Path) -> None:
    pools = [replace(POOL, id=f"local/100.64.{number}.0/24") for number in range(20)]
    leases = [
        replace(LEASE, pool=pool.id, address=pool.id[6:-4] + str(host))
        for pool in pools
        for host in range(1, 60)
    ]
    with in_background(folder, checkpoint_size=4000) as store:
        store.commit(puts(*pools))
        for lease in leases:
            store.commit(puts(lease))
            if lease.address.endswith("7"):
                store.commit(deletes(lease))
        # A machine that is busy may not have come to its third checkpoint yet.
        while newest_journal(folder) <= 3:
            store.commit(puts(leases[0]))

    crash = crashed(folder)
    store.close()
    kept = {lease for lease in leases if not lease.address.endswith("7")}
    assert load(crash) == kept | {*pools, LAST}
    assert load(folder) == kept | {*pools, LAST}


def test_a_pool_that_moves_to_another_file_during_a_checkpoint_is_there_once(
    folder: Path,
) -> None:
    with in_background(folder, checkpoint_size=2000) as store:
        for number in range(300):
            scope = f"10.{number % 5}.0.0/16"
            pool = replace(POOL, scope=scope, created=float(number))
            store.commit(puts(pool, LEASE))
            store.commit(deletes(LEASE, pool))
        store.commit(puts(pool, LEASE))

    crash = crashed(folder)
    store.close()
    assert load(crash) == {pool, LEASE, LAST}
    assert load(folder) == {pool, LEASE, LAST}


def test_a_commit_during_a_switch_of_journals_waits_for_the_switch_and_no_checkpoint(
    folder: Path, disk: FaultyDisk
) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    commit = threading.Thread(target=store.commit, args=[puts(LEASE)])
    disk.calls.clear()

    def begin_a_commit(_number: int, name: str) -> None:
        # The first write made room, the second was the header; this ends the present journal.
        if name == "write" and disk.calls.count("write") == 2:
            disk.heal()
            commit.start()
            commit.join(0.1)
            assert commit.is_alive()

    disk.fails = begin_a_commit
    store.checkpoint()
    commit.join()

    assert newest_journal(folder) == 2
    store.close()
    assert load(folder) == {POOL, LEASE}


def test_a_checkpoint_rests_in_the_background_and_not_while_somebody_waits_for_it(
    folder: Path,
) -> None:
    resting: list[threading.Thread] = []
    rested = threading.Event()

    def rest(_seconds: float) -> None:
        resting.append(threading.current_thread())
        rested.set()

    with in_background(folder, checkpoint_size=1000, sleep=rest) as store:
        for number in range(20):
            store.commit(puts(replace(POOL, id=f"local/100.64.{number}.0/24")))
        assert rested.wait(60)
        in_the_background = set(resting)
    assert threading.current_thread() not in in_the_background

    resting.clear()
    store.commit(puts(POOL))
    store.close()
    assert not resting
    assert POOL in load(folder)
