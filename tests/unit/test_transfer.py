"""Moving a plan: the command, what it brings over, and what it refuses."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings

from pyipam.cli.main import main
from pyipam.store.records import Change, Claim, LeaseRecord, PoolRecord, Record
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.plan_file import Plan, read_plan, write_plan
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
    Model,
    batches,
    puts,
)
from tests.unit.faulty_disk import FaultyDisk, Killed, faulty_disk

EVERYTHING: list[Record] = [
    DRIVER,
    POOL,
    GATEWAY,
    LEASE,
    GLOBAL_POOL,
    IPV6_POOL,
    IPV6_LEASE,
    RANGE_POOL,
    RANGE_LEASE,
]
OTHER_POOL = POOL._replace(id="local/10.9.0.0/24", scope="", label="other")
OTHER_LEASE = LeaseRecord(OTHER_POOL.id, "10.9.0.1", "gateway", "driver", 1, 7.0)
SCHEMA = '{"schema_version": 1, "scopes": []}'
OTHER_SCHEMA = '{"schema_version": 1,  "scopes":  []}'

# The plan of two nodes, as both of them see it.
NODES: list[Record] = [
    DRIVER._replace(name="driver@a", global_epoch=7),
    DRIVER._replace(name="driver@b", global_epoch=8),
    POOL._replace(id="local@a/100.64.0.0/30", claims=(Claim("driver@a", 3, 1),)),
    GATEWAY._replace(pool="local@a/100.64.0.0/30", driver="driver@a"),
    POOL._replace(id="local@b/100.64.0.0/30", claims=(Claim("driver@b", 4, 1),)),
    LEASE._replace(pool="local@b/100.64.0.0/30", driver="driver@b"),
    GLOBAL_POOL._replace(claims=(Claim("driver@a", 5, 2), Claim("driver@b", 6, 1))),
    LEASE._replace(pool=GLOBAL_POOL.id, driver="driver@b", epoch=6),
    GATEWAY._replace(pool=GLOBAL_POOL.id, driver="driver@a", epoch=5),
]


@pytest.fixture(autouse=True)
def disk() -> Iterator[FaultyDisk]:
    """The disk under everything: works until told otherwise, and makes nobody wait."""
    with faulty_disk() as disk:
        yield disk


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state that holds everything, with a schema that is remembered."""
    folder = tmp_path / "state"
    keep(folder, puts(*EVERYTHING))
    (folder / "schema.json").write_text(SCHEMA)
    return folder


@pytest.fixture
def file(tmp_path: Path, state: Path) -> Path:
    """That state, exported."""
    path = tmp_path / "plan.json"
    assert main(["export", "--state", str(state), str(path)]) == 0
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another state, that holds something else."""
    folder = tmp_path / "other"
    keep(folder, puts(DRIVER._replace(name="pyipam"), OTHER_POOL, OTHER_LEASE))
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Where a state will be; not there yet."""
    return tmp_path / "empty"


def keep(folder: Path, changes: Sequence[Change]) -> None:
    with closing(TinyDbStore(folder)) as store:
        list(store.load())
        store.commit(changes)


def load(folder: Path) -> set[Record]:
    with closing(TinyDbStore(folder)) as store:
        records = list(store.load())
    assert len(set(records)) == len(records)
    return set(records)


def exported(file: Path) -> Plan:
    plan = read_plan(file.read_bytes())
    assert isinstance(plan, Plan), plan
    return plan


def written(path: Path, *records: Record, schema: str | None = None) -> Path:
    """A file of these records."""
    path.write_bytes(write_plan(Plan(records, schema)))
    return path


def imported(file: Path, state: Path, *options: str) -> int:
    return main(["import", "--state", str(state), *options, str(file)])


# Out of a state and into another


def test_an_export_holds_everything_that_the_state_holds(file: Path) -> None:
    plan = exported(file)

    assert set(plan.records) == set(EVERYTHING)
    assert plan.schema == SCHEMA


def test_an_export_changes_nothing_in_the_state(state: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}

    assert main(["export", "--state", str(state), str(tmp_path / "plan.json")]) == 0

    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_an_export_after_a_crash_holds_what_was_committed(state: Path, tmp_path: Path) -> None:
    with closing(TinyDbStore(state)) as store:
        list(store.load())
        store.commit(puts(OTHER_POOL))
        crashed = tmp_path / "crashed"
        shutil.copytree(state, crashed)

    assert main(["export", "--state", str(crashed), str(tmp_path / "plan.json")]) == 0

    assert OTHER_POOL in exported(tmp_path / "plan.json").records


def test_an_import_brings_everything_over(file: Path, empty: Path) -> None:
    assert imported(file, empty) == 0

    assert load(empty) == set(EVERYTHING)
    assert (empty / "schema.json").read_text() == SCHEMA


