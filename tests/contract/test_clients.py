"""Many clients, and clients that disconnect before they are served."""

from __future__ import annotations

import signal

from tests.support.dockerd import (
    Engine,
    create_network,
    go_json,
    request_bytes,
)
from tests.support.program import Program, wait_until


def test_hundreds_of_connections_are_served(program: Program, engine_a: Engine) -> None:
    program.start()
    drivers = [program.driver(engine_a) for _ in range(300)]

    for driver in drivers:
        assert driver.call("GetDefaultAddressSpaces").status == 200


def dropped(program: Program) -> list[str]:
    """The lines of the log about calls that were not served."""
    return [line for line in program.log() if "call dropped, as its client has gone" in line]


def test_a_request_whose_client_has_disconnected_gives_nothing_out(
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
    assert {line.rpartition("call=")[2] for line in dropped(program)} == {
        "/IpamDriver.RequestPool",
        "/IpamDriver.RequestAddress",
    }
