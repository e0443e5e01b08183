"""A disk on which calls fail: what is told to the caller, and what is stored."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from socket import socketpair

import pytest

from pyipam.errors import StoreFailure
from tests.support.stored_records import GATEWAY, IPV6_POOL, LEASE, POOL, Model, puts
from tests.unit.eager_store import EagerStore, PrewritingStore
from tests.unit.faulty_disk import FaultyDisk, Killed
from tests.unit.state_folders import (
    EVERYTHING,
    IPV4_FILE,
    SCRIPT,
    crashed,
    files_in,
    journal_of,
    keep,
    load,
    opened,
)

pytestmark = pytest.mark.usefixtures("disk")

Kind = type[EagerStore]
with_and_without_prewriting = pytest.mark.parametrize("kind", [EagerStore, PrewritingStore])


def test_a_commit_that_fails_says_why_and_stores_nothing(folder: Path, disk: FaultyDisk) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    disk.fill_up_at(len(disk.calls))

    with pytest.raises(StoreFailure) as caught:
        store.commit(puts(LEASE))

    assert str(caught.value) == (
        f"the change could not be stored in {folder} (No space left on device); nothing has been "
        "done. Free space there, or repair the disk, and try again"
    )
    assert load(crashed(folder)) == {POOL}
    store.close()
    assert load(folder) == {POOL}


@with_and_without_prewriting
def test_commits_are_refused_while_the_disk_is_full_and_go_on_when_there_is_space(
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


@with_and_without_prewriting
def test_a_journal_is_not_written_to_again_after_a_sync_has_failed(
    folder: Path, disk: FaultyDisk, kind: Kind
) -> None:
    store = opened(folder, kind=kind)
    store.commit(puts(POOL))
    doubtful = journal_of(folder)
    disk.fails = fail_in_next("fdatasync", disk)
    with pytest.raises(StoreFailure):
        store.commit(puts(LEASE))
    left = doubtful.read_bytes()

    disk.fails = forbid_changes_of(doubtful, left)
    store.commit(puts(GATEWAY))

    assert not doubtful.exists()
    assert load(crashed(folder)) == {POOL, GATEWAY}
    store.close()


def fail_in_next(name: str, disk: FaultyDisk) -> Callable[[int, str], BaseException | None]:
    """Let the next call of this name fail, and no later one."""

    def fails(_number: int, called: str) -> BaseException | None:
        if called != name:
            return None
        disk.heal()
        return OSError(errno.EIO, os.strerror(errno.EIO))

    return fails


def forbid_changes_of(path: Path, content: bytes) -> Callable[[int, str], BaseException | None]:
    """Let no call fail, and check before each that the file has this content, if it is there."""

    def fails(_number: int, _name: str) -> BaseException | None:
        assert not path.exists() or path.read_bytes() == content
        return None

    return fails


@with_and_without_prewriting
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_failures_of_any_calls_lose_nothing_and_store_nothing_that_was_refused(
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


def test_a_full_disk_at_the_end_of_the_process_loses_nothing(
    folder: Path, disk: FaultyDisk
) -> None:
    for moment in range(12):
        store = opened(folder / str(moment))
        store.commit(puts(*EVERYTHING))
        disk.fill_up_at(len(disk.calls) + moment, calls=100)
        store.close()
        disk.heal()

        assert load(folder / str(moment)) == set(EVERYTHING)


def test_a_full_disk_at_the_first_start_refuses_commits_until_there_is_space(
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


@pytest.mark.parametrize("checkpoint", ["succeeds", "fails"])
def test_a_journal_that_is_lost_during_a_checkpoint_is_not_used_again(
    folder: Path, disk: FaultyDisk, checkpoint: str
) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    mine, others = socketpair()
    descriptor = -1

    def lose_the_new_journal() -> None:
        nonlocal descriptor
        descriptor = descriptor_of(journal_of(folder))
        after = len(disk.calls)
        disk.fill_up_at(after + 1, calls=1 if checkpoint == "succeeds" else 1_000_000)
        with pytest.raises(StoreFailure):
            store.commit(puts(LEASE))
        # From now on, somebody else has the number of its descriptor.
        os.dup2(mine.fileno(), descriptor)

    disk.fails = before_the_first_file(disk, lose_the_new_journal)
    store.checkpoint()
    disk.heal()
    assert descriptor != -1, "no commit came during the checkpoint"
    store.commit(puts(GATEWAY))
    store.commit(puts(IPV6_POOL))

    assert load(crashed(folder)) == {POOL, GATEWAY, IPV6_POOL}
    assert os.path.sameopenfile(descriptor, mine.fileno())
    mine.close()
    os.close(descriptor)
    assert others.recv(1) == b""
    others.close()
    store.close()


def before_the_first_file(
    disk: FaultyDisk, action: Callable[[], None]
) -> Callable[[int, str], BaseException | None]:
    """Act before a checkpoint creates its first file besides the journal."""
    opened_before = disk.calls.count("open")

    def fails(number: int, name: str) -> BaseException | None:
        if name != "open" or disk.calls.count("open") == opened_before:
            return None
        disk.heal()
        action()
        return disk.fails(number, name)

    return fails


def descriptor_of(path: Path) -> int:
    """The descriptor that this process has of a file."""
    (found,) = [
        int(link.name)
        for link in Path("/proc/self/fd").iterdir()
        if os.path.realpath(link) == str(path)
    ]
    return found


def test_a_journal_that_the_manifest_may_name_is_not_created_again(
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
        disk.fails = once_the_manifest_is_replaced(disk, place)
        with pytest.raises(StoreFailure):
            store.commit(puts(LEASE))
        disk.calls.clear()
        disk.kill_at(moment)
        with suppress(Killed):
            store.commit(puts(LEASE))
        disk.heal()

        assert load(crashed(place)) in ({POOL}, {POOL, LEASE}), f"killed in call {moment}"


def once_the_manifest_is_replaced(
    disk: FaultyDisk, folder: Path
) -> Callable[[int, str], BaseException | None]:
    """Let the sync of its folder fail: nobody knows which manifest a crash would leave."""
    manifest = folder / "manifest.json"
    before = manifest.read_bytes()

    def fails(_number: int, _name: str) -> BaseException | None:
        if manifest.read_bytes() != before and disk.calls[-1] == "replace":
            return OSError(errno.EIO, os.strerror(errno.EIO))
        return None

    return fails


def test_a_file_that_a_checkpoint_finds_corrupted_is_a_problem_until_it_is_fixed(
    folder: Path,
) -> None:
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
