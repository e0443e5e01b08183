"""How the program starts, and what it answers before its state is loaded."""

from __future__ import annotations

import os
import signal
import stat

from tests.support.dockerd import (
    Engine,
    create_network,
    go_json,
    pool_request,
    replay,
    request_bytes,
    start_container,
)
from tests.support.program import Program


class SlowState:
    """A state folder that cannot be read until `let_load` is called."""

    def __init__(self, program: Program) -> None:
        self._manifest = program.state / "manifest.json"
        self._content = self._manifest.read_bytes()
        self._manifest.unlink()
        os.mkfifo(self._manifest)

    def let_load(self) -> None:
        """Let the program read its state."""
        # The program has the FIFO open, and reads all that is written before it is closed.
        reader = os.open(self._manifest, os.O_WRONLY)
        self._manifest.unlink()
        self._manifest.write_bytes(self._content)
        os.write(reader, self._content)
        os.close(reader)


def test_capabilities_are_announced_before_the_state_is_loaded(
    program: Program, engine_a: Engine
) -> None:
    """dockerd asks for them first, and enables a plugin that answers."""
    program.start()
    create_network(program.driver(engine_a))
    assert program.stop() == 0
    state = SlowState(program)

    program.start()
    program.driver(engine_a).announce()

    state.let_load()


def test_calls_received_before_the_state_is_loaded_are_answered_from_it(
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
    state.let_load()

    assert driver.read().json()["PoolID"] == "local/100.64.0.4/30"
    assert network.pool.id in [pool["id"] for pool in viewer.read().json()["items"]]


def test_an_engine_that_connects_before_the_state_is_loaded_begins_an_epoch(
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
    state.let_load()

    assert [pool["claimed"] for pool in driver.get("/v1/pools")] == [False]
    replay(driver, network)

    assert [pool["claimed"] for pool in driver.get("/v1/pools")] == [True]
    assert driver.references(network.pool) == 1


def test_a_stop_before_the_state_is_loaded_leaves_it_unchanged(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0
    state = SlowState(program)
    program.start()
    program.driver(engine_a).announce()
    program.signal(signal.SIGTERM)
    state.let_load()
    assert program.wait() == 0

    program.start()
    assert program.driver(engine_a).held() == [network.pool.id]


def test_a_call_waits_until_the_state_is_loaded(program: Program, engine_a: Engine) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0

    # `start` returns when the socket listens, long before anything else is ready.
    program.start()

    assert program.driver(engine_a).held() == [network.pool.id]


def test_a_socket_left_behind_by_a_crash_is_replaced(program: Program, engine_a: Engine) -> None:
    program.start()
    program.kill()
    left = program.socket()
    assert stat.S_ISSOCK(left.stat().st_mode)

    program.start_over_old_sockets()

    assert create_network(program.driver(engine_a)).subnets == ["100.64.0.0/30"]