def test_what_was_imported_is_exported_as_the_same_bytes(
    file: Path, empty: Path, tmp_path: Path
) -> None:
    assert imported(file, empty) == 0

    again = tmp_path / "again.json"
    assert main(["export", "--state", str(empty), str(again)]) == 0
    assert again.read_bytes() == file.read_bytes()


def test_both_say_how_much_they_moved(
    state: Path, empty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    main(["export", "--state", str(state), str(file)])
    imported(file, empty)

    assert capsys.readouterr().err.splitlines() == [
        "pyipam: exported 4 pools, 4 leases and 1 driver name, with the schema that was remembered",
        "pyipam: imported 4 pools, 4 leases and 1 driver name",
    ]


def test_a_plan_goes_through_the_standard_streams(
    state: Path,
    empty: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["export", "--state", str(state), "-"]) == 0
    content = capsysbinary.readouterr().out

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["import", "--state", str(empty), "-"]) == 0

    assert load(empty) == set(EVERYTHING)


@settings(max_examples=25)
@given(commits=batches())
def test_whatever_a_state_holds_comes_over(
    tmp_path_factory: pytest.TempPathFactory, commits: list[Sequence[Change]]
) -> None:
    folder = tmp_path_factory.mktemp("transfer")
    model = Model()
    with closing(TinyDbStore(folder / "from")) as store:
        list(store.load())
        for changes in commits:
            store.commit(changes)
            model.apply(changes)

    file = folder / "plan.json"
    assert main(["export", "--state", str(folder / "from"), str(file)]) == 0
    assert imported(file, folder / "to") == 0

    assert model.holds(load(folder / "to"))


def test_an_export_replaces_a_former_one(file: Path, other: Path) -> None:
    assert main(["export", "--state", str(other), str(file)]) == 0

    assert OTHER_POOL in exported(file).records


