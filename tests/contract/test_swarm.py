"""The calls for the networks and containers of a swarm, and the answers."""

from __future__ import annotations

import pytest

from tests.contract.exchanges import check
from tests.support.dockerd import (
    GATEWAY,
    SERIAL,
    Driver,
)

pytestmark = pytest.mark.every_store


def test_a_swarm_network_gets_its_addresses_serially_in_the_global_space(
    driver: Driver,
) -> None:
    check(
        driver,
        (
            "RequestPool",
            '{"AddressSpace":"global","Pool":"","SubPool":"","Options":{"prefix":"28"},"V6":false}',
            '{"PoolID":"global/100.64.0.0/28","Pool":"100.64.0.0/28","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"global/100.64.0.0/28","Address":"",'
            '"Options":{"RequestAddressType":"com.docker.network.gateway",'
            '"com.docker.network.ipam.serial":"true","prefix":"28"}}',
            '{"Address":"100.64.0.1/28","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"global/100.64.0.0/28","Address":"",'
            '"Options":{"com.docker.network.ipam.serial":"true","prefix":"28"}}',
            '{"Address":"100.64.0.2/28","Data":{}}',
        ),
        ("ReleaseAddress", '{"PoolID":"global/100.64.0.0/28","Address":"100.64.0.2"}', "{}"),
        (
            "RequestAddress",
            '{"PoolID":"global/100.64.0.0/28","Address":"",'
            '"Options":{"com.docker.network.ipam.serial":"true","prefix":"28"}}',
            '{"Address":"100.64.0.3/28","Data":{}}',
        ),
    )


def test_a_node_mirrors_a_swarm_subnet_in_its_local_space(driver: Driver) -> None:
    pool = driver.request_pool(space="global", options={"prefix": "28"})
    driver.request_address(pool, "", GATEWAY | SERIAL | {"prefix": "28"})

    mirror = driver.request_pool(pool.subnet, options=SERIAL | {"prefix": "28"})
    addresses = [
        driver.request_address(mirror, "100.64.0.1", GATEWAY),
        driver.request_address(mirror, "100.64.0.3"),
        driver.request_address(mirror, "100.64.0.2"),
    ]

    assert addresses == ["100.64.0.1/28", "100.64.0.3/28", "100.64.0.2/28"]
    assert driver.held() == ["global/100.64.0.0/28", "local/100.64.0.0/28"]
    driver.release_pool(mirror)
    assert driver.leases(pool) == ["100.64.0.1"]


def test_an_automatic_block_overlaps_no_pool_in_either_space(driver: Driver) -> None:
    spaces = ["global", "local", "global", "local"]
    pools = [driver.request_pool(space=space) for space in spaces]

    assert [pool.subnet for pool in pools] == [f"100.64.0.{n}/30" for n in (0, 4, 8, 12)]
