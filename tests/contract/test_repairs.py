"""What an operator frees and takes in, through the socket, is durable and never somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dockerd import (
    Driver,
    Engine,
    Reply,
    create_network,
    go_json,
    replay,
    start_container,
)
from tests.support.program import Program, wait_until

pytestmark = pytest.mark.every_store

SUBNET = "100.64.5.0/24"


def repair(driver: Driver, call: str, body: dict[str, Any]) -> Reply:
    return driver.post(f"Pyipam.{call}", go_json(body))


def seen_lease(driver: Driver, pool_id: str, address: str) -> dict[str, Any]:
    """A lease as a report keeps it."""
    (lease,) = driver.get(f"/v1/leases?pool={pool_id}&address={address}")
    return {
        "PoolID": pool_id,
        "Address": address,
        "Epoch": lease["epoch"],
        "Granted": lease["granted"],
    }


def test_a_container_that_starts_between_report_and_use_keeps_its_address_200_times(
    driver: Driver,
) -> None:
    driver.announce()
    network = create_network(driver, SUBNET)
    pool = network.pool
    for _ in range(200):
        address, _ = driver.request_address(pool).split("/")
        reported = seen_lease(driver, pool.id, address)
        driver.release_address(pool, address)
        assert driver.request_address(pool) == f"{address}/24"

        assert "again since it was seen" in repair(driver, "FreeAddress", reported).error()
        assert driver.leases(pool) == ["100.64.5.1", address]

        driver.release_address(pool, address)
        assert "no longer held" in repair(driver, "FreeAddress", reported).error()


def test_what_was_freed_is_free_after_a_restart_and_what_was_taken_in_is_held(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start(DEFAULT_TAGS="default")
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver, SUBNET)
    [leaked] = start_container(driver, network)
    reported = seen_lease(driver, network.pool.id, leaked.split("/")[0])
    assert repair(driver, "FreeAddress", reported).json() == {}
    taken = {"Driver": "driver", "PoolID": network.pool.id, "Address": "100.64.5.9"}
    assert repair(driver, "TakeInAddress", taken).json() == {}

    program.restart()
    driver = program.driver(engine_b)
    driver.announce()
    network.containers[:] = [{network.pool: "100.64.5.9/24"}]
    replay(driver, network)

    assert driver.leases(network.pool) == ["100.64.5.1", "100.64.5.9"]
    assert driver.unclaimed(network.pool) == []


def test_a_pool_is_taken_in_with_its_addresses_and_replayed(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start(DEFAULT_TAGS="default")
    driver = program.driver(engine_a)
    driver.announce()
    used = {
        "Driver": "driver",
        "AddressSpace": "local",
        "Pool": SUBNET,
        "SubPool": "",
        "Options": {},
        "Networks": 1,
        "Addresses": [
            {"Address": "100.64.5.1", "Networks": 1},
            {"Address": "100.64.5.2", "Named": True},
        ],
    }
    assert repair(driver, "TakeInPool", used).json() == {"LeftOut": []}
    assert "is in use" in repair(driver, "TakeInPool", used).error()

    program.restart()
    driver = program.driver(engine_b)
    driver.announce()
    pool = driver.request_pool(SUBNET)
    driver.request_address(pool, "100.64.5.2")

    assert driver.references(pool) == 1
    assert driver.unclaimed(pool) == ["100.64.5.1"]
    assert driver.request_address(pool) == "100.64.5.3/24"


def test_what_an_engine_did_not_name_again_is_claimed_also_after_a_restart(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start(DEFAULT_TAGS="default")
    driver = program.driver(engine_a)
    driver.announce()
    pool = create_network(driver, SUBNET).pool
    program.restart()
    driver = program.driver(engine_b)
    driver.announce()
    (held,) = driver.get("/v1/pools")
    claims = [
        {"Driver": claim["driver"], "Epoch": claim["epoch"], "References": claim["references"]}
        for claim in held["claims"]
    ]
    gateway = seen_lease(driver, pool.id, "100.64.5.1") | {"Gateway": True, "Networks": 1}
    used = {
        "PoolID": pool.id,
        "Created": held["created"],
        "Claims": claims,
        "Driver": "driver",
        "Networks": 1,
        "Leases": [gateway],
    }
    assert not held["claimed"]

    assert repair(driver, "ClaimPool", used).json() == {}
    assert "since it was seen" in repair(driver, "ClaimPool", used).error()

    program.restart()
    driver = program.driver(engine_b)
    # Views do not wait for a database.
    wait_until(lambda: driver.raw("GET", "/v1/pools").status == 200, "the plan is read")
    assert [each["claimed"] for each in driver.get("/v1/pools")] == [True]
    assert driver.unclaimed(pool) == []


@pytest.mark.parametrize(
    ("call", "body", "reason"),
    [
        ("FreeAddress", {"Address": "x"}, "address 'x' cannot be read"),
        ("FreeAddress", {"Address": "10.0.0.1", "Epoch": -1}, "Epoch of the request must be"),
        ("FreeAddress", {"Address": "10.0.0.1", "Epoch": 1.5}, "Epoch of the request must be"),
        ("FreeAddress", {"Address": "10.0.0.1", "Granted": "now"}, "Granted of the request must"),
        ("FreePool", {"PoolID": 7}, "PoolID of the request must be a string"),
        ("FreePool", {"Claims": [7]}, "Claims of the request must be a list of objects"),
        ("FreePool", {"PoolID": "nonsense"}, "is no longer held"),
        ("ClaimPool", {"PoolID": "local/10.0.0.0/24", "Driver": "driver"}, "is no longer held"),
        ("ClaimAddress", {"Driver": "driver", "Address": "10.0.0.1"}, "is not held by pyipam"),
        ("TakeInPool", {"Driver": "nobody"}, "driver name 'nobody' does not belong to this plugin"),
        ("TakeInPool", {"Driver": "driver", "AddressSpace": "local"}, "must be the subnet"),
        ("TakeInAddress", {"Driver": "driver", "Address": "10.0.0.1"}, "is not held by pyipam"),
        ("ReleaseAggregate", {"Aggregate": "10.0.0.1/8"}, "'10.0.0.1/8'"),
        ("ReleaseAggregate", {"Aggregate": "10.0.0.0/20"}, "no node has claimed 10.0.0.0/20"),
        ("DrainNode", {"Node": "nobody"}, "the plan has no node nobody"),
        ("DrainNode", {"Node": "nobody", "Seen": ["nobody"]}, "Seen of the request must be a list"),
        ("UndrainNode", {"Node": 7}, "Node of the request must be a string"),
    ],
)
def test_what_cannot_be_read_or_done_is_refused_and_changes_nothing(
    unchanged: Driver, call: str, body: dict[str, Any], reason: str
) -> None:
    assert reason in repair(unchanged, call, body).error()


def test_an_empty_body_is_refused(unchanged: Driver) -> None:
    assert "cut off" in unchanged.post("Pyipam.FreePool").error()
