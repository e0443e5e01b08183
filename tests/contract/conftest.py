"""Processes for the tests of the contract with Docker."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.support.dockerd import Driver, Engine, Pool, engine
from tests.support.program import Program

# Gives the settings that name an empty store, for as long as the block runs.
MakeStore = Callable[[], AbstractContextManager[Mapping[str, str]]]


@pytest.fixture(scope="session")
def make_store() -> MakeStore:
    """Makes what the plugins of the tests keep their state in: here the folder of each."""
    return lambda: nullcontext({})


@contextmanager
def _home() -> Iterator[Path]:
    # Not below pytest's folder, which others than its owner cannot enter.
    home = Path(tempfile.mkdtemp(prefix="pyipam-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home)


@contextmanager
def new_program(settings: Mapping[str, str]) -> Iterator[Program]:
    """A plugin that was never started, and has these settings whenever it is."""
    with _home() as home:
        program = Program(home, settings)
        try:
            yield program
        finally:
            program.close()


@pytest.fixture
def program(make_store: MakeStore) -> Iterator[Program]:
    """A plugin that was never started."""
    with make_store() as settings, new_program(settings) as program:
        yield program


@pytest.fixture
def second_program(make_store: MakeStore) -> Iterator[Program]:
    """Another plugin that was never started."""
    with make_store() as settings, new_program(settings) as program:
        yield program


@pytest.fixture
def engine_a() -> Iterator[Engine]:
    """A run of dockerd."""
    with engine() as run:
        yield run


@pytest.fixture
def engine_b() -> Iterator[Engine]:
    """The next run of dockerd."""
    with engine() as run:
        yield run


@pytest.fixture(scope="session")
def shared_program(make_store: MakeStore) -> Iterator[Program]:
    """A running plugin with the default schema, for tests that leave nothing held in it."""
    with make_store() as settings, new_program(settings) as program:
        program.start(DEFAULT_TAGS="default", DRIVER_ALIASES="pyipam=")
        yield program


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Engine]:
    """The dockerd of the shared plugin."""
    with engine() as run:
        yield run


@pytest.fixture
def driver(shared_program: Program, shared_engine: Engine) -> Iterator[Driver]:
    """A connection to the shared plugin, in which nothing is held; afterwards neither."""
    with closing(shared_program.driver(shared_engine)) as driver:
        yield driver
    with closing(shared_program.driver(shared_engine)) as driver:
        for pool_id in driver.held():
            pool = Pool(pool_id, "")
            for _ in range(driver.references(pool)):
                driver.release_pool(pool)
        assert driver.held() == []
