"""A process that is killed in any call to the disk: what the next one finds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from pyipam.store.records import Change, Record
from pyipam.store.tinydb.layout import Layout
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import POOL, Model, deletes, puts
from tests.unit.eager_store import EagerStore, PrewritingStore
from tests.unit.faulty_disk import FaultyDisk, Killed
from tests.unit.state_folders import (
    IPV4_FILE,
    SCRIPT,
    crashed,
    keep,
    load,
    names_without_journals,
    opened,
)

Kind = type[EagerStore]
with_and_without_prewriting = pytest.mark.parametrize("kind", [EagerStore, PrewritingStore])


class Progress:
    """What a process was told of its commits before it was killed."""

    def __init__(self) -> None:
        self.acknowledged = Model()
        self.pending: Sequence[Change] = []

    def commit(self, store: TinyDbStore, changes: Sequence[Change]) -> None:
        self.pending = changes
        store.commit(changes)
        self.acknowledged.apply(changes)
        self.pending = []

    def allows(self, records: set[Record]) -> bool:
        """Whether these are the acknowledged records, without or with the pending commit."""
        ahead = self.acknowledged.after(self.pending)
        return self.acknowledged.holds(records) or ahead.holds(records)


def run_script(folder: Path, progress: Progress, kind: Kind) -> None:
    """Two processes, the second with another layout; both run several checkpoints."""
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


@with_and_without_prewriting
def test_killed_at_any_moment_it_has_every_acknowledged_commit(
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


@with_and_without_prewriting
def test_killed_at_any_moment_the_next_process_continues_and_leaves_nothing_behind(
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
        assert names_without_journals(after) == ["manifest.json", IPV4_FILE]


def test_a_first_start_that_is_killed_at_any_moment_leaves_an_empty_state(
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
