"""A plugin that a test must leave unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.dockerd import (
    Driver,
    create_network,
    start_container,
)


@pytest.fixture
def unchanged(driver: Driver) -> Iterator[Driver]:
    """A connection to a plugin that holds something, which the test must not change."""
    network = create_network(driver, "100.64.5.0/24")
    start_container(driver, network)

    def state() -> list[object]:
        return [driver.get("/v1/pools"), driver.get(f"/v1/leases?pool={network.pool.id}")]

    before = state()
    yield driver
    assert state() == before
