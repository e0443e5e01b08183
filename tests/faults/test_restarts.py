"""Kills at any moment: the program starts again with what was acknowledged, and nothing else.

`test_power_cut.py` kills it while it serves. Here it is killed while it starts, loads, writes a
checkpoint and shuts down, with a state so large that each of these takes a while.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyipam.store.records import Claim, LeaseRecord, PoolRecord, Put
from pyipam.store.tinydb.store import TinyDbStore
from tests.support.dockerd import Driver, Engine, Pool, create_network, pool_request
from tests.support.program import Program, scope

ROUNDS = int(os.environ.get("RESTART_ROUNDS", "16"))
POOLS = 60
LEASES = 250
LONG_LABEL = {"id": "x" * 200_000}
MOST_CALLS = 500

Held = dict[str, list[str]]


def large_state() -> dict[PoolRecord, list[LeaseRecord]]:
    """Pools full of leases."""
    state = {}
    for number in range(POOLS):
        pool_id = f"local/10.0.{number}.0/24"
        pool = PoolRecord(pool_id, "10.0.0.0/8", "", "", (Claim("driver", 1, 1),), 1.0)
        state[pool] = [
            LeaseRecord(pool_id, f"10.0.{number}.{host}", "container", "driver", 1, 1.0)
            for host in range(1, LEASES + 1)
        ]
    return state


def write_files(folder: Path) -> Held:
    """Write a large state as a stop leaves it, in TinyDB files; what it holds."""
    state = large_state()
    store = TinyDbStore(folder)
    list(store.load())
    for pool, leases in state.items():
        store.commit([Put(pool), *map(Put, leases)])
    store.close()
    return {pool.id: [lease.address for lease in leases] for pool, leases in state.items()}


def write_journal(folder: Path) -> Held:
    """Write the same as a crash before the first checkpoint leaves it, in the journal."""
    state = large_state()
    running = folder.with_name("running")
    store = TinyDbStore(running)
    list(store.load())
    for pool, leases in state.items():
        store.commit([Put(pool), *map(Put, leases)])
    shutil.copytree(running, folder)
    store.close()
    return {pool.id: [lease.address for lease in leases] for pool, leases in state.items()}


def held(driver: Driver) -> Held:
    """The pools that the views show, with their leases."""
    return {pool: driver.leases(Pool(pool, "")) for pool in driver.held()}


def add_network(driver: Driver, number: int, expected: Held) -> None:
    """Create a network, and add it to what is expected."""
    network = create_network(driver, f"10.9.{number}.0/24")
    expected[network.pool.id] = [f"10.9.{number}.1"]


@pytest.fixture
def choose(program: Program) -> random.Random:
    """A random choice, whose seed is printed."""
    program.write_schema(scope("10.0.0.0/8", 24))
    seed = random.randrange(2**32)
    print(f"\nseed {seed}, {ROUNDS} rounds")
    return random.Random(seed)


# Kills


@pytest.mark.parametrize("write_state", [write_files, write_journal])
def test_kills_during_startup_lose_nothing(
    program: Program,
    engine_a: Engine,
    choose: random.Random,
    write_state: Callable[[Path], Held],
) -> None:
    """Each start has another layout than the one before, so what is loaded is written again."""
    expected = write_state(program.state)
    for number in range(ROUNDS):
        layout = ("scope", "single")[number % 2]
        program.spawn(STORE_LAYOUT=layout)
        time.sleep(choose.uniform(0, 0.8))
        program.kill()

        if number % 4 == 3:
            program.start(STORE_LAYOUT=layout)
            driver = program.driver(engine_a)
            driver.announce()
            assert held(driver) == expected
            program.kill()
    program.start()
    assert held(program.driver(engine_a)) == expected


def journals(program: Program) -> list[str]:
    return sorted(path.name for path in program.state.glob("journal-*.log"))


def call_until_a_checkpoint_begins(program: Program, driver: Driver) -> None:
    """Make calls until there is a new journal, with which a checkpoint begins."""
    before = journals(program)[-1]
    for _ in range(MOST_CALLS):
        pool = driver.call("RequestPool", pool_request(options=LONG_LABEL)).json()["PoolID"]
        driver.release_pool(Pool(pool, ""))
        if journals(program)[-1] != before:
            return
    raise AssertionError(f"no checkpoint began within {MOST_CALLS} calls")


def test_kills_during_a_checkpoint_lose_nothing(
    program: Program, engine_a: Engine, choose: random.Random
) -> None:
    expected = write_files(program.state)
    cut_off = 0
    for number in range(ROUNDS):
        program.start()
        driver = program.driver(engine_a)
        assert held(driver) == expected
        call_until_a_checkpoint_begins(program, driver)
        add_network(driver, number, expected)
        time.sleep(choose.uniform(0, 0.1))
        program.kill()
        cut_off += len(journals(program)) > 1
    program.start()
    assert held(program.driver(engine_a)) == expected
    assert cut_off > 0, "the checkpoints were over before the kills"


def test_kills_during_shutdown_lose_nothing(
    program: Program, engine_a: Engine, choose: random.Random
) -> None:
    expected = write_files(program.state)
    cut_off = 0
    for number in range(ROUNDS):
        program.start()
        driver = program.driver(engine_a)
        assert held(driver) == expected
        add_network(driver, number, expected)

        program.signal(signal.SIGTERM)
        # On a fast machine the shutdown takes a few milliseconds.
        time.sleep(choose.uniform(0, choose.choice((0.002, 0.01, 0.05, 0.2))))
        program.signal(signal.SIGKILL)
        cut_off += program.wait() == -signal.SIGKILL
    program.start()
    assert held(program.driver(engine_a)) == expected
    assert cut_off > 0, "the shutdowns were over before the kills"


# Two processes on one folder


def test_a_second_process_on_a_folder_disturbs_nothing(
    program: Program, second_program: Program, engine_a: Engine, choose: random.Random
) -> None:
    expected = write_files(program.state)
    program.start()
    driver = program.driver(engine_a)
    assert held(driver) == expected
    second_program.state = program.state
    for number in range(ROUNDS // 2):
        second_program.spawn(STORE_LAYOUT="single")
        add_network(driver, number, expected)
        time.sleep(choose.uniform(0, 0.6))
        second_program.kill()
        assert held(driver) == expected
    program.kill()

    second_program.start()

    assert held(second_program.driver(engine_a)) == expected


def test_a_second_process_on_a_folder_refuses_every_change_even_after_the_first_has_ended(
    program: Program, second_program: Program, engine_a: Engine
) -> None:
    """It has read nothing, so it must be restarted to serve."""
    program.start()
    network = create_network(program.driver(engine_a), "100.64.0.0/24")
    second_program.state = program.state
    second_program.start()
    driver = second_program.driver(engine_a)
    sentence = driver.pool_error()
    assert sentence.startswith(f"the state folder {program.state} is in use by another process;")

    program.kill()

    assert driver.pool_error("100.64.0.0/24") == sentence
    assert driver.address_error(network.pool) == sentence
    second_program.restart()
    assert held(second_program.driver(engine_a)) == {network.pool.id: ["100.64.0.1"]}
