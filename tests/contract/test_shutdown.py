"""How the program stops: soon, in good order, and without interrupting a call."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tinydb import TinyDB

from tests.support.dockerd import Engine, create_network, request_bytes, start_container
from tests.support.program import Program, wait_until


def documents_in(state: Path) -> dict[str, list[str]]:
    """What plain TinyDB finds: the addresses and pool ids in each table."""
    found: dict[str, list[str]] = {}
    for path in sorted(state.glob("scopes/*.json")):
        with TinyDB(path) as database:
            for name in database.tables() - {"_pyipam"}:
                documents = database.table(name).all()
                found[name] = sorted(d.get("address") or d["id"] for d in documents)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_files_that_plain_tinydb_opens(
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


def test_repeated_stop_signals_stop_it_cleanly(program: Program, engine_a: Engine) -> None:
    program.start()
    create_network(program.driver(engine_a))

    assert program.stop(times=3) in (0, -signal.SIGTERM)

    assert "100.64.0.0/30" in documents_in(program.state)
    assert program.log()[-1] == "level=INFO stopped"


def test_a_stop_signal_during_startup_stops_it(program: Program) -> None:
    for _ in range(5):
        program.start()
        assert program.stop() == 0


def test_idle_connections_do_not_prevent_a_stop(program: Program, engine_a: Engine) -> None:
    program.start()
    idle = [program.driver(engine_a) for _ in range(50)]
    idle[0].announce()

    assert program.stop() == 0


def test_a_call_in_progress_is_answered_before_a_stop(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    driver.send(request_bytes("POST", "/IpamDriver.RequestPool", b'{"AddressSpace":"local"}'))
    wait_until(lambda: program.logged("pool=local/100.64.0.0/30"), "the call is served")
    program.signal(signal.SIGTERM)

    assert driver.read().json()["PoolID"] == "local/100.64.0.0/30"
    assert program.wait() == 0