def test_only_its_owner_can_read_an_export(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


# Into a state that is not empty


def test_an_import_over_pools_and_leases_is_refused(
    file: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load(other)

    assert imported(file, other) == 1

    assert load(other) == before
    assert not (other / "schema.json").exists()
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: refused: nothing is imported over a state that is not empty: it holds 1 pool, "
        "1 lease and 1 driver name. Name an empty one, or replace all of that with --force"
    )


def test_a_state_that_knows_nothing_but_driver_names_is_empty(file: Path, empty: Path) -> None:
    keep(empty, puts(DRIVER._replace(local_epoch=1), DRIVER._replace(name="pyipam")))

    assert imported(file, empty) == 0

    assert load(empty) == set(EVERYTHING)


def test_forced_an_import_replaces_everything(file: Path, other: Path) -> None:
    assert imported(file, other, "--force") == 0

    assert load(other) == set(EVERYTHING)
    assert (other / "schema.json").read_text() == SCHEMA


def test_forced_an_import_over_the_same_plan_changes_nothing(file: Path, state: Path) -> None:
    assert imported(file, state, "--force") == 0

    assert load(state) == set(EVERYTHING)


def test_forced_a_pool_moves_to_the_file_of_the_scope_that_it_has_in_the_plan(
    file: Path, empty: Path
) -> None:
    keep(empty, puts(POOL._replace(scope="100.64.0.0/10")))

    assert imported(file, empty, "--force") == 0

    assert load(empty) == set(EVERYTHING)
    assert not (empty / "scopes" / "100.64.0.0-10.json").exists()


# The schema that is remembered


def test_a_schema_that_the_state_remembers_stays_and_that_is_said(
    file: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.mkdir()
    (empty / "schema.json").write_text(OTHER_SCHEMA)

    assert imported(file, empty) == 0

    assert (empty / "schema.json").read_text() == OTHER_SCHEMA
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: the schema of the file was left out: the state remembers another one, which stays"
    )


def test_forced_the_schema_of_the_file_is_remembered(
    file: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (other / "schema.json").write_text(OTHER_SCHEMA)

    assert imported(file, other, "--force") == 0

    assert (other / "schema.json").read_text() == SCHEMA
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_a_file_without_a_schema_leaves_what_is_remembered(
    tmp_path: Path, empty: Path, options: list[str]
) -> None:
    empty.mkdir()
    (empty / "schema.json").write_text(OTHER_SCHEMA)

    assert imported(written(tmp_path / "plan.json", POOL), empty, *options) == 0

    assert (empty / "schema.json").read_text() == OTHER_SCHEMA


def test_a_schema_that_cannot_run_is_not_exported(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "schema.json").write_text('{"schema_version": 1, "scopes": 7}')

    assert main(["export", "--state", str(state), str(tmp_path / "plan.json")]) == 1

    assert not (tmp_path / "plan.json").exists()
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("$.plan.schema: the schema is wrong at $.scopes: it must be a list, not 7")
    )


# What is refused


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The sentence with which a command is refused."""
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("pyipam: refused: ")


def test_a_state_in_use_is_neither_exported_nor_imported_to(
    state: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = (
        f"the state folder {state} is in use by another process; stop it first (a plugin with "
        "docker plugin disable)"
    )
    with closing(TinyDbStore(state)):
        assert refusal(capsys, "export", "--state", state, file) == expected
        assert refusal(capsys, "import", "--force", "--state", state, file) == expected


def test_where_no_state_is_there_is_nothing_to_export_and_none_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"

    assert refusal(capsys, "export", "--state", nowhere, "-") == (
        f"there is no state in {nowhere}: it has no manifest.json"
    )
    assert not nowhere.exists()


def test_a_corrupted_state_is_not_exported(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = state.glob("scopes/fc00*.json")
    path.write_bytes(path.read_bytes().replace(b"container", b"canteiner"))

    error = refusal(capsys, "export", "--state", state, tmp_path / "plan.json")

    assert error.startswith(f"the state is corrupted: {path} at byte 0")
    assert not (tmp_path / "plan.json").exists()


def test_nothing_is_imported_over_a_corrupted_state(
    state: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = state.glob("scopes/fc00*.json")
    path.write_bytes(path.read_bytes().replace(b"container", b"canteiner"))
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}

    error = refusal(capsys, "import", "--force", "--state", state, file)

    assert error.startswith(f"the state is corrupted: {path}")
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_a_folder_of_something_else_does_not_become_a_state(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "plugin"
    (plugin / "propagated-mount").mkdir(parents=True)
    (plugin / "config.json").touch()

    assert refusal(capsys, "import", "--state", plugin, file).startswith(
        f"{plugin} is no state folder of pyipam"
    )
    assert refusal(capsys, "import", "--state", tmp_path / "no" / "where", file).startswith(
        f"{tmp_path / 'no' / 'where'} is no state folder of pyipam"
    )
    assert {path.name for path in plugin.iterdir()} == {"config.json", "propagated-mount"}
    assert imported(file, plugin / "propagated-mount") == 0


def test_a_file_that_is_wrong_is_refused_with_every_error(
    tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "plan.json", GATEWAY, LEASE)

    assert imported(file, empty) == 1

    assert capsys.readouterr().err.splitlines() == [
        f"pyipam: refused: {file} is no plan that can be imported:",
        '  $.plan.leases[0].pool: "local/100.64.0.0/30" is no pool of this file',
        '  $.plan.leases[1].pool: "local/100.64.0.0/30" is no pool of this file',
    ]
    assert not empty.exists()


def test_of_very_many_errors_the_first_hundred_are_shown(
    tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leases = [LEASE._replace(address=f"100.64.0.{n}") for n in range(150)]

    assert imported(written(tmp_path / "plan.json", *leases), empty) == 1

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 102
    assert lines[-1] == "  and 50 more"


def test_files_that_are_not_there_are_named(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none" / "plan.json"

    assert refusal(capsys, "import", "--force", "--state", state, missing) == (
        f"{missing}: No such file or directory"
    )
    assert "No such file or directory" in refusal(capsys, "export", "--state", state, missing)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["move", "x"],
        ["export"],
        ["export", "-"],
        ["import", "x"],
        ["import", "--state", "x"],
        ["import", "--state", "x", "--store-url", "mongodb://x", "y"],
        ["export", "--store-credentials", "x", "y"],
    ],
)
def test_what_is_not_understood_ends_with_another_code(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: pyipam")


# The plan of several nodes


def test_a_node_takes_its_own_pools_and_the_global_ones(tmp_path: Path, empty: Path) -> None:
    assert imported(written(tmp_path / "plan.json", *NODES), empty, "--node", "a") == 0

    assert load(empty) == {
        DRIVER._replace(name="driver", global_epoch=7),
        POOL._replace(claims=(Claim("driver", 3, 1),)),
        GATEWAY,
        GLOBAL_POOL._replace(claims=(Claim("driver", 5, 2),)),
        LEASE._replace(pool=GLOBAL_POOL.id, driver="driver", epoch=0),
        GATEWAY._replace(pool=GLOBAL_POOL.id, driver="driver", epoch=5),
    }


def test_what_other_nodes_have_is_left_out_and_that_is_said(
    tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third = POOL._replace(id="local@c/100.64.0.0/30")
    file = written(tmp_path / "plan.json", *NODES, third)

    assert imported(file, empty, "--node", "a") == 0

    assert capsys.readouterr().err.splitlines() == [
        "pyipam: imported 2 pools, 3 leases and 1 driver name",
        "pyipam: left out, as node b has it: 1 pool, 1 lease and 1 driver name",
        "pyipam: left out, as node c has it: 1 pool, 0 leases and 0 driver names",
    ]


@pytest.mark.parametrize("options", [[], ["--node", "c"]])
def test_which_node_the_host_is_must_be_said(
    tmp_path: Path, empty: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(written(tmp_path / "plan.json", *NODES), empty, *options) == 1

    assert capsys.readouterr().err == (
        "pyipam: refused: the file is the plan of the nodes a, b: say with --node which of them "
        "this host is\n"
    )
    assert not empty.exists()


def test_a_global_pool_that_only_another_node_claims_waits_to_be_claimed(
    tmp_path: Path, empty: Path
) -> None:
    pool = GLOBAL_POOL._replace(claims=(Claim("driver@b", 6, 1), Claim("pyipam@b", 2, 1)))
    file = written(tmp_path / "plan.json", DRIVER._replace(name="driver@a"), pool)

    assert imported(file, empty, "--node", "a") == 0

    assert pool._replace(claims=(Claim("driver", 0, 1), Claim("pyipam", 0, 1))) in load(empty)


def test_a_node_that_only_claims_something_is_a_node(
    tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = GLOBAL_POOL._replace(claims=(Claim("driver@a", 6, 1),))
    file = written(tmp_path / "plan.json", pool)

    assert imported(file, empty) == 1
    assert "the plan of the nodes a:" in capsys.readouterr().err
    assert imported(file, empty, "--node", "a") == 0

    assert load(empty) == {pool._replace(claims=(Claim("driver", 6, 1),))}


def test_the_plan_of_one_host_needs_no_node(file: Path, empty: Path) -> None:
    assert imported(file, empty, "--node", "whatever") == 0

    assert load(empty) == set(EVERYTHING)


# All or nothing


def test_killed_at_any_moment_an_import_is_there_whole_or_not_at_all(
    file: Path, other: Path, disk: FaultyDisk
) -> None:
    before, after = load(other), set(EVERYTHING)
    found = []
    for moment in count():
        place = other.with_name(f"{moment}")
        shutil.copytree(other, place)
        disk.calls.clear()
        disk.kill_at(moment)
        try:
            imported(file, place, "--force")
        except Killed:
            disk.heal()
        else:
            break
        crashed = shutil.copytree(place, other.with_name(f"{moment}-crashed"))
        found.append(load(crashed))
        assert found[-1] in (before, after), f"killed in call {moment}, a {disk.calls[moment]}"
        remembers = (crashed / "schema.json").exists()
        assert remembers or found[-1] == before, "no plan is served without its schema"

    assert before in found
    assert after in found


def test_a_disk_that_fills_up_leaves_what_was_there(
    file: Path, other: Path, disk: FaultyDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    (other / "schema.json").write_text(OTHER_SCHEMA)
    before, refused = load(other), 0
    for moment in count():
        place = other.with_name(f"{moment}")
        shutil.copytree(other, place)
        disk.calls.clear()
        disk.fill_up_at(moment)
        code = imported(file, place, "--force")
        full = moment < len(disk.calls)
        disk.heal()
        if not full:
            break
        if code == 0:
            assert load(place) == set(EVERYTHING)
            continue
        refused += 1
        assert "No space left on device" in capsys.readouterr().err
        assert load(place) == before
        assert (place / "schema.json").read_text() == OTHER_SCHEMA

    assert refused > 2


def test_an_export_that_fails_leaves_the_former_one(
    state: Path, file: Path, disk: FaultyDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    keep(state, puts(OTHER_POOL))
    disk.calls.clear()
    main(["export", "--state", str(state), str(file.with_name("unused.json"))])
    write = max(number for number, name in enumerate(disk.calls) if name == "write")
    disk.calls.clear()
    disk.fill_up_at(write)

    error = refusal(capsys, "export", "--state", state, file)

    assert "No space left on device" in error
    assert file.read_bytes() == before


def test_a_file_from_the_future_is_refused(
    file: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(orjson.dumps(orjson.loads(file.read_bytes()) | {"format": 2}))

    assert refusal(capsys, "import", "--state", empty, file) == (
        "  $.format: the file is of format 2; this pyipam reads format 1: use the version that "
        "wrote it"
    )
    assert not empty.exists()


def test_pools_and_leases_are_counted_by_their_kind(file: Path) -> None:
    records = exported(file).records

    assert sum(isinstance(record, PoolRecord) for record in records) == 4
    assert sum(isinstance(record, LeaseRecord) for record in records) == 4
