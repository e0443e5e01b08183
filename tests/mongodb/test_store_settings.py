"""STORE_URL, the credentials file and NODE_NAME: what is refused, with which message, and what is
never shown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.mongodb.guarded import PASSWORD, GuardedServer
from tests.mongodb.load import GRACE_SECONDS
from tests.mongodb.nodes import SharedPlan
from tests.support.dockerd import Driver, Engine, create_network, start_container
from tests.support.mongodb.hosts import Host, new_host
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import Document, Member, loopback_places
from tests.support.program import Program, new_program, wait_until


def failure(driver: Driver) -> str:
    return str(driver.get("/v1/status")["failure"])


def assert_never_shown(secret: str, program: Program, driver: Driver) -> None:
    """Neither in the status nor in the log."""
    assert secret not in json.dumps(driver.get("/v1/status"))
    assert not program.logged(secret)


@pytest.fixture
def bare_program() -> Iterator[Program]:
    """A plugin that was never started, and has no settings."""
    with new_program({}) as program:
        yield program


@pytest.fixture
def host(plan: SharedPlan, repaired_afterwards: None) -> Iterator[Host]:
    """A host whose plugin was never started. Some tests make its database unavailable."""
    with new_host(plan.address.url, "nodea", {}) as host:
        yield host


# A URL that cannot be used


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mongodb+srv://me:hunter2@cluster.test", "needs a resolver that the plugin does not have"),
        ("redis://me:hunter2@127.0.0.1", "it must have the form mongodb://HOST1,HOST2,HOST3/"),
        ("mongodb://me:hunter2@127.0.0.1/?w=1", "what was given out could be lost"),
        ("mongodb://me:hunter2@127.0.0.1/?tls=perhaps", "cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_refuses_every_call_with_the_reason(
    bare_program: Program, engine_a: Engine, url: str, reason: str
) -> None:
    bare_program.start(STORE_URL=url)
    driver = bare_program.driver(engine_a)
    driver.announce()

    assert reason in driver.pool_error()
    assert reason in failure(driver)
    # It does not start another plan in files.
    assert not list(bare_program.state.glob("*.json"))
    assert_never_shown("hunter2", bare_program, driver)


def test_an_invalid_node_name_refuses_every_call(bare_program: Program, engine_a: Engine) -> None:
    bare_program.start(STORE_URL="mongodb://127.0.0.1/", NODE_NAME="rack1/web1")
    driver = bare_program.driver(engine_a)

    assert "except '/' and '@'" in driver.pool_error()
    assert "except '/' and '@'" in failure(driver)


def test_a_single_server_is_refused_with_the_reason(
    bare_program: Program, engine_a: Engine, tmp_path: Path
) -> None:
    (place,) = loopback_places(1)
    single = Member(ensure_mongod(), tmp_path / "single", place)
    single.start()
    try:
        single.wait_until_it_answers()
        bare_program.start(STORE_URL=f"mongodb://{place}")
        driver = bare_program.driver(engine_a)

        assert "it is a single server, where a crash loses what was given out" in (
            driver.pool_error()
        )
    finally:
        single.kill()


# The database is away


def test_a_plugin_that_starts_without_its_database_says_so_and_works_once_it_is_back(
    plan: SharedPlan, host: Host
) -> None:
    plan.replica_set.kill_all()
    host.program.start()
    driver = host.connect()

    begin = time.monotonic()
    driver.raw("POST", "/Plugin.Activate").json()
    driver.call("GetDefaultAddressSpaces").json()
    assert time.monotonic() - begin < 5.0 + GRACE_SECONDS
    assert "no primary can be reached" in driver.call("GetCapabilities").error()
    assert "no primary can be reached" in driver.pool_error()
    assert "no primary can be reached" in failure(driver)
    plan.replica_set.repair()
    wait_until(lambda: host.failure() is None, "the database is found")
    driver.announce()

    assert create_network(driver).subnets == ["100.64.0.0/30"]
    wait_until(lambda: host.program.logged("the state can be used again"), "it says so")
    # Not for each call that failed. On a busy machine the database may fail once more.
    said = [line for line in host.program.log() if "the state ca" in line]
    assert all(line != next_line for line, next_line in pairwise(said)), said


def test_views_are_answered_while_a_call_waits_for_the_database(
    plan: SharedPlan, host: Host
) -> None:
    driver, caller = host.start(), host.connect()
    network = create_network(driver)
    plan.replica_set.kill_all()
    caller.send(b"POST /IpamDriver.RequestPool HTTP/1.1\r\nHost: \r\nContent-Length: 38\r\n\r\n")
    caller.send(b'{"AddressSpace":"local","Pool":"10::"}')
    time.sleep(1)

    begin = time.monotonic()
    assert "no primary can be reached" in failure(driver)
    assert driver.held() == [network.pool.id]
    assert driver.leases(network.pool) == ["100.64.0.1"]
    assert len(driver.get("/v1/scopes")) > 1
    assert time.monotonic() - begin < 5.0 + GRACE_SECONDS


# Two processes for one node


def test_a_second_process_of_a_node_ends_the_service_of_the_first(
    plan: SharedPlan, host: Host
) -> None:
    driver = host.start()
    network = create_network(driver)
    with new_host(plan.address.url, "nodea", {}) as second:
        newer = second.start()

        wait_until(lambda: host.failure() is not None, "the first process notices the second")

        assert "another process has begun to serve the node 'nodea'" in driver.pool_error()
        assert "give each host a NODE_NAME of its own" in failure(driver)
        assert host.program.logged("level=ERROR", "another process has begun to serve")
        assert newer.held() == [network.pool.id]
        assert create_network(newer).subnets == ["100.64.0.4/30"]


# A host that never comes back


def test_what_a_lost_host_held_is_free_after_it_was_deleted(plan: SharedPlan, host: Host) -> None:
    driver = host.start()
    start_container(driver, create_network(driver))
    host.program.kill()
    # As docs/mongodb.md says.
    plan.database.pools.delete_many({"_id": {"$regex": "^local@nodea/"}})
    plan.database.leases.delete_many({"_id": {"$regex": "^local@nodea/"}})
    plan.database.drivers.delete_many({"node": "nodea"})
    plan.database.nodes.delete_one({"_id": "nodea"})

    with new_host(plan.address.url, "nodeb", {}) as other:
        network = create_network(other.start())
        assert network.subnets == ["100.64.0.0/30"]
        assert start_container(other.connect(), network) == ["100.64.0.2/30"]


def test_the_host_that_replaces_a_lost_one_has_what_that_held(plan: SharedPlan, host: Host) -> None:
    driver = host.start()
    lost = create_network(driver)
    host.program.kill()

    with new_host(plan.address.url, "nodea", {}) as replacement:
        driver = replacement.start()
        assert driver.held() == [lost.pool.id]
        assert create_network(driver).subnets == ["100.64.0.4/30"]


# Credentials


@pytest.fixture
def credentials_file(tmp_path: Path, credentials: Document) -> Path:
    return written(tmp_path, credentials)


def written(folder: Path, content: Document) -> Path:
    path = folder / "credentials.json"
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    return path


def test_credentials_and_certificates_come_from_the_mounted_file(
    bare_program: Program, engine_a: Engine, guarded: GuardedServer, credentials_file: Path
) -> None:
    settings = {"STORE_URL": guarded.url, "PYIPAM_CREDENTIALS": str(credentials_file)}
    bare_program.start(LOG_LEVEL="debug", **settings)
    driver = bare_program.driver(engine_a)
    driver.announce()
    network = create_network(driver)

    bare_program.kill()
    bare_program.start(LOG_LEVEL="debug", **settings)
    driver = bare_program.driver(engine_a)

    assert start_container(driver, network) == ["100.64.0.2/30"]
    driver.release_pool(network.pool)
    # Its user is also allowed what the plugin does in the background.
    assert not bare_program.logged("not authorized")
    assert_never_shown(PASSWORD, bare_program, driver)


def test_a_wrong_password_is_reported_but_not_shown(
    bare_program: Program,
    engine_a: Engine,
    guarded: GuardedServer,
    credentials: Document,
    tmp_path: Path,
) -> None:
    path = written(tmp_path, credentials | {"password": "wr0ng"})
    bare_program.start(STORE_URL=guarded.url, PYIPAM_CREDENTIALS=str(path))
    driver = bare_program.driver(engine_a)

    assert "Authentication failed" in driver.pool_error()
    assert "Authentication failed" in failure(driver)
    assert_never_shown("wr0ng", bare_program, driver)


def test_a_credentials_file_that_cannot_be_read_is_said_and_not_shown(
    bare_program: Program, engine_a: Engine, guarded: GuardedServer, tmp_path: Path
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text('{"username": "pyipam", "password": "s3cr3t}')
    bare_program.start(STORE_URL=guarded.url, PYIPAM_CREDENTIALS=str(path))
    driver = bare_program.driver(engine_a)

    assert "the credentials file is not valid JSON: line 1" in driver.pool_error()
    assert_never_shown("s3cr3t", bare_program, driver)
