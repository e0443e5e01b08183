"""What a node has to announce (/v1/routes), and how others wait until that changes."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.support.dockerd import (
    Driver,
    Engine,
    Reply,
    create_network,
    remove_network,
    request_bytes,
    start_container,
)
from tests.support.program import Program, wait_until

MOST_WATCHERS = 16
EXACT = "/v1/routes?exact=true"

NewDriver = Callable[[], Driver]


@pytest.fixture
def connect(program: Program, engine_a: Engine) -> NewDriver:
    """Opens connections to a program that runs."""
    program.start()
    # Which waits until the plan is loaded.
    program.driver(engine_a).get("/v1/pools")
    return lambda: program.driver(engine_a)


def watch(driver: Driver, version: str, seconds: int = 25) -> None:
    """Ask for the routes after this version, and do not wait for the answer."""
    driver.send(request_bytes("GET", f"{EXACT}&after={version}&wait={seconds}"))


def prefixes(reply: Reply) -> list[str]:
    return [route["prefix"] for route in reply.json()["routes"]]


def test_with_exact_the_subnet_of_each_network_is_a_route(connect: NewDriver) -> None:
    driver = connect()
    create_network(driver, families=[4, 6], options={"scope_filter_tags": "ingress"})

    answer = driver.get(EXACT)

    assert answer["routes"] == [
        {
            "prefix": "100.64.32.0/30",
            "kind": "exact",
            "scope": "100.64.32.0/20",
            "tags": ["ingress", "python_docker_ipam_default"],
            "state": "active",
            "pools": 1,
            "node": answer["node"],
        },
        *answer["routes"][1:],
    ]
    assert len(answer["routes"]) == 2


def test_without_exact_pools_by_themselves_are_not_announced(connect: NewDriver) -> None:
    driver = connect()
    create_network(driver)

    assert driver.get("/v1/routes")["routes"] == []


def test_routes_are_chosen_by_the_tags_of_their_scopes(connect: NewDriver) -> None:
    driver = connect()
    create_network(driver)
    create_network(driver, options={"scope_filter_tags": "ingress"})

    chosen = driver.get(f"{EXACT}&tags=ingress")

    assert [route["prefix"] for route in chosen["routes"]] == ["100.64.32.0/30"]


def test_pools_of_the_global_space_are_never_announced(connect: NewDriver) -> None:
    driver = connect()
    driver.announce()
    driver.request_pool("100.64.5.0/24", space="global")

    assert driver.get(EXACT)["routes"] == []


def test_the_version_stays_until_the_routes_change(connect: NewDriver) -> None:
    driver = connect()
    network = create_network(driver)
    before = driver.get(EXACT)["version"]
    start_container(driver, network)
    with_container = driver.get(EXACT)["version"]
    create_network(driver)

    assert with_container == before
    assert driver.get(EXACT)["version"] != before


def test_who_waits_is_answered_when_a_network_comes_and_when_it_goes(connect: NewDriver) -> None:
    driver, watcher = connect(), connect()
    before = driver.get(EXACT)["version"]

    watch(watcher, before)
    network = create_network(driver)
    come = watcher.read()
    watch(watcher, come.json()["version"])
    remove_network(driver, network)
    gone = watcher.read()

    assert prefixes(come) == network.subnets
    assert prefixes(gone) == []
    assert gone.json()["version"] == before


def test_who_knows_another_version_does_not_wait(connect: NewDriver) -> None:
    driver = connect()

    watch(driver, "another")

    assert prefixes(driver.read()) == []


def test_who_waits_in_vain_is_answered_in_the_end(connect: NewDriver) -> None:
    driver = connect()
    before = driver.get(EXACT)["version"]

    watch(driver, before, seconds=1)

    assert driver.read().json()["version"] == before


def test_those_who_wait_keep_no_view_and_no_call_waiting(connect: NewDriver) -> None:
    driver = connect()
    before = driver.get("/v1/routes")["version"]
    for watcher in [connect() for _ in range(MOST_WATCHERS)]:
        watcher.send(request_bytes("GET", f"/v1/routes?after={before}&wait=25"))

    create_network(driver)

    assert len(driver.get("/v1/pools")) == 1


def test_too_many_who_wait_are_refused_until_one_has_gone(connect: NewDriver) -> None:
    driver = connect()
    before = driver.get(EXACT)["version"]
    watchers = [connect() for _ in range(MOST_WATCHERS)]
    for watcher in watchers:
        watcher.announce()
    for watcher in watchers:
        watch(watcher, before)
    # What comes later has been taken in later.
    driver.get("/v1/status")

    refused = driver.raw("GET", f"{EXACT}&after={before}&wait=1")
    watchers[0].close()

    assert refused.status == 503
    assert refused.error().startswith("16 programs wait for other routes already;")
    wait_until(
        lambda: driver.raw("GET", f"{EXACT}&after={before}&wait=1").status == 200,
        "there is room for another one",
    )


@pytest.mark.parametrize("seconds", ["26", "-1", "x"])
def test_a_time_that_cannot_be_waited_is_refused(connect: NewDriver, seconds: str) -> None:
    refused = connect().raw("GET", f"/v1/routes?wait={seconds}")

    assert refused.status == 400
    assert refused.error() == f"wait='{seconds}' must be a number from 0 to 25"


def test_those_who_wait_are_answered_when_the_plugin_stops(
    connect: NewDriver, program: Program
) -> None:
    driver, watcher = connect(), connect()
    before = driver.get(EXACT)["version"]
    watch(watcher, before)
    # Its answer comes after the other request was taken in.
    driver.get("/v1/status")

    program.signal(signal.SIGTERM)

    assert watcher.read().json()["version"] == before
    assert program.wait() == 0


def test_state_that_cannot_be_read_is_not_an_empty_list(
    connect: NewDriver, program: Program, engine_a: Engine
) -> None:
    create_network(connect())
    program.stop()
    (manifest,) = program.state.glob("manifest*")
    manifest.write_text("corrupted")
    program.start()

    assert program.driver(engine_a).raw("GET", "/v1/routes?wait=25").status == 503
