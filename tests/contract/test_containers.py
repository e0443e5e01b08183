"""The calls for the addresses of containers, and the answers.

The bodies were recorded from `docker run` and `docker stop`.
"""

from __future__ import annotations

import pytest

from tests.contract.exchanges import check
from tests.support.dockerd import (
    GATEWAY,
    Driver,
    Pool,
    create_network,
    start_container,
)

pytestmark = pytest.mark.every_store


# Requesting


def test_a_container_gets_an_address_of_each_family(driver: Driver) -> None:
    network = create_network(driver, families=[4, 6])

    check(
        driver,
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.0.0/30","Address":"","Options":null}',
            '{"Address":"100.64.0.2/30","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/fc00:f00f::/64","Address":"","Options":null}',
            '{"Address":"fc00:f00f::2/64","Data":{}}',
        ),
    )
    assert network.subnets == ["100.64.0.0/30", "fc00:f00f::/64"]


def test_a_container_can_ask_for_an_address(driver: Driver) -> None:
    network = create_network(driver, "100.64.5.0/24", families=[4])

    assert driver.request_address(network.pool, "100.64.5.77") == "100.64.5.77/24"


def test_the_address_of_a_stopped_container_is_given_out_again(driver: Driver) -> None:
    network = create_network(driver, "100.64.5.0/24")
    (first,), (second,) = start_container(driver, network), start_container(driver, network)

    driver.release_address(network.pool, first)

    assert [first, second] == ["100.64.5.2/24", "100.64.5.3/24"]
    assert driver.leases(network.pool) == ["100.64.5.1", "100.64.5.3"]
    assert start_container(driver, network) == ["100.64.5.2/24"]


def test_a_mac_address_in_the_options_is_ignored(driver: Driver) -> None:
    network = create_network(driver)
    mac = {"com.docker.network.endpoint.macaddress": "02:42:88:22:bb:0c"}

    assert driver.request_address(network.pool, "", mac) == "100.64.0.2/30"


def test_a_network_of_a_single_address_gives_it_out(driver: Driver) -> None:
    pool = driver.request_pool("100.64.5.8/32", options={})

    assert driver.request_address(pool, "", GATEWAY) == "100.64.5.8/32"


# Releasing


@pytest.mark.parametrize("pool_id", ["", "local/100.64.0.0/30", "global/fc00::/64", "pylocal-1"])
def test_releasing_an_address_of_a_pool_that_is_not_held_succeeds(
    driver: Driver, pool_id: str
) -> None:
    driver.release_address(Pool(pool_id, ""), "100.64.0.1")


@pytest.mark.parametrize("address", ["100.64.0.2", "100.64.9.9", "fc00::1"])
def test_releasing_an_address_that_is_not_leased_succeeds(driver: Driver, address: str) -> None:
    network = create_network(driver)

    driver.release_address(network.pool, address)

    assert driver.leases(network.pool) == ["100.64.0.1"]
