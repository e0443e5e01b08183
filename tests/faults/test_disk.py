"""A disk that fails: changes are refused with the reason, and service resumes when it can."""

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
from tests.support.program import UNPRIVILEGED_UID, Program, scope

SUBNET = "10.1.0.0/16"
# So that a second network on the subnet is refused for no other reason than the disk.
SHARED = {"shared": "true"}
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
    """A small file system of each kind."""
    made: Disk = request.getfixturevalue(request.param)
    return made


class Client:
    """Docker's side: calls the plugin, and knows what it has been given."""

    def __init__(self, program: Program, engine: Engine, disk: Disk) -> None:
        self._program = program
        self._engine = engine
        self._disk = disk
        self.given: dict[str, list[str]] = {}
        self.start()
        self.network = self._first_network()

    def start(self) -> None:
        """Start the plugin and connect to it."""
        self._program.start(*self._disk.way_in)
        self.driver = self._program.driver(self._engine)

    def restart(self) -> None:
        """Kill the plugin and start it again."""
        self._program.kill()
        self.start()

    def held(self) -> dict[str, list[str]]:
        """The pools that the views show, with their leases."""
        return {pool: self.driver.leases(Pool(pool, "")) for pool in self.driver.held()}

    def request_pools_until_refused(self) -> Reply:
        """Fill the room that the journal has; the refusal that ends it."""
        for _ in range(MOST_CALLS):
            reply = self.driver.call("RequestPool", pool_request(options=LONG_LABEL))
            if reply.status != 200:
                return reply
            self.given[reply.json()["PoolID"]] = []
        raise AssertionError(f"{MOST_CALLS} pools were given out, and none was refused")

    def refusals(self) -> set[str]:
        """Make every call that changes something, each of which must be refused with 503; the
        messages."""
        pool = self.network.pool
        replies = [
            self.driver.call("RequestPool", pool_request()),
            self.driver.call("RequestPool", pool_request("10.2.0.0/24")),
            self.driver.call("RequestPool", pool_request(SUBNET, options=SHARED)),
            self.driver.call("RequestAddress", {"PoolID": pool.id, "Address": ""}),
            self.driver.call("RequestAddress", {"PoolID": pool.id, "Address": "10.1.9.9"}),
            self.driver.call("ReleaseAddress", {"PoolID": pool.id, "Address": "10.1.0.4"}),
            self.driver.call("ReleasePool", {"PoolID": pool.id}),
        ]
        assert {reply.status for reply in replies} == {503}
        return {reply.error() for reply in replies}

    def use(self) -> None:
        """Release and request, which must work as usual."""
        self.driver.release_address(self.network.pool, "10.1.0.4")
        assert self.driver.request_address(self.network.pool) == "10.1.0.4/16"
        self.driver.release_pool(self.driver.request_pool("10.2.0.0/24"))
        address = self.driver.request_address(self.network.pool)
        self.given[self.network.pool.id].append(address.partition("/")[0])
        pool = self.driver.request_pool()
        self.given[pool.id] = []

    def _first_network(self) -> Network:
        network = create_network(self.driver, SUBNET, options=SHARED)
        for _ in range(5):
            start_container(self.driver, network)
        self.given[network.pool.id] = self.driver.leases(network.pool)
        return network


@pytest.fixture(autouse=True)
def schema(program: Program) -> None:
    program.write_schema(scope("10.0.0.0/8", 26))


# A full disk


