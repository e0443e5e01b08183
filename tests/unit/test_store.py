"""What every store promises, of the stores that need no server: in memory, and of TinyDB."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pyipam.store.memory import MemoryStore
from pyipam.store.protocol import Store
from pyipam.store.records import Key, Record
from pyipam.store.tinydb.layout import LAYOUTS, Layout
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.store_behaviour import AggregatesBehaviour, MakeHome, StoreHome
from tests.unit.eager_store import EagerStore


class MemoryHome:
    """A dictionary."""

    def __init__(self, records: dict[Key, Record]) -> None:
        self._records = records

    def open(self) -> Store:
        return MemoryStore(self._records)

    def after_a_crash(self) -> StoreHome:
        return MemoryHome(dict(self._records))


class TinyDbHome:
    """A folder of TinyDB files."""

    def __init__(self, folder: Path, open_store: Callable[[Path], TinyDbStore]) -> None:
        self._folder = folder
        self._open = open_store

    def open(self) -> Store:
        return self._open(self._folder)

    def after_a_crash(self) -> StoreHome:
        copy = self._folder.with_name(f"{self._folder.name}-crashed")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self._folder, copy)
        return TinyDbHome(copy, self._open)


@contextmanager
def memory() -> Iterator[StoreHome]:
    yield MemoryHome({})


@contextmanager
def tinydb(layout: Layout, checkpoint_size: int) -> Iterator[StoreHome]:
    with TemporaryDirectory() as folder:
        yield TinyDbHome(
            Path(folder) / "state", lambda path: EagerStore(path, layout, checkpoint_size)
        )


HOMES: dict[str, MakeHome] = {
    "memory": memory,
    **{
        f"tinydb-{layout}-{name}": partial(tinydb, layout, size)
        for layout in LAYOUTS
        for name, size in {"journal": 1 << 20, "checkpoints": 300}.items()
    },
}


@pytest.fixture(scope="module", params=HOMES)
def make_home(request: pytest.FixtureRequest) -> MakeHome:
    """Makes empty homes for one kind of store."""
    return HOMES[request.param]


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    # Whether commits are synced is specified in test_journal.py; waiting for it here shows nothing.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        patch.setattr(os, "fdatasync", lambda _descriptor: None)
        yield


class TestStores(AggregatesBehaviour):
    """The suite, once for each of HOMES."""
