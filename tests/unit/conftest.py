"""The disk under states, folders for states, and states to move records from and to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyipam.cli.main import main
from tests.support.in_process import captured_log
from tests.support.stored_records import DRIVER, puts
from tests.unit.faulty_disk import FaultyDisk, faulty_disk
from tests.unit.transfers import EVERYTHING, OTHER_LEASE, OTHER_POOL, SCHEMA, keep


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The lines of the log so far, from level info on, each with its level."""
    with captured_log() as lines:
        yield lines


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FaultyDisk]:
    """The disk under the state: works until told otherwise, and syncs without waiting. It depends
    on `tmp_path` so as not to count what pytest does to make that."""
    with faulty_disk() as disk:
        yield disk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The place of a state folder that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def full_state(tmp_path: Path) -> Path:
    """A state that holds records of every kind and remembers a schema."""
    folder = tmp_path / "state"
    keep(folder, puts(*EVERYTHING))
    (folder / "schema.json").write_text(SCHEMA)
    return folder


@pytest.fixture
def full_export(tmp_path: Path, full_state: Path) -> Path:
    """An export of that state."""
    path = tmp_path / "export.json"
    assert main(["export", "--state", str(full_state), str(path)]) == 0
    return path


@pytest.fixture
def other_state(tmp_path: Path) -> Path:
    """A state that holds something else."""
    folder = tmp_path / "other"
    keep(folder, puts(DRIVER._replace(name="pyipam"), OTHER_POOL, OTHER_LEASE))
    return folder


@pytest.fixture
def empty_state(tmp_path: Path) -> Path:
    """The state folder of a plugin that was never enabled: it does not exist yet."""
    plugin = tmp_path / "plugins" / "1d"
    (plugin / "rootfs").mkdir(parents=True)
    (plugin / "config.json").touch()
    return plugin / "propagated-mount"