def test_a_full_disk_refuses_every_change_with_the_reason_and_changes_nothing(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()

    refusal = client.request_pools_until_refused()
    any_disk.fill()
    messages = client.refusals()

    assert messages == {refusal.error()}
    assert refusal.error() == (
        f"the change could not be stored in {program.state} (No space left on device); nothing "
        "has been done. Free space there, or repair the disk, and try again"
    )
    assert client.held() == client.given


def test_service_resumes_as_soon_as_there_is_room(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()
    client.request_pools_until_refused()
    client.refusals()

    any_disk.make_room()
    client.use()

    assert client.held() == client.given
    client.restart()
    assert client.held() == client.given


def test_a_kill_on_a_full_disk_loses_nothing_acknowledged(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()
    client.request_pools_until_refused()

    client.restart()
    any_disk.fill()

    assert client.held() == client.given
    client.request_pools_until_refused()
    client.refusals()
    assert client.held() == client.given
    any_disk.make_room()
    client.use()
    assert client.held() == client.given


def test_a_stop_on_a_full_disk_loses_nothing_acknowledged(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    any_disk.fill()
    client.request_pools_until_refused()

    assert program.stop() == 0
    client.start()

    assert client.held() == client.given


# A read-only disk


def test_a_start_on_a_read_only_disk_reports_it_and_loses_nothing(
    program: Program, engine_a: Engine, any_disk: Disk
) -> None:
    client = Client(program, engine_a, any_disk)
    assert program.stop() == 0

    any_disk.remount("ro")
    client.start()
    client.driver.announce()
    messages = client.refusals()
    assert program.stop() == 0
    any_disk.remount("rw")
    client.start()

    (message,) = messages
    assert message.startswith(f"the state folder {program.state} cannot be used (Read-only file ")
    assert "fix that, then disable and enable the plugin" in message
    client.use()
    assert client.held() == client.given


def test_an_unprivileged_process_reports_a_read_only_disk_and_loses_nothing(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    """The state belongs to root, as after a restore, and its owner cannot be changed."""
    client = Client(program, engine_a, ext4)
    assert program.stop() == 0
    program.user = str(UNPRIVILEGED_UID)

    ext4.remount("ro")
    client.start()
    client.driver.announce()
    (message,) = client.refusals()
    assert program.stop() == 0
    ext4.remount("rw")
    client.start()

    assert message.startswith(f"the state folder {program.state} cannot be used (")
    assert client.held() == client.given


def test_a_disk_that_becomes_read_only_refuses_changes_and_still_shows_what_is_held(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)

    ext4.turn_read_only()
    messages = client.refusals()

    assert all("(Read-only file system)" in message for message in messages)
    assert client.held() == client.given
    program.kill()
    ext4.mount_again()
    client.start()
    assert client.held() == client.given
    client.use()
    assert client.held() == client.given


def test_immutable_files_refuse_changes_until_they_are_mutable_again(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    paths = [Path("."), *(path.relative_to(ext4.inside) for path in ext4.inside.glob("*"))]

    ext4.change_attribute("+i", *paths)
    messages = client.refusals()
    ext4.change_attribute("-i", *paths)

    assert all("(Operation not permitted)" in message for message in messages)
    assert client.held() == client.given
    client.use()
    client.restart()
    assert client.held() == client.given


# A failed sync


def test_a_failed_sync_acknowledges_nothing(program: Program, engine_a: Engine, ext4: Disk) -> None:
    """The kernel reports the failure once, and marks the pages clean: a second sync would succeed,
    with nothing on the disk."""
    client = Client(program, engine_a, ext4)
    ext4.fail_syncs()

    client.request_pools_until_refused()

    assert ext4.room() > len(LONG_LABEL["id"]), "the file system itself is full"
    assert client.held() == client.given
    program.kill()
    ext4.repair_device()
    ext4.mount_again()
    client.start()
    assert client.held() == client.given


def test_changes_after_a_failed_sync_reach_the_disk(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    ext4.fail_syncs()
    client.request_pools_until_refused()

    ext4.repair_device()
    client.use()

    assert client.held() == client.given
    program.kill()
    ext4.mount_again()
    client.start()
    assert client.held() == client.given


# A failed rename


def test_a_failed_rename_only_delays_the_checkpoint(
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

    assert client.held() == client.given
    ext4.change_attribute("-a", Path("scopes"))
    client.use()
    assert program.stop() == 0
    assert not list(ext4.inside.rglob("*.new"))
    client.start()
    assert client.held() == client.given


def test_a_disk_that_is_cut_off_loses_nothing_acknowledged(
    program: Program, engine_a: Engine, ext4: Disk
) -> None:
    client = Client(program, engine_a, ext4)
    client.use()

    ext4.cut_power()
    messages = client.refusals()

    assert all("(Input/output error)" in message for message in messages)
    assert client.held() == client.given
    program.kill()
    ext4.mount_again()
    client.start()
    assert client.held() == client.given
