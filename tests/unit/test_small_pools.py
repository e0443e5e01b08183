"""A network of a swarm that is too small for a service is warned about when it is created."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.core import Core, scope, tree_of
from tests.support.in_process import InProcess, captured_log
from tests.support.viewing import Viewer


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.20.0.0", 16, child_prefix=30)))


def test_a_swarm_network_of_two_addresses_is_created_with_a_warning(core: Core) -> None:
    with captured_log() as lines:
        pool = core.pool(space="global")

    assert pool == "global/10.20.0.0/30"
    (warning,) = [line for line in lines if line.startswith("level=WARNING")]
    assert "pool global/10.20.0.0/30 has 2 addresses" in warning
    assert "--ipam-opt prefix=24" in warning


def test_the_warning_stays_as_long_as_the_network(core: Core) -> None:
    pool = core.pool("10.20.1.0/30", space="global")
    assert len(Viewer(core).census().warnings) == 1
    core.release_pool(pool)

    assert Viewer(core).census().warnings == ()


def test_a_swarm_network_of_six_addresses_is_large_enough(core: Core) -> None:
    core.pool(space="global", length=29)

    assert Viewer(core).census().warnings == ()


def test_a_network_of_one_host_may_be_as_small_as_it_likes(core: Core) -> None:
    core.pool()

    assert Viewer(core).census().warnings == ()


def test_the_status_shows_the_warning(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, (Path(__file__).parents[2] / "schema.json").read_text())
    plugin.call("GetCapabilities")
    body = {"AddressSpace": "global", "Pool": "", "SubPool": "", "Options": {}, "V6": False}
    plugin.call("RequestPool", body)

    (warning,) = plugin.get("/v1/status")["warnings"]
    assert warning.startswith("pool global/100.64.0.0/30 has 2 addresses")
    plugin.stop()
