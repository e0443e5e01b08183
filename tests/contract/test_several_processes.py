"""Several processes that announce themselves on one socket: another program, or another engine.

The plugin recognises a run of dockerd by its process, where the kernel names it; each engine here
is a process.
"""

from __future__ import annotations

import pytest

from tests.support.dockerd import Engine, create_network, start_container
from tests.support.program import Program

pytestmark = pytest.mark.every_store

SUBNET = "100.64.5.0/24"
SMALL = "100.64.6.0/29"


def test_an_announcement_of_another_process_lets_nothing_displace_what_lives(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start()
    dockerd = program.announced(engine_a)
    network = create_network(dockerd, SUBNET)
    start_container(dockerd, network)
    program.announced(engine_b)

    program.restart()
    dockerd = program.announced(engine_a)

    assert f"subnet {SUBNET} is in use" in dockerd.pool_error(SUBNET)
    for overlapping in ("100.64.4.0/23", "100.64.5.0/25"):
        assert f"overlaps pool local/{SUBNET}" in dockerd.pool_error(overlapping)
    assert dockerd.request_pool().subnet == "100.64.0.0/30"
    assert start_container(dockerd, network) == ["100.64.5.3/24"]
    assert dockerd.leases(network.pool) == ["100.64.5.1", "100.64.5.2", "100.64.5.3"]


def test_two_engines_on_one_socket_get_different_blocks_when_the_plugin_restarts_alone(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start()
    first = create_network(program.announced(engine_a), SUBNET)
    second = create_network(program.announced(engine_b), SMALL)

    program.restart()
    drivers = [program.announced(engine) for engine in (engine_b, engine_a)]

    given = [driver.request_pool(options={"prefix": "24"}).subnet for driver in drivers]
    assert given == ["100.64.0.0/24", "100.64.1.0/24"]
    assert f"overlaps pool {second.pool.id}" in drivers[1].pool_error("100.64.6.0/28")
    assert [drivers[0].references(network.pool) for network in (first, second)] == [1, 1]
