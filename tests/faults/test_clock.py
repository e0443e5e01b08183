"""The wall clock jumps: addresses rest (reuse_delay) neither too short nor forever.

Only the clock of the program is set, not that of the machine: see `clock/sitecustomize.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dockerd import Driver, Engine, Network, create_network, replay, start_container
from tests.support.program import REPOSITORY, Program, scope, wait_until

SUBNET = "10.1.0.0/16"
LONG, SHORT = 3600, 1
YEAR = 365 * 24 * 3600.0


class Clock:
    """The wall clock of the program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._file = program.home / "clock"
        self.set_ahead(0)

    def set_ahead(self, seconds: float) -> None:
        """Set it this many seconds ahead of the clock of the machine."""
        beside = self._file.with_suffix(".new")
        beside.write_text(str(seconds))
        beside.replace(self._file)

    def start(self) -> None:
        """Start the program with this clock."""
        here = Path(__file__).parent / "clock"
        self._program.start(
            PYTHONPATH=f"{here}:{REPOSITORY / 'plugin'}", WALL_CLOCK_FILE=str(self._file)
        )


@pytest.fixture
def clock(program: Program) -> Clock:
    return Clock(program)


def release_one(
    program: Program, engine: Engine, clock: Clock, delay: int
) -> tuple[Driver, Network]:
    """A network whose address 10.1.0.2 was released and rests for `delay` seconds."""
    program.write_schema(scope("10.0.0.0/8", 24, reuse_delay=delay))
    clock.start()
    driver = program.driver(engine)
    driver.announce()
    network = create_network(driver, SUBNET)
    start_container(driver, network)
    driver.release_address(network.pool, "10.1.0.2")
    return driver, network


def wait_until_it_is_given_again(driver: Driver, network: Network) -> None:
    wait_until(
        lambda: driver.request_address(network.pool) == "10.1.0.2/16", "the address is given again"
    )


@pytest.mark.parametrize("jump", [YEAR, -YEAR, 2.0 * LONG, -2.0 * LONG])
def test_a_clock_jump_at_runtime_ends_no_rest_early(
    program: Program, engine_a: Engine, clock: Clock, jump: float
) -> None:
    driver, network = release_one(program, engine_a, clock, LONG)

    clock.set_ahead(jump)

    assert [driver.request_address(network.pool) for _ in range(3)] == [
        "10.1.0.3/16",
        "10.1.0.4/16",
        "10.1.0.5/16",
    ]


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_clock_jump_at_runtime_makes_nothing_rest_longer(
    program: Program, engine_a: Engine, clock: Clock, jump: float
) -> None:
    driver, network = release_one(program, engine_a, clock, SHORT)

    clock.set_ahead(jump)

    wait_until_it_is_given_again(driver, network)


def test_after_a_start_with_the_clock_set_back_nothing_rests_longer_than_the_delay(
    program: Program, engine_a: Engine, clock: Clock
) -> None:
    _, network = release_one(program, engine_a, clock, SHORT)
    program.kill()
    clock.set_ahead(-YEAR)

    clock.start()

    wait_until_it_is_given_again(program.driver(engine_a), network)


def test_after_a_start_with_the_clock_set_back_addresses_still_rest(
    program: Program, engine_a: Engine, clock: Clock
) -> None:
    _, network = release_one(program, engine_a, clock, LONG)
    program.kill()
    clock.set_ahead(-YEAR)

    clock.start()

    assert program.driver(engine_a).request_address(network.pool) == "10.1.0.3/16"


def test_after_a_start_later_than_the_delay_addresses_are_free(
    program: Program, engine_a: Engine, clock: Clock
) -> None:
    """While the program is stopped only the wall clock counts: set ahead, it ends the rest."""
    _, network = release_one(program, engine_a, clock, LONG)
    program.kill()
    clock.set_ahead(2 * LONG)

    clock.start()

    assert program.driver(engine_a).request_address(network.pool) == "10.1.0.2/16"


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_replay_does_not_depend_on_the_clock(
    program: Program, engine_a: Engine, engine_b: Engine, clock: Clock, jump: float
) -> None:
    driver, network = release_one(program, engine_a, clock, delay=0)
    network.containers.clear()
    stays, goes = start_container(driver, network), start_container(driver, network)
    network.containers.pop()
    program.kill()
    clock.set_ahead(jump)

    clock.start()
    driver = program.driver(engine_b)
    driver.announce()
    replay(driver, network)

    assert stays + goes == ["10.1.0.2/16", "10.1.0.3/16"]
    assert driver.unclaimed(network.pool) == ["10.1.0.3"]
    assert driver.references(network.pool) == 1
