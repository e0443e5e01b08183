"""A disk that fails: the caller is told, memory and disk agree, and service goes on when it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disks import Disk, disk
from tests.support.dockerd import (
    Engine,
    Network,
    Pool,
    Reply,
    create_network,
    pool_request,
    start_container,
)
from tests.support.program import Program, scope

SUBNET = "10.1.0.0/16"
LONG_LABEL = {"id": "x" * 100_000}
MOST_CALLS = 400


@pytest.fixture
def tmpfs(program: Program) -> Iterator[Disk]:
    with disk(program.state, "tmpfs") as made:
        yield made
        program.close()


@pytest.fixture
def ext4(program: Program) -> Iterator[Disk]:
    with disk(program.state, "ext4") as made:
        yield made
        program.close()


@pytest.fixture(params=["tmpfs", "ext4"])
def any_disk(request: pytest.FixtureRequest) -> Disk:
    """A small file system, of either kind."""
    made: Disk = request.getfixturevalue(request.param)
    return made


class Client:
    """Docker's side: calls the plugin, and knows what it was told that it has."""

    def __init__(self, program: Program, engine: Engine, disk: Disk) -> None:
        self._program = program
        self._engine = engine
        self._disk = disk
        self.told: dict[str, list[str]] = {}
        self.start()
        self.network = self._first_network()

    def start(self) -> None:
        """The plugin starts, and Docker connects."""
        self._program.start(*self._disk.way_in)
        self.driver = self._program.driver(self._engine)

    def restart(self) -> None:
        """The plugin crashes, and starts anew."""
        self._program.kill()
        self.start()

    def held(self) -> dict[str, list[str]]:
        """What the plugin's views show."""
        return {pool: self.driver.leases(Pool(pool, "")) for pool in self.driver.held()}

    def request_pools_until_refused(self) -> Reply:
        """Fill what room the journal has. The refusal."""
        for _ in range(MOST_CALLS):
            reply = self.driver.call("RequestPool", pool_request(options=LONG_LABEL))
            if reply.status != 200:
                return reply
            self.told[reply.json()["PoolID"]] = []
        raise AssertionError(f"{MOST_CALLS} pools were given out, and none was refused")

    def refusals(self) -> set[str]:
        """Every call that changes anything, each of which is refused with 503: the sentences."""
        pool = self.network.pool
        replies = [
            self.driver.call("RequestPool", pool_request()),
            self.driver.call("RequestPool", pool_request("10.2.0.0/24")),
            self.driver.call("RequestPool", pool_request(SUBNET)),
            self.driver.call("RequestAddress", {"PoolID": pool.id, "Address": ""}),
            self.driver.call("RequestAddress", {"PoolID": pool.id, "Address": "10.1.9.9"}),
            self.driver.call("ReleaseAddress", {"PoolID": pool.id, "Address": "10.1.0.4"}),
            self.driver.call("ReleasePool", {"PoolID": pool.id}),
        ]
        assert {reply.status for reply in replies} == {503}
        return {reply.error() for reply in replies}

    def use(self) -> None:
        """Service as usual: what is released is free again, and is given out."""
        self.driver.release_address(self.network.pool, "10.1.0.4")
        assert self.driver.request_address(self.network.pool) == "10.1.0.4/16"
        self.driver.release_pool(self.driver.request_pool("10.2.0.0/24"))
        address = self.driver.request_address(self.network.pool)
        self.told[self.network.pool.id].append(address.partition("/")[0])
        pool = self.driver.request_pool()
        self.told[pool.id] = []

    def _first_network(self) -> Network:
        network = create_network(self.driver, SUBNET)
        for _ in range(5):
            start_container(self.driver, network)
        self.told[network.pool.id] = self.driver.leases(network.pool)
        return network


@pytest.fixture(autouse=True)
def schema(program: Program) -> None:
    program.write_schema(scope("10.0.0.0/8", 26))


# Full


