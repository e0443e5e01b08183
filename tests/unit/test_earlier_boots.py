"""Addresses of containers that ended with the host, where the engine has replayed nothing.

See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse
from tests.support.core import Core, replay, scope, tree_of


@pytest.fixture
def core() -> Core:
    """An engine that has run in one boot."""
    return Core(tree_of(scope("10.0.0.0", 24, child_prefix=30)), engine="boot-1:7")


def _network(core: Core) -> str:
    """A network that has room for one container."""
    pool = core.pool()
    core.gateway(pool)
    return pool


def test_a_container_gets_the_address_of_one_that_ended_with_the_host(core: Core) -> None:
    pool = _network(core)
    core.address(pool)

    core.restart_engine("boot-2:7")

    assert core.address(pool) == "10.0.0.2/30"
    with pytest.raises(Exhausted):
        core.address(pool)


def test_a_fixed_address_is_given_again_to_whoever_names_it_after_a_start_of_the_host(
    core: Core,
) -> None:
    pool = _network(core)
    core.address(pool, "10.0.0.2")

    core.restart_engine("boot-2:7")

    with pytest.raises(Exhausted):
        core.address(pool)
    assert core.address(pool, "10.0.0.2") == "10.0.0.2/30"
    with pytest.raises(InUse):
        core.address(pool, "10.0.0.2")


@pytest.mark.parametrize("later", ["boot-1:8", "", "unknown"])
def test_containers_that_may_have_outlived_the_engine_keep_their_addresses(
    core: Core, later: str
) -> None:
    pool = _network(core)
    core.address(pool)

    core.restart_engine(later)

    with pytest.raises(Exhausted):
        core.address(pool)
    with pytest.raises(InUse):
        core.address(pool, "10.0.0.2")


def test_containers_that_were_started_since_the_host_keep_their_addresses(core: Core) -> None:
    core.restart_engine("boot-2:7")
    pool = _network(core)
    core.address(pool)

    for engine in ("boot-2:8", "boot-2:9"):
        core.restart_engine(engine)

        with pytest.raises(Exhausted):
            core.address(pool)


def test_gateways_are_kept_and_networks_stay(core: Core) -> None:
    pool = _network(core)

    core.restart_engine("boot-2:7")

    assert core.address(pool) == "10.0.0.2/30"
    assert core.pool() == "local/10.0.0.4/30"
    with pytest.raises(InUse):
        core.address(pool, "10.0.0.1")


def test_what_an_engine_claims_again_is_in_use_whatever_boot_it_is_of(core: Core) -> None:
    pool = _network(core)
    core.address(pool)

    core.restart_engine("boot-2:7")
    replay(core, pool, "10.0.0.1", "10.0.0.2")

    with pytest.raises(Exhausted):
        core.address(pool)


def test_after_more_runs_in_a_boot_than_are_remembered_nothing_is_assumed(core: Core) -> None:
    core.restart_engine("boot-2:0")
    pool = _network(core)
    core.address(pool)

    for run in range(1, 20):
        core.restart_engine(f"boot-2:{run}")

    with pytest.raises(Exhausted):
        core.address(pool)
