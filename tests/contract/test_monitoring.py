"""/metrics and /healthz of a running plugin, beside the calls of Docker."""

from __future__ import annotations

import re

import pytest

from tests.support.dockerd import Driver, create_network

pytestmark = pytest.mark.every_store


def counted(driver: Driver, series: str) -> float:
    """The value of a series, such as `pyipam_pools{state="resting"}`."""
    text = driver.raw("GET", "/metrics").body.decode()
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found is not None, f"no {series} in:\n{text}"
    return float(found[1])


def test_calls_are_counted_by_their_outcome(driver: Driver) -> None:
    network = create_network(driver, "100.64.5.0/24")
    asked = 'pyipam_requests_total{call="RequestAddress",outcome="%s"}'
    before = {outcome: counted(driver, asked % outcome) for outcome in ("ok", "not_held")}

    driver.request_address(network.pool)
    assert driver.call("RequestAddress", {"PoolID": "local/10.0.0.0/8", "Address": ""}).error()

    after = {outcome: counted(driver, asked % outcome) for outcome in before}
    assert after == {outcome: count + 1 for outcome, count in before.items()}


def test_the_durations_of_all_answered_calls_are_counted(driver: Driver) -> None:
    create_network(driver)
    name = "pyipam_request_duration_seconds"

    calls = counted(driver, f'{name}_count{{call="RequestPool"}}')

    assert calls > 0
    assert counted(driver, f'{name}_bucket{{call="RequestPool",le="+Inf"}}') == calls
    assert counted(driver, f'{name}_sum{{call="RequestPool"}}') > 0


def test_a_plugin_that_serves_is_healthy(driver: Driver) -> None:
    driver.announce()

    reply = driver.raw("GET", "/healthz")

    assert (reply.status, reply.json()) == (200, {"status": "ok"})


def test_neither_takes_parameters(driver: Driver) -> None:
    for path in ("/metrics", "/healthz"):
        assert "has no parameter 'x'" in driver.raw("GET", f"{path}?x=1").error()