def test_a_full_disk_refuses_every_change_with_the_reason_and_changes_nothing(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()

    refusal = client.request_pools_until_refused()
    any_disk.fill()
    sentences = client.refusals()

    assert sentences == {refusal.error()}
    assert refusal.error() == (
        f"the change could not be stored in {program.state} (No space left on device); nothing "
        "has been done. Make room there, or mend the disk, and try again"
    )
    assert client.held() == client.told


def test_when_there_is_room_again_service_goes_on_at_once(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()
    client.request_pools_until_refused()
    client.refusals()

    any_disk.make_room()
    client.use()

    assert client.held() == client.told
    client.restart()
    assert client.held() == client.told


def test_killed_and_started_on_a_full_disk_it_has_what_was_acknowledged(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()
    client.request_pools_until_refused()

    client.restart()
    any_disk.fill()

    assert client.held() == client.told
    client.request_pools_until_refused()
    client.refusals()
    assert client.held() == client.told
    any_disk.make_room()
    client.use()
    assert client.held() == client.told


def test_stopped_on_a_full_disk_it_keeps_what_was_acknowledged(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()
    client.request_pools_until_refused()

    assert program.stop() == 0
    client.start()

    assert client.held() == client.told


# Read only


def test_started_on_a_disk_that_is_read_only_it_says_so_and_later_has_everything(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    assert program.stop() == 0

    any_disk.remount("ro")
    client.start()
    client.driver.announce()
    sentences = client.refusals()
    assert program.stop() == 0
    any_disk.remount("rw")
    client.start()

    (sentence,) = sentences
    assert sentence.startswith(f"the state folder {program.state} cannot be used (Read-only file ")
    assert "mend that, then disable and enable the plugin" in sentence
    client.use()
    assert client.held() == client.told


def test_a_disk_that_is_read_only_keeps_nobody_from_giving_up_privileges(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    """The state is root's, as after a restore, and cannot be given to whom the process becomes."""
    client = Client(program, engine_a, ext4)
    assert program.stop() == 0
    program.user = "65532"

    ext4.remount("ro")
    client.start()
    client.driver.announce()
    (sentence,) = client.refusals()
    assert program.stop() == 0
    ext4.remount("rw")
    client.start()

    assert sentence.startswith(f"the state folder {program.state} cannot be used (")
    assert client.held() == client.told


def test_a_disk_that_turns_read_only_under_it_refuses_changes_and_goes_on_showing_what_is_held(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)

    ext4.turn_read_only()
    sentences = client.refusals()

    assert all("(Read-only file system)" in sentence for sentence in sentences)
    assert client.held() == client.told
    program.kill()
    ext4.mount_again()
    client.start()
    assert client.held() == client.told
    client.use()
    assert client.held() == client.told


def test_files_that_may_not_be_changed_are_refused_changes_until_they_may(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    paths = [Path("."), *(path.relative_to(ext4.inside) for path in ext4.inside.glob("*"))]

    ext4.change_attribute("+i", *paths)
    sentences = client.refusals()
    ext4.change_attribute("-i", *paths)

    assert all("(Operation not permitted)" in sentence for sentence in sentences)
    assert client.held() == client.told
    client.use()
    client.restart()
    assert client.held() == client.told


# A sync that fails


def test_a_sync_that_fails_acknowledges_nothing(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    """The kernel reports it once, and takes the pages for clean: a second sync would succeed, and
    nothing would be on the disk."""
    client = Client(program, engine_a, ext4)
    ext4.fail_syncs()

    client.request_pools_until_refused()

    assert ext4.room() > len(LONG_LABEL["id"]), "the file system itself is full"
    assert client.held() == client.told
    program.kill()
    ext4.mend_device()
    ext4.mount_again()
    client.start()
    assert client.held() == client.told


def test_after_a_sync_that_failed_service_goes_on_and_is_on_the_disk(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    ext4.fail_syncs()
    client.request_pools_until_refused()

    ext4.mend_device()
    client.use()

    assert client.held() == client.told
    program.kill()
    ext4.mount_again()
    client.start()
    assert client.held() == client.told


# A rename that fails


def test_a_rename_that_fails_delays_the_checkpoint_and_nothing_else(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    assert program.stop() == 0
    client.start()
    ext4.change_attribute("+a", Path("scopes"))

    client.use()
    assert program.stop() == 0
    assert program.logged("checkpoint failed", "Operation not permitted")
    client.start()

    assert client.held() == client.told
    ext4.change_attribute("-a", Path("scopes"))
    client.use()
    assert program.stop() == 0
    assert not list(ext4.inside.rglob("*.new"))
    client.start()
    assert client.held() == client.told


def test_a_disk_that_is_cut_off_keeps_what_was_acknowledged(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    client.use()

    ext4.cut_power()
    sentences = client.refusals()

    assert all("(Input/output error)" in sentence for sentence in sentences)
    assert client.held() == client.told
    program.kill()
    ext4.mount_again()
    client.start()
    assert client.held() == client.told
