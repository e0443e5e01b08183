"""Blocks that a node claims, and nodes that are drained, in the program as a process."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dockerd import Driver, Engine, create_network, go_json, remove_network, replay
from tests.support.program import Program, scope, wait_until

ROUTED = scope("10.1.0.0/16", 22, node_prefix=20)


@pytest.fixture
def driver(program: Program, engine_a: Engine) -> Driver:
    """A connection to a plugin whose node, h1, claims blocks."""
    program.write_schema(ROUTED)
    program.start(NODE_NAME="h1")
    driver = program.driver(engine_a)
    driver.announce()
    return driver


def claims(driver: Driver) -> list[tuple[str, str, Any]]:
    return [(each["cidr"], each["state"], each["pools"]) for each in driver.get("/v1/aggregates")]


def change(driver: Driver, call: str, **body: str) -> None:
    assert driver.post(f"Pyipam.{call}", go_json(body)).json() == {}


def test_what_was_claimed_released_and_drained_is_so_after_a_kill(
    program: Program, driver: Driver, engine_b: Engine
) -> None:
    networks = [create_network(driver) for _ in range(5)]
    remove_network(driver, networks[4])
    change(driver, "ReleaseAggregate", Aggregate="10.1.16.0/20")
    change(driver, "DrainNode", Node="h1")
    before = driver.get("/v1/aggregates")

    program.kill()
    program.start(NODE_NAME="h1")
    driver = program.driver(engine_b)
    driver.announce()
    for network in networks[:4]:
        replay(driver, network)

    assert driver.get("/v1/aggregates") == before
    assert claims(driver) == [("10.1.0.0/20", "draining", 4), ("10.1.16.0/20", "resting", 0)]
    refused = driver.post(
        "IpamDriver.RequestPool", go_json({"AddressSpace": "local", "Options": {}})
    )
    assert refused.error().startswith("node h1 is being drained: networks that exist go on")


def test_claims_releases_and_drains_are_logged(program: Program, driver: Driver) -> None:
    network = create_network(driver)
    remove_network(driver, network)
    change(driver, "ReleaseAggregate", Aggregate="10.1.0.0/20")
    change(driver, "DrainNode", Node="h1")
    change(driver, "UndrainNode", Node="h1")

    wait_until(lambda: program.logged("node no longer drained", "node=h1"), "it is logged")
    assert program.logged("aggregate claimed", "aggregate=10.1.0.0/20", "scope=10.1.0.0/16")
    assert program.logged("aggregate released", "aggregate=10.1.0.0/20", "rests=300")
    assert program.logged("node drained", "node=h1")


def test_a_claim_that_holds_networks_is_not_given_back(driver: Driver) -> None:
    create_network(driver)

    refused = driver.post("Pyipam.ReleaseAggregate", go_json({"Aggregate": "10.1.0.0/20"}))

    assert "aggregate 10.1.0.0/20 holds one pool: local/10.1.0.0/22" in refused.error()
    assert claims(driver) == [("10.1.0.0/20", "active", 1)]
