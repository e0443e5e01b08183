"""The process: how it starts and ends, and what it keeps whatever ends it."""

from __future__ import annotations

import os
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from tinydb import TinyDB

from tests.support.dockerd import (
    GATEWAY,
    Driver,
    Engine,
    Pool,
    create_network,
    go_json,
    pool_request,
    replay,
    request_bytes,
    start_container,
)
from tests.support.program import COMMIT_TIMEOUT_SECONDS, Program, wait_until

SUBNET = "100.64.5.0/24"
UNPRIVILEGED = 65532

# A mount of its own for the process that follows.
OWN_MOUNTS = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "-m", "-U", "-r"]


def documents_in(state: Path) -> dict[str, list[str]]:
    """What plain TinyDB finds: for each table the addresses and pool ids."""
    found: dict[str, list[str]] = {}
    for path in sorted(state.glob("scopes/*.json")):
        with TinyDB(path) as database:
            for name in database.tables() - {"_pyipam"}:
                documents = database.table(name).all()
                found[name] = sorted(d.get("address") or d["id"] for d in documents)
    return found


def pools_in(driver: Driver) -> dict[str, object]:
    return {pool["id"]: pool for pool in driver.get("/v1/pools")}


# What it keeps


def test_everything_acknowledged_is_there_after_a_kill(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    networks = [create_network(driver, families=[4, 6], options={"prefix": "28"}) for _ in range(5)]
    for network in networks:
        start_container(driver, network)
    driver.release_address(networks[0].pool_of(4), "100.64.0.2")
    before = pools_in(driver)

    program.restart()
    driver = program.driver(engine_a)

    assert pools_in(driver) == before
    assert driver.leases(networks[0].pool_of(4)) == ["100.64.0.1"]
    assert driver.leases(networks[4].pool_of(6)) == ["fc00:f00f:0:4::1", "fc00:f00f:0:4::2"]


def test_killed_under_load_it_keeps_what_it_acknowledged_and_gives_nothing_twice(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    pool = create_network(program.driver(engine_a), "100.64.8.0/21").pool
    drivers = [program.driver(engine_a) for _ in range(8)]
    given: list[str] = []

    def load(driver: Driver) -> None:
        with suppress(EOFError, ConnectionError, ValueError):
            while True:
                given.append(driver.request_address(pool))

    with ThreadPoolExecutor(len(drivers)) as threads:
        running = [threads.submit(load, driver) for driver in drivers]
        wait_until(lambda: len(given) > 200, "a load is on")
        program.signal(signal.SIGKILL)
        for future in running:
            future.result()
    program.wait(COMMIT_TIMEOUT_SECONDS)
    program.start()
    driver = program.driver(engine_a)
    leased = driver.leases(pool)
    acknowledged = {address.partition("/")[0] for address in given}
    assert len(acknowledged) == len(given)
    assert acknowledged <= set(leased)
    assert len(leased) <= len(given) + 1 + len(drivers)
    assert driver.request_address(pool).partition("/")[0] not in leased


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_files_that_plain_tinydb_opens(
    program: Program, engine_a: Engine, number: signal.Signals
) -> None:
    program.start()
    driver = program.driver(engine_a)
    start_container(driver, create_network(driver, families=[4, 6]))

    assert program.stop(number) == 0

    assert documents_in(program.state) == {
        "100.64.0.0/30": ["100.64.0.1", "100.64.0.2", "local/100.64.0.0/30"],
        "fc00:f00f::/64": ["fc00:f00f::1", "fc00:f00f::2", "local/fc00:f00f::/64"],
    }


def test_told_to_stop_twice_it_stops_in_good_order(program: Program, engine_a: Engine) -> None:
    program.start()
    create_network(program.driver(engine_a))

    assert program.stop(times=3) in (0, -signal.SIGTERM)

    assert "100.64.0.0/30" in documents_in(program.state)
    assert program.log()[-1] == "level=INFO stopped"


def test_told_to_stop_while_it_starts_it_stops(program: Program) -> None:
    for _ in range(5):
        program.start()
        assert program.stop() == 0


def test_the_layout_of_the_files_may_change_between_two_runs(
    program: Program, engine_a: Engine
) -> None:
    program.start(STORE_LAYOUT="scope")
    network = create_network(program.driver(engine_a), families=[4, 6])
    assert program.stop() == 0

    program.start(STORE_LAYOUT="single")

    assert program.driver(engine_a).held() == sorted(pool.id for pool in network.gateways)
    assert program.stop() == 0
    assert [path.name for path in program.state.glob("scopes/*")] == ["all.json"]


# How it starts


class SlowState:
    """A state folder that cannot be read before `come` is called."""

    def __init__(self, program: Program) -> None:
        self._manifest = program.state / "manifest.json"
        self._content = self._manifest.read_bytes()
        self._manifest.unlink()
        os.mkfifo(self._manifest)

    def come(self) -> None:
        # The reader has it open, and gets all that was written before it is closed.
        reader = os.open(self._manifest, os.O_WRONLY)
        self._manifest.unlink()
        self._manifest.write_bytes(self._content)
        os.write(reader, self._content)
        os.close(reader)


def test_it_announces_what_it_can_do_before_its_state_is_read(
    program: Program, engine_a: Engine
) -> None:
    """dockerd enables a plugin that has answered this, and starts with it."""
    program.start()
    create_network(program.driver(engine_a))
    assert program.stop() == 0
    state = SlowState(program)

    program.start()
    program.driver(engine_a).announce()

    state.come()


def test_calls_that_come_before_its_state_is_read_are_answered_with_what_is_in_it(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0
    state = SlowState(program)
    program.start()
    driver, viewer = program.driver(engine_a), program.driver(engine_a)
    driver.announce()

    driver.send(request_bytes("POST", "/IpamDriver.RequestPool", go_json(pool_request()).encode()))
    viewer.send(request_bytes("GET", "/v1/pools"))
    program.driver(engine_a).announce()
    state.come()

    assert driver.read().json()["PoolID"] == "local/100.64.0.4/30"
    assert network.pool.id in [pool["id"] for pool in viewer.read().json()]


def test_an_engine_that_announced_itself_before_the_state_is_read_has_begun_an_epoch(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver)
    start_container(driver, network)
    assert program.stop() == 0
    state = SlowState(program)
    program.start()
    driver = program.driver(engine_b)
    driver.announce()
    state.come()

    assert [pool["claimed"] for pool in driver.get("/v1/pools")] == [False]
    replay(driver, network)

    assert [pool["claimed"] for pool in driver.get("/v1/pools")] == [True]
    assert driver.references(network.pool) == 1


def test_told_to_stop_before_its_state_is_read_it_leaves_that_as_it_was(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0
    state = SlowState(program)
    program.start()
    program.driver(engine_a).announce()
    program.signal(signal.SIGTERM)
    state.come()
    assert program.wait(COMMIT_TIMEOUT_SECONDS) == 0

    program.start()
    assert program.driver(engine_a).held() == [network.pool.id]


def test_a_call_that_comes_before_the_state_is_loaded_waits_for_it(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0

    # `start` returns when the socket listens, long before anything else is ready.
    program.start()

    assert program.driver(engine_a).held() == [network.pool.id]


def test_a_socket_that_a_crash_left_behind_is_replaced(program: Program, engine_a: Engine) -> None:
    program.start()
    program.kill()
    left = program.socket()
    assert stat.S_ISSOCK(left.stat().st_mode)

    program.start_over_old_sockets()

    assert create_network(program.driver(engine_a)).subnets == ["100.64.0.0/30"]


def test_a_second_process_on_the_state_answers_with_what_is_wrong(
    program: Program, second_program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    second_program.state = program.state

    second_program.start()
    driver = second_program.driver(engine_a)
    error = driver.pool_error()

    assert error == (
        f"the state folder {program.state} is in use by another process; stop it first (a plugin "
        "with docker plugin disable)"
    )
    assert driver.call("GetCapabilities").json()["RequiresRequestReplay"] is True
    assert driver.get("/v1/status")["failure"] == error
    assert second_program.stop() == 0
    assert start_container(program.driver(engine_a), network) == ["100.64.0.2/30"]


def test_it_gives_up_its_privileges(program: Program, engine_a: Engine) -> None:
    program.user = str(UNPRIVILEGED)
    program.write_schema({"network": "10.0.0.0", "prefix": 8, "child_prefix": 24})
    program.schema.chmod(0o600)
    program.start()
    driver = program.driver(engine_a)

    assert create_network(driver).subnets == ["10.0.0.0/24"]

    assert program.process is not None
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    wanted = UNPRIVILEGED if os.getuid() == 0 else os.getuid()
    assert fields["Uid"].split() == [str(wanted)] * 4
    if os.getuid() == 0:
        assert fields["Gid"].split() == [str(UNPRIVILEGED)] * 4
        assert fields["Groups"].split() == []
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert {path.stat().st_uid for path in program.state.rglob("*")} == {wanted}


def test_without_privileges_it_takes_over_the_state_that_root_wrote(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0

    program.user = str(UNPRIVILEGED)
    program.start()
    assert start_container(program.driver(engine_a), network) == ["100.64.0.2/30"]
    assert program.stop() == 0

    program.start()
    assert program.driver(engine_a).leases(network.pool) == ["100.64.0.1", "100.64.0.2"]


def test_without_privileges_an_edit_of_a_schema_that_only_root_may_read_is_noticed(
    program: Program, engine_a: Engine
) -> None:
    program.user = str(UNPRIVILEGED)
    program.write_schema({"network": "10.0.0.0", "prefix": 8, "child_prefix": 24})
    program.schema.chmod(0o600)
    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    program.write_schema({"network": "172.16.0.0", "prefix": 12, "child_prefix": 24})

    wait_until(lambda: driver.get("/v1/scopes")[0]["network"] == "172.16.0.0/12", "it is noticed")


# When the state cannot be used


@pytest.fixture
def corrupted(program: Program, engine_a: Engine) -> Path:
    """A state with a flipped bit: the file that has it."""
    program.start()
    create_network(program.driver(engine_a))
    assert program.stop() == 0
    (path,) = program.state.glob("scopes/*.json")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def test_a_corrupted_state_answers_every_call_with_what_is_wrong_and_what_to_do(
    program: Program, engine_a: Engine, corrupted: Path
) -> None:
    program.start()
    driver = program.driver(engine_a)
    pool = Pool("local/100.64.0.0/30", "100.64.0.0/30")
    answers = [
        driver.pool_error(),
        driver.pool_error(SUBNET),
        driver.address_error(pool),
        driver.address_error(pool, "100.64.0.1", GATEWAY),
        driver.call("ReleaseAddress", {"PoolID": pool.id, "Address": "100.64.0.1"}).error(),
        driver.call("ReleasePool", {"PoolID": pool.id}).error(),
        driver.raw("GET", "/v1/pools").error(),
    ]

    assert set(answers) == {answers[0]}
    assert answers[0].startswith(f"the state is corrupted: {corrupted} at byte ")
    assert "Restore the state folder from a backup" in answers[0]


def test_a_corrupted_state_does_not_keep_the_plugin_from_being_enabled(
    program: Program, engine_a: Engine, corrupted: Path
) -> None:
    program.start()
    driver = program.driver(engine_a)

    driver.announce()

    assert str(corrupted) in driver.get("/v1/status")["failure"]
    wait_until(lambda: program.logged("level=ERROR", str(corrupted)), "it is in the log")


def test_a_corrupted_state_is_not_written_to(
    program: Program, engine_a: Engine, corrupted: Path
) -> None:
    def files() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in program.state.rglob("*") if p.is_file()}

    before = files()
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    driver.pool_error()
    assert program.stop() == 0

    assert files() == before


def test_a_state_folder_that_cannot_be_used_is_no_trace(program: Program, engine_a: Engine) -> None:
    program.state.mkdir()
    (program.state / "lock").mkdir()

    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    assert driver.pool_error().startswith(
        f"the state folder {program.state} cannot be used (Is a directory"
    )


def test_a_file_in_place_of_the_state_folder_is_no_trace(
    program: Program, engine_a: Engine
) -> None:
    program.state.write_text("a file in its place")

    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    assert driver.pool_error().startswith(
        f"the state folder {program.state} cannot be used (File exists"
    )


def test_a_full_disk_refuses_what_it_cannot_keep_until_there_is_room(
    program: Program, engine_a: Engine
) -> None:
    program.state.mkdir()
    mount = f'mount -t tmpfs -o size=256k none "{program.state}" && exec "$0" "$@"'
    program.start(*OWN_MOUNTS, "sh", "-c", mount)
    driver = program.driver(engine_a)
    network = create_network(driver, SUBNET)
    assert program.process is not None
    inside = Path(f"/proc/{program.process.pid}/root") / program.state.relative_to("/")
    filler = inside / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass

    # More than a page, of which a part may be free.
    large = {"id": "x" * 1000, "scope_filter_tags": ",".join(["default"] * 500)}
    reply = driver.call("RequestPool", {"AddressSpace": "local", "Options": large})
    assert reply.status == 503
    assert "could not be stored" in reply.error()
    assert "No space left on device" in reply.error()
    assert driver.held() == [network.pool.id]

    filler.unlink()
    assert driver.request_pool(options=large).subnet == "100.64.0.0/30"


# Connections


def test_idle_connections_do_not_keep_it_from_stopping(program: Program, engine_a: Engine) -> None:
    program.start()
    idle = [program.driver(engine_a) for _ in range(50)]
    idle[0].announce()

    assert program.stop() == 0


def test_a_call_that_has_begun_is_answered_before_it_stops(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    driver.send(request_bytes("POST", "/IpamDriver.RequestPool", b'{"AddressSpace":"local"}'))
    wait_until(lambda: program.logged("pool=local/100.64.0.0/30"), "the call is served")
    program.signal(signal.SIGTERM)

    assert driver.read().json()["PoolID"] == "local/100.64.0.0/30"
    assert program.wait(3) == 0


def test_hundreds_of_connections_are_served(program: Program, engine_a: Engine) -> None:
    program.start()
    drivers = [program.driver(engine_a) for _ in range(300)]

    for driver in drivers:
        assert driver.call("GetDefaultAddressSpaces").status == 200


def test_nobody_but_the_owner_may_connect(program: Program) -> None:
    program.start()

    assert program.socket().stat().st_mode & stat.S_IWOTH == 0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(program.socket()))


# Calls that nobody waits for any more


def test_what_a_client_asked_for_that_has_gone_is_not_given(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver)
    assert program.process is not None
    program.signal(signal.SIGSTOP)
    for name, body in (
        ("RequestPool", {"AddressSpace": "local"}),
        ("RequestAddress", {"PoolID": network.pool.id}),
        ("ReleaseAddress", {"PoolID": network.pool.id, "Address": "100.64.0.1"}),
    ):
        gone = program.driver(engine_a)
        gone.send(request_bytes("POST", f"/IpamDriver.{name}", go_json(body).encode()))
        gone.close()
    program.signal(signal.SIGCONT)

    wait_until(lambda: driver.leases(network.pool) == [], "the release is done")
    wait_until(lambda: len(dropped(program)) == 2, "the others are dropped")
    assert driver.held() == [network.pool.id]
    assert [line.rpartition("call=")[2] for line in dropped(program)] == [
        "/IpamDriver.RequestPool",
        "/IpamDriver.RequestAddress",
    ]


def dropped(program: Program) -> list[str]:
    return [line for line in program.log() if "call dropped, as its client has gone" in line]
