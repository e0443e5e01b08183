"""Only one process at a time uses a state folder, and only a folder that can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyipam.errors import Unavailable
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.stored_records import POOL, puts
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.state_folders import keep, load, opened

pytestmark = pytest.mark.usefixtures("disk")


def test_a_second_process_on_the_folder_is_refused(folder: Path) -> None:
    store = opened(folder)

    with pytest.raises(Unavailable, match=r"in use by another process; stop it first") as caught:
        TinyDbStore(folder)

    assert str(folder) in str(caught.value)
    store.close()


def test_the_folder_can_be_used_again_when_its_process_has_ended(folder: Path) -> None:
    keep(folder, puts(POOL))

    assert load(folder) == {POOL}


def test_an_error_names_the_folder_that_cannot_be_created(folder: Path) -> None:
    folder.write_text("a file in its place")

    with pytest.raises(Unavailable, match=r"cannot be used \(File exists: /") as caught:
        TinyDbStore(folder)

    assert str(folder) in str(caught.value)


def test_an_error_names_the_folder_that_cannot_be_written_to(
    folder: Path, disk: FaultyDisk
) -> None:
    disk.fill_up_at(len(disk.calls))

    with pytest.raises(Unavailable, match=r"cannot be used \(No space left on device\)") as caught:
        TinyDbStore(folder)

    assert str(folder) in str(caught.value)
