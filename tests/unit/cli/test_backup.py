"""`backup` and `restore`: the plugin is found, disabled for a moment, and always enabled again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pyipam.cli import moving
from pyipam.cli.refusal import EngineAway
from pyipam.store.records import Delete, LeaseRecord, PoolRecord, Record, Sharer
from pyipam.transfer.export_file import Export, write_export
from pyipam.transfer.newer import used_since
from tests.support.stored_records import DRIVER, GATEWAY, LEASE, POOL, puts
from tests.unit.cli.host import PLUGIN_ID, Host, plugin_object
from tests.unit.transfers import keep, load

HELD: list[Record] = [DRIVER, POOL, GATEWAY, LEASE]
LATER = POOL._replace(id="local/100.64.1.0/30", created=1_700_000_000.0)
AROUND = ["disable owner/pyipam:latest", "enable owner/pyipam:latest"]


@pytest.fixture
def state(host: Host) -> Path:
    """The state folder of the plugin of the engine, which holds a network with a container."""
    folder = host.folder / "root" / "plugins" / PLUGIN_ID / "propagated-mount"
    folder.mkdir(parents=True)
    keep(folder, puts(*HELD))
    return folder


@pytest.fixture
def backup(host: Host, state: Path) -> Path:
    """A backup of it."""
    file = host.folder / "backup.json"
    assert host.run("backup", "--disable", file).code == 0
    host.engine.done.clear()
    return file


def test_a_plugin_is_disabled_for_a_backup_and_enabled_again(host: Host, state: Path) -> None:
    outcome = host.run("backup", "--disable", host.folder / "backup.json")

    assert (outcome.code, outcome.out) == (0, "")
    assert "docker plugin enable owner/pyipam" in outcome.err
    assert "exported 1 pool, 2 leases and 1 driver name" in outcome.err
    assert host.engine.done == AROUND


@pytest.mark.parametrize("command", ["backup", "export"])
@pytest.mark.parametrize(
    ("file", "why"),
    [("nowhere/b.json", "there is no folder"), ("", "it is a folder")],
)
def test_no_plugin_is_disabled_for_a_file_that_cannot_be_written(
    host: Host, state: Path, command: str, file: str, why: str
) -> None:
    assert why in host.refusal(command, "--disable", host.folder / file)

    assert host.engine.done == []


def test_a_plugin_that_is_in_use_is_left_alone_unless_it_may_be_disabled(
    host: Host, state: Path
) -> None:
    assert "Add --disable" in host.refusal("backup", host.folder / "backup.json")

    assert host.engine.done == []
    assert not (host.folder / "backup.json").exists()


def test_a_plugin_that_was_disabled_stays_so(host: Host, state: Path, backup: Path) -> None:
    host.engine.known_plugins = [plugin_object(enabled=False)]

    assert host.run("backup", backup).code == 0
    assert host.run("restore", backup).code == 0
    assert host.engine.done == []


def test_a_plugin_whose_plan_is_in_a_database_has_no_backup_in_files(
    host: Host, state: Path
) -> None:
    plugin = plugin_object()
    plugin["Settings"]["Env"].append("STORE_URL=mongodb://db1/")
    host.engine.known_plugins = [plugin]

    assert "keeps its plan in a database (STORE_URL)" in host.refusal("backup", "--disable", "x")
    assert host.engine.done == []


def test_a_state_on_another_host_is_not_looked_for_here(host: Host) -> None:
    assert "on the host of the engine at" in host.refusal("backup", "--disable", "x")
    assert host.engine.done == []


@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_plugin_is_enabled_again_after_a_failure(
    host: Host, state: Path, tmp_path: Path, command: str
) -> None:
    (state / "manifest.json").write_text("{")

    outcome = host.run(command, "--disable", tmp_path / "backup.json")

    assert outcome.code == 1
    assert host.engine.done == AROUND


@pytest.mark.parametrize("command", [["restore"], ["restore", "--discard-newer"], ["import"]])
def test_a_plugin_is_not_disabled_for_a_file_that_cannot_be_brought_in(
    host: Host, state: Path, tmp_path: Path, command: list[str]
) -> None:
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_text("{")

    assert host.run(*command, "--disable", tmp_path / "missing.json").code == 1
    assert host.run(*command, "--disable", spoilt).code == 1
    assert host.engine.done == []
    assert load(state) == set(HELD)


@pytest.mark.parametrize("command", ["restore", "import"])
def test_a_plugin_is_not_disabled_for_the_plan_of_several_hosts(
    host: Host, state: Path, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "plan.json"
    of_node = POOL._replace(id="local@one/100.64.0.0/30")
    file.write_bytes(write_export(Export((of_node,), None)))

    assert host.run(command, "--disable", file).code == 1
    assert host.engine.done == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_plugin_is_enabled_again_after_an_interruption(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    # What a shell starts in the background ignores SIGINT.
    of_runner = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(number)
    monkeypatch.setattr(moving, "export_state", lambda *_: os.kill(os.getpid(), number))
    try:
        assert host.run("backup", "--disable", "x").code == 130

        assert host.engine.done == AROUND
        assert signal.getsignal(number) == before
    finally:
        signal.signal(signal.SIGINT, of_runner)


def test_a_plugin_that_cannot_be_enabled_again_is_named(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise EngineAway("the engine is away")

    monkeypatch.setattr(host.engine, "enable_plugin", fail)

    outcome = host.run("backup", "--disable", host.folder / "backup.json")

    assert outcome.code == 1
    assert "owner/pyipam:latest could not be enabled again: the engine is away" in outcome.err


def test_a_state_goes_back_to_its_backup(host: Host, state: Path, backup: Path) -> None:
    keep(state, [Delete(LEASE.key)])

    outcome = host.run("restore", "--disable", backup)

    assert outcome.code == 0
    assert "Restart dockerd" in outcome.err
    assert load(state) == set(HELD)
    assert host.engine.done == AROUND


def test_a_backup_does_not_replace_what_is_newer_unless_that_is_asked_for(
    host: Host, state: Path, backup: Path
) -> None:
    keep(state, puts(LATER))

    refused = host.run("restore", "--disable", backup)

    assert refused.code == 1
    assert "the state is newer than the backup: 1 pool, 0 leases" in refused.err
    assert "local/100.64.1.0/30 (since 2023-11-14T22:13:20Z)" in refused.err
    assert load(state) == {*HELD, LATER}
    assert host.engine.done == AROUND

    assert host.run("restore", "--disable", "--discard-newer", backup).code == 0
    assert load(state) == set(HELD)


def test_a_state_that_was_lost_is_restored_into_an_empty_folder(
    host: Host, state: Path, backup: Path
) -> None:
    for path in sorted(state.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    assert host.run("restore", "--disable", backup).code == 0

    assert load(state) == set(HELD)


def test_a_state_can_be_named_where_there_is_no_engine(host: Host, state: Path) -> None:
    host.engine.is_away = True
    file = host.folder / "backup.json"

    assert host.run("backup", "--state", state, file).code == 0
    assert host.run("restore", "--state", state, file).code == 0


RELEASED = LEASE._replace(released=9.0)
TWICE = POOL._replace(claims=(POOL.claims[0]._replace(references=2),))
SHARED = POOL._replace(shared=True)
OF_WEB = POOL._replace(claims=(POOL.claims[0]._replace(driver="web"),))
WAS_OF_WEB = LEASE._replace(driver="web")
WAS_CONTAINER = GATEWAY._replace(kind="container")
SHARED_GATEWAY = GATEWAY._replace(sharers=(Sharer(POOL.id, GATEWAY.driver, GATEWAY.epoch),))
# What an engine that started again named: the pool alone, or with the address, in another epoch.
NEXT = POOL.claims[0].epoch + 1
LATER_EPOCH = DRIVER._replace(local_epoch=NEXT)
CLAIMED = POOL._replace(claims=(POOL.claims[0]._replace(epoch=NEXT),))
CLAIMED_LEASE = LEASE._replace(epoch=NEXT)
# Nobody can tell whether its engine has started; and a swarm's, which has a new leader.
UNKNOWN = LATER_EPOCH._replace(engine="")
OF_SWARM = CLAIMED._replace(id="global/100.64.0.0/30")
FORMER_LEADERS = POOL._replace(id="global/100.64.0.0/30")
LATER_SWARM = DRIVER._replace(global_epoch=NEXT)


@pytest.mark.parametrize(
    ("held", "kept", "used"),
    [
        ([POOL, LEASE], [POOL, LEASE], []),
        ([POOL, LEASE], [POOL], [LEASE]),
        ([POOL, LEASE], [POOL, RELEASED], [LEASE]),
        ([POOL, RELEASED], [POOL], []),
        ([], [POOL, LEASE], []),
        ([TWICE], [POOL], [TWICE]),
        ([POOL], [TWICE], []),
        ([DRIVER], [], []),
        ([OF_WEB], [POOL], [OF_WEB]),
        ([POOL, GATEWAY], [POOL, WAS_CONTAINER], [GATEWAY]),
        ([POOL, LEASE], [POOL, WAS_OF_WEB], [LEASE]),
        ([POOL, SHARED_GATEWAY], [POOL, GATEWAY], [SHARED_GATEWAY]),
        ([SHARED], [POOL], [SHARED]),
        ([POOL], [SHARED], []),
        ([CLAIMED, LATER_EPOCH], [POOL, LATER_EPOCH], [CLAIMED]),
        ([POOL, LATER_EPOCH], [POOL, LATER_EPOCH], []),
        ([CLAIMED, CLAIMED_LEASE], [CLAIMED, LEASE], [CLAIMED_LEASE]),
        ([CLAIMED, LEASE], [CLAIMED, CLAIMED_LEASE], []),
        ([CLAIMED, CLAIMED_LEASE], [POOL, LEASE], []),
        ([POOL, UNKNOWN], [POOL, LATER_EPOCH], [POOL]),
        ([OF_SWARM, LATER_SWARM], [FORMER_LEADERS, LATER_SWARM], [OF_SWARM]),
    ],
)
def test_only_what_was_given_out_or_claimed_since_is_newer(
    held: list[PoolRecord | LeaseRecord],
    kept: list[PoolRecord | LeaseRecord],
    used: list[PoolRecord | LeaseRecord],
) -> None:
    assert used_since(held, Export(tuple(kept), None)) == used
