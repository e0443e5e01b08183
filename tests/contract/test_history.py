"""What a running plugin remembers, with every store."""

from __future__ import annotations

import pytest

from tests.support.dockerd import Driver, create_network, start_container

pytestmark = pytest.mark.every_store


def _events(driver: Driver, query: str) -> list[str]:
    return [item["event"] for item in driver.get(f"/v1/history{query}")]


def test_an_address_is_remembered_after_its_network_has_gone(driver: Driver) -> None:
    driver.announce()
    network = create_network(driver)
    (given,) = start_container(driver, network)
    address = given.partition("/")[0]
    driver.release_address(network.pool, given)
    driver.release_pool(network.pool)

    assert set(_events(driver, f"?address={address}")) == {"made", "given", "ended"}
    assert _events(driver, f"?id={network.pool.id}")[-1] == "made"
    assert _events(driver, "?subnet=192.0.2.0/24") == []
