"""The files of a state folder: what they hold, how they are named, who may read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tinydb import TinyDB

from pyipam.store.tinydb.layout import LAYOUTS, Layout
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    deletes,
    puts,
    replace,
)
from tests.unit.state_folders import (
    EVERYTHING,
    IPV4_FILE,
    IPV6_FILE,
    UNMANAGED,
    crashed,
    files_in,
    keep,
    load,
    names_without_journals,
    opened,
)

pytestmark = pytest.mark.usefixtures("disk")


def test_plain_tinydb_opens_every_file_of_a_state_at_rest(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))

    with TinyDB(folder / IPV4_FILE) as database:
        assert database.tables() == {"100.64.0.0/30", "_pyipam"}
        documents = database.table("100.64.0.0/30").all()
    assert [document["kind"] for document in documents].count("pool") == 2
    (lease,) = [d for d in documents if d.get("use") == "container"]
    assert lease == {
        "kind": "lease",
        "pool": "local/100.64.0.0/30",
        "address": "100.64.0.2",
        "use": "container",
        "driver": "driver",
        "epoch": 1,
        "granted": 1600000002.25,
        "released": None,
    }


def test_pools_and_driver_names_are_documents_with_every_field(folder: Path) -> None:
    keep(folder, puts(POOL, DRIVER))

    with TinyDB(folder / IPV4_FILE) as database:
        assert database.table("100.64.0.0/30").all() == [
            {
                "kind": "pool",
                "id": "local/100.64.0.0/30",
                "scope": "100.64.0.0/20",
                "label": "testnet",
                "tags": "null_routed",
                "claims": [["driver", 1, 1]],
                "created": 1600000000.123456,
                "released": None,
            }
        ]
    with TinyDB(folder / "drivers.json") as database:
        assert database.table("drivers").all() == [
            {
                "kind": "driver",
                "name": "driver",
                "engine": "boot:4711",
                "local_epoch": 3,
                "global_epoch": 4,
            }
        ]


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("scope", [IPV4_FILE, IPV6_FILE, "scopes/unmanaged.json"]),
        ("single", ["scopes/all.json"]),
    ],
)
def test_the_layout_decides_how_many_files_there_are(
    folder: Path, layout: Layout, names: list[str]
) -> None:
    keep(folder, puts(*EVERYTHING, UNMANAGED), layout=layout)

    assert [name for name in files_in(folder) if name.startswith("scopes/")] == names


def test_the_file_of_a_scope_without_pools_is_removed(folder: Path) -> None:
    keep(folder, puts(POOL, IPV6_POOL), deletes(IPV6_POOL))
    keep(folder, deletes(POOL), puts(IPV6_POOL))

    assert [name for name in files_in(folder) if name.startswith("scopes/")] == [IPV6_FILE]


@pytest.mark.parametrize("before", LAYOUTS)
@pytest.mark.parametrize("after", LAYOUTS)
def test_a_change_of_the_layout_keeps_everything(
    folder: Path, before: Layout, after: Layout
) -> None:
    keep(folder, puts(*EVERYTHING, UNMANAGED), layout=before)

    assert load(folder, after) == {*EVERYTHING, UNMANAGED}
    assert load(folder, before) == {*EVERYTHING, UNMANAGED}


def test_a_change_of_the_layout_keeps_what_a_crash_left_in_the_journal(folder: Path) -> None:
    keep(folder, puts(POOL))
    store = opened(folder)
    store.commit(puts(GATEWAY, IPV6_POOL))

    assert load(crashed(folder), "single") == {POOL, GATEWAY, IPV6_POOL}
    store.close()


def test_nobody_but_the_owner_can_read_the_state(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))

    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    keep(folder, puts(POOL))
    (folder / "schema.json").write_text("the remembered schema")

    keep(folder, puts(LEASE), deletes(LEASE, POOL))

    assert (folder / "schema.json").read_text() == "the remembered schema"


def test_a_checkpoint_writes_only_the_files_that_have_changed(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    before = files_in(folder)

    keep(folder, puts(replace(IPV6_LEASE, epoch=2)))

    after = files_in(folder)
    assert before[IPV4_FILE] == after[IPV4_FILE]
    assert before["drivers.json"] == after["drivers.json"]
    assert before[IPV6_FILE] != after[IPV6_FILE]


def test_a_process_that_commits_nothing_changes_no_file(folder: Path) -> None:
    keep(folder, puts(*EVERYTHING))
    before = files_in(folder)

    load(folder)

    assert files_in(folder) == before


def test_what_an_interrupted_checkpoint_has_left_is_removed(folder: Path) -> None:
    keep(folder, puts(POOL))
    (folder / "scopes" / "10.0.0.0-8.json").write_text("{}")
    (folder / f"{IPV4_FILE}.new").write_text("{")
    (folder / "manifest.json.new").write_text("{")

    keep(folder, puts(LEASE))

    assert names_without_journals(folder) == ["manifest.json", IPV4_FILE]
    assert [path.name for path in (folder / "scopes").iterdir()] == [Path(IPV4_FILE).name]
