"""`pyipam reconcile` against a real engine: leaks found and freed, what is missing taken in."""

from __future__ import annotations

import pytest

from tests.support.engine.host_command import Command
from tests.support.engine.objects import create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope


@pytest.fixture(autouse=True)
def shop(engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema) -> None:
    """A network of Docker's, with IPv6, and a container in it."""
    use_schema(scope("10.94.0.0/24", 28, tags=["default"]), scope("fd00:94::/48", 64))
    create_network(engine, "shop", "--ipv6", driver="pyipam")
    run_container(engine, "web", "shop")


def test_where_all_is_well_there_is_nothing_to_do_ten_times_over(
    engine: PrivateEngine, command: Command
) -> None:
    create_network(
        engine,
        "lan",
        *("--subnet", "10.94.0.128/26", "--ip-range", "10.94.0.160/27"),
        *("--gateway", "10.94.0.129", "--aux-address", "printer=10.94.0.130"),
    )
    run_container(engine, "fixed", "lan", "--ip", "10.94.0.140")
    engine.must("network", "connect", "shop", "fixed")
    engine.must("network", "create", "docker-own")
    run_container(engine, "stopped", "shop").engine.must("stop", "--time", "0", "stopped")

    for _ in range(10):
        assert command("reconcile") == "no differences\n"
        engine.must("restart", "--time", "0", "web")
