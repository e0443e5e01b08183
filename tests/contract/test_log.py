"""The log: one line for each event, which no client can forge and no reader can delay."""

from __future__ import annotations

import os
import re
import signal

from tests.support.dockerd import (
    Driver,
    Engine,
    Pool,
    create_network,
    remove_network,
    start_container,
)
from tests.support.program import Program, wait_until

LINE = re.compile(r'level=(DEBUG|INFO|WARNING|ERROR) [a-z ]+( [a-z_]+=([\w./:+,!@-]+|"[^\n]*"))*')


def test_each_change_in_the_life_of_a_network_is_one_line(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver, options={"id": "testnet"})
    start_container(driver, network)
    driver.release_address(network.pool, "100.64.0.2")
    remove_network(driver, network)
    assert program.stop() == 0

    assert program.log() == [
        "level=INFO serving names=driver,pyipam",
        "level=INFO schema in force origin=default scopes=14",
        "level=INFO epoch driver=driver local=1 swarm=1",
        "level=INFO pool pool=local/100.64.0.0/30 scope=100.64.0.0/20 label=testnet",
        "level=INFO lease address=100.64.0.1/30 pool=local/100.64.0.0/30 kind=gateway",
        "level=INFO lease address=100.64.0.2/30 pool=local/100.64.0.0/30 kind=container",
        "level=INFO lease released address=100.64.0.2 pool=local/100.64.0.0/30 driver=driver",
        "level=INFO lease released address=100.64.0.1 pool=local/100.64.0.0/30 driver=driver",
        "level=INFO pool released pool=local/100.64.0.0/30 leases=0",
        "level=INFO stopped",
    ]


def test_a_refusal_is_logged_as_a_warning_with_its_message(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    error = program.driver(engine_a).pool_error("192.168.7.0/24")

    assert f'level=WARNING refused call=IpamDriver.RequestPool reason="{error}"' in program.log()


def test_releasing_what_is_not_held_is_logged_as_a_warning(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.release_pool(Pool("local/100.64.9.0/24", ""))
    driver.release_address(Pool("local/100.64.9.0/24", ""), "100.64.9.7")

    assert program.logged("level=WARNING release of a pool that is not held", "100.64.9.0/24")
    assert program.logged("level=WARNING release of an address that is not held", "100.64.9.7")


def test_client_input_cannot_end_a_line_or_forge_a_field(
    program: Program, engine_a: Engine
) -> None:
    forged = 'x\nlevel=ERROR forged by=client\r\u2028\x1b[31m\0" pool=local/forged'
    program.start()
    driver = program.driver(engine_a)
    driver.request_pool(options={"id": forged})
    driver.pool_error(options={"scope_filter_tags": forged})
    driver.pool_error(forged)
    driver.pool_error(space=forged)
    driver.address_error(Pool(forged, ""))
    driver.address_error(Pool("local/100.64.0.0/30", ""), forged)
    driver.release_pool(Pool(forged, ""))
    driver.release_address(Pool(forged, ""), "100.64.0.1")
    assert program.stop() == 0

    content = (program.home / "stdout").read_bytes()
    lines = content.decode("ascii").split("\n")
    assert len(lines) == 12
    for line in lines[:-1]:
        assert LINE.fullmatch(line), line
        assert all(character.isprintable() for character in line)
    assert not any(line.startswith("level=ERROR") for line in lines)


# When a line is written


def test_a_line_is_written_without_waiting_for_the_next(program: Program, engine_a: Engine) -> None:
    program.start()
    create_network(program.driver(engine_a))

    wait_until(lambda: program.logged("lease address=100.64.0.1/30"), "the lease is in the log")


def test_a_stop_loses_no_line(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)
    pool = driver.request_pool("100.64.16.0/24")
    given = [driver.request_address(pool) for _ in range(200)]
    assert program.stop() == 0

    lines = [line for line in program.log() if line.startswith("level=INFO lease ")]
    assert lines == [
        f"level=INFO lease address={address} pool={pool.id} kind=container" for address in given
    ]


def test_a_kill_loses_no_refusal_that_was_answered(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)
    for number in range(20):
        driver.pool_error(f"192.168.{number}.0/24")
    program.kill()

    assert all(program.logged("refused", f"192.168.{number}.0/24") for number in range(20))


# Readers that are slow or gone


def start_and_open_log(program: Program) -> int:
    """Start the program with a pipe as its log; the descriptor to read the log from."""
    fifo = program.home / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    program.start("sh", "-c", 'exec "$@" >"$0"', str(fifo))
    return reading


def refuse_more_than_a_pipe_holds(driver: Driver) -> None:
    for number in range(100):
        driver.pool_error(f"{number}.{'x' * 1000}")


def read_all(reading: int) -> list[str]:
    """The lines that are written before the log is closed."""
    os.set_blocking(reading, True)
    with os.fdopen(reading) as file:
        return file.read().splitlines()


def test_a_stalled_reader_delays_no_call_and_gets_every_line_later(
    program: Program, engine_a: Engine
) -> None:
    reading = start_and_open_log(program)
    driver = program.driver(engine_a)
    refuse_more_than_a_pipe_holds(driver)
    driver.request_pool()
    program.signal(signal.SIGTERM)
    lines = read_all(reading)
    assert program.wait() == 0

    assert sum("level=WARNING refused" in line for line in lines) == 100
    assert lines[-1] == "level=INFO stopped"


def test_an_unread_log_delays_no_call_and_no_stop(program: Program, engine_a: Engine) -> None:
    reading = start_and_open_log(program)
    driver = program.driver(engine_a)
    refuse_more_than_a_pipe_holds(driver)
    driver.request_pool()

    assert program.stop() == 0
    os.close(reading)


def test_a_closed_log_delays_no_call_and_no_stop(program: Program, engine_a: Engine) -> None:
    os.close(start_and_open_log(program))
    driver = program.driver(engine_a)
    refuse_more_than_a_pipe_holds(driver)
    driver.request_pool()

    assert program.stop() == 0
