"""A state that one process after another works on, each of which is killed or meets a full disk.

Pools move between scopes, and with them between files; checkpoints are interrupted anywhere.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.pool_id import subnet_of
from pyipam.store.records import Change, DriverRecord, LeaseRecord, PoolRecord, Put
from pyipam.store.tinydb.layout import LAYOUTS
from tests.support.stored_records import Model, deletes
from tests.unit.eager_store import EagerStore
from tests.unit.faulty_disk import FaultyDisk, Killed

PROCESSES = 8
MOST_CALLS = 60
SCOPES = ["10.0.0.0/8", "11.0.0.0/8", ""]


class Life:
    """A folder, its acknowledged records, the pending commit, and what was prewritten for it."""

    def __init__(self, folder: Path, disk: FaultyDisk, seed: int) -> None:
        self._folder = folder
        self._disk = disk
        self._choose = random.Random(seed)
        self._acknowledged = Model()
        self._pending: Sequence[Change] = []
        self._prewritten: Sequence[Change] = []

    def run_process(self) -> None:
        """A process that ends normally, or is killed, or meets a disk that fails once."""
        self._disk.calls.clear()
        at = self._choose.randrange(1, MOST_CALLS)
        match self._choose.choice(["killed", "full", "well"]):
            case "killed":
                self._disk.kill_at(at)
            case "full":
                self._disk.fill_up_at(at)
        try:
            self._work()
        except Killed:
            self._disk.heal()
            # This process still holds the lock of the killed one; a copy has another lock.
            copy = self._folder.with_name("killed")
            shutil.copytree(self._folder, copy)
            shutil.rmtree(self._folder)
            copy.rename(self._folder)

    def check(self) -> None:
        """The next process finds the acknowledged records: as they are, or with the pending
        commit, or with what was prewritten instead of it."""
        self._disk.heal()
        store = EagerStore(self._folder)
        found = list(store.load())
        (self._acknowledged,) = [
            possible
            for possible in map(self._acknowledged.after, ([], self._pending, self._prewritten))
            if possible.holds(found)
        ][:1]
        self._pending = self._prewritten = []
        store.close()

    def _work(self) -> None:
        layout = self._choose.choice([*LAYOUTS, "scope"])
        store = EagerStore(self._folder, layout, self._choose.choice([300, 1500]))
        list(store.load())
        for _ in range(self._choose.randrange(14)):
            self._pending = self._some_changes()
            self._prewrite(store)
            try:
                store.commit(self._pending)
                self._acknowledged.apply(self._pending)
            except StoreFailure:
                pass
            self._pending = self._prewritten = []
        store.close()

    def _prewrite(self, store: EagerStore) -> None:
        """Prewrite the commit that follows, or another; a checkpoint may come between."""
        choice = self._choose.randrange(4)
        if choice == 0:
            return
        self._prewritten = self._some_changes() if choice == 1 else self._pending
        store.prewrite(self._prewritten)
        if choice == 2:
            store.checkpoint()

    def _some_changes(self) -> list[Change]:
        choose, records = self._choose, self._acknowledged.records.values()
        pools = [record for record in records if isinstance(record, PoolRecord)]
        leases = [record for record in records if isinstance(record, LeaseRecord)]
        match choose.randrange(6) if pools else 0:
            case 0:
                return [Put(self._some_pool())]
            case 1:
                return [Put(DriverRecord(choose.choice("ab"), "run", choose.randrange(9), 1))]
            case 2 | 3:
                pool = choose.choice(pools)
                return [Put(self._some_lease(pool)) for _ in range(choose.choice([1, 3, 120]))]
            case 4 if leases:
                return deletes(choose.choice(leases))
            case _:
                return self._end_of(choose.choice(pools), leases)

    def _some_pool(self) -> PoolRecord:
        choose = self._choose
        number, label = choose.randrange(3), "x" * choose.randrange(40)
        ip_range = choose.choice(["", f"/10.0.{number}.64/26"])
        name = f"{choose.choice(['local', 'global'])}/10.0.{number}.0/24{ip_range}"
        return PoolRecord(name, choose.choice(SCOPES), label, "tag", (), choose.random())

    def _some_lease(self, pool: PoolRecord) -> LeaseRecord:
        address = subnet_of(pool.id).removesuffix("0/24") + str(self._choose.randrange(1, 200))
        return LeaseRecord(pool.id, address, "container", "a", 1, self._choose.random())

    def _end_of(self, pool: PoolRecord, leases: Sequence[LeaseRecord]) -> list[Change]:
        """The end of a pool with its leases, which may move it to another scope."""
        changes = deletes(*(lease for lease in leases if lease.pool == pool.id), pool)
        if self._choose.random() < 0.5:
            changes.append(Put(pool._replace(scope=self._choose.choice(SCOPES))))
        return changes


@pytest.mark.parametrize("seed", range(30))
def test_a_state_is_what_was_acknowledged_however_its_processes_ended(
    folder: Path, disk: FaultyDisk, seed: int
) -> None:
    life = Life(folder, disk, seed)

    for _ in range(PROCESSES):
        life.run_process()
        life.check()
