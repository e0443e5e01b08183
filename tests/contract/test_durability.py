"""What the program has acknowledged is there after any end, and under any layout."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.support.dockerd import (
    Driver,
    Engine,
    create_network,
    start_container,
)
from tests.support.program import Program, wait_until


def pools_in(driver: Driver) -> dict[str, object]:
    return {pool["id"]: pool for pool in driver.get("/v1/pools")}


def test_everything_acknowledged_survives_a_kill(program: Program, engine_a: Engine) -> None:
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


def test_a_kill_under_load_loses_nothing_acknowledged_and_gives_no_address_twice(
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
    program.wait()
    program.start()
    driver = program.driver(engine_a)
    leased = driver.leases(pool)
    acknowledged = {address.partition("/")[0] for address in given}
    assert len(acknowledged) == len(given)
    assert acknowledged <= set(leased)
    assert len(leased) <= len(given) + 1 + len(drivers)
    assert driver.request_address(pool).partition("/")[0] not in leased


def test_the_store_layout_can_change_between_two_runs(program: Program, engine_a: Engine) -> None:
    program.start(STORE_LAYOUT="scope")
    network = create_network(program.driver(engine_a), families=[4, 6])
    assert program.stop() == 0

    program.start(STORE_LAYOUT="single")

    assert program.driver(engine_a).held() == sorted(pool.id for pool in network.gateways)
    assert program.stop() == 0
    assert [path.name for path in program.state.glob("scopes/*")] == ["all.json"]
