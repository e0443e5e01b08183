"""Commits that are prewritten: the journal has their line before they are committed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pyipam.store.records import Change
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import (
    GATEWAY,
    GLOBAL_POOL,
    IPV6_POOL,
    LEASE,
    POOL,
    Model,
    puts,
)
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.state_folders import (
    EVERYTHING,
    crashed,
    files_in,
    journal_of,
    lines_of_journal,
    load,
    opened,
)

pytestmark = pytest.mark.usefixtures("disk")


def test_a_prewritten_commit_is_written_once_and_synced_when_it_is_committed(
    folder: Path, disk: FaultyDisk
) -> None:
    store = opened(folder)
    before = lines_of_journal(folder)

    store.prewrite(puts(POOL))
    prewritten = lines_of_journal(folder)
    assert list(disk.unsynced) == [str(journal_of(folder))]
    store.commit(puts(POOL))

    assert lines_of_journal(folder) == prewritten != before
    assert disk.unsynced == {}
    assert load(crashed(folder)) == {POOL}
    store.close()


@pytest.mark.parametrize(
    "committed",
    [puts(POOL, GATEWAY), puts(GLOBAL_POOL)],
    ids=["more than was prewritten", "something else"],
)
def test_a_commit_of_something_else_replaces_what_was_prewritten(
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


def test_a_commit_replaces_an_empty_batch_that_was_prewritten(folder: Path) -> None:
    store = opened(folder)
    store.prewrite([])
    store.commit(puts(POOL))
    store.commit(puts(LEASE))

    assert load(crashed(folder)) == {POOL, LEASE}
    store.close()


def test_a_second_prewrite_replaces_the_first(folder: Path) -> None:
    store = opened(folder)
    store.prewrite(puts(*EVERYTHING))
    store.prewrite(puts(POOL))
    store.commit(puts(POOL))

    assert load(crashed(folder)) == {POOL}
    store.close()


def test_a_checkpoint_may_run_between_a_prewrite_and_its_commit(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(IPV6_POOL))
    store.prewrite(puts(POOL))
    store.checkpoint()
    assert load(crashed(folder)) == {IPV6_POOL}

    store.commit(puts(POOL))
    store.commit(puts(LEASE))

    assert load(crashed(folder)) == {IPV6_POOL, POOL, LEASE}
    store.close()


def test_a_prewrite_without_its_commit_is_gone_when_the_process_has_ended(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(IPV6_POOL))
    store.prewrite(puts(POOL))
    store.close()

    assert load(folder) == {IPV6_POOL}


def test_a_prewrite_is_complete_or_absent_after_the_process_was_killed(folder: Path) -> None:
    store = opened(folder)
    store.commit(puts(IPV6_POOL))
    durable = len(lines_of_journal(folder))
    store.prewrite(puts(POOL, GATEWAY, LEASE))
    written = lines_of_journal(folder)
    after = {IPV6_POOL, POOL, GATEWAY, LEASE}

    for end in range(durable, len(written) + 1):
        copy = crashed(folder)
        journal_of(copy).write_bytes(written[:end])
        assert load(copy) == (after if end == len(written) else {IPV6_POOL})
    store.close()


def test_a_commit_goes_to_a_new_journal_if_its_prewrite_has_failed(
    folder: Path, disk: FaultyDisk
) -> None:
    store = opened(folder)
    store.commit(puts(POOL))
    doubtful = journal_of(folder)
    disk.fill_up_at(len(disk.calls))
    store.prewrite(puts(LEASE))

    store.commit(puts(LEASE))

    assert not doubtful.exists()
    assert load(crashed(folder)) == {POOL, LEASE}
    store.close()


def test_nothing_is_prewritten_before_the_folder_was_loaded(folder: Path) -> None:
    opened(folder).close()
    before = files_in(folder)
    store = TinyDbStore(folder)

    store.prewrite(puts(POOL))

    assert files_in(folder) == before
    store.close()
