"""Addresses that containers ask for by name ("Giving out addresses" in docs/architecture.md)."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse, StoreFailure
from tests.support.core import Core, replay, scope, tree_of
from tests.support.reading import leases_in

_SUBNET = "10.0.0.0/29"


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.0.0.0", 16, child_prefix=29)))


@pytest.fixture
def pool(core: Core) -> str:
    """A network whose container with the fixed address .3 is stopped."""
    pool = core.pool(_SUBNET)
    core.gateway(pool)
    core.address(pool, "10.0.0.3")
    core.release(pool, "10.0.0.3")
    return pool


def _given(core: Core, pool: str, count: int) -> list[str]:
    return [core.address(pool).removesuffix("/29") for _ in range(count)]


def test_a_fixed_address_is_given_to_others_last(core: Core, pool: str) -> None:
    assert _given(core, pool, 5) == ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.3"]
    with pytest.raises(Exhausted):
        core.address(pool)


def test_a_fixed_address_is_given_at_once_to_whoever_names_it(core: Core, pool: str) -> None:
    core.address(pool)
    assert core.address(pool, "10.0.0.3") == "10.0.0.3/29"


def test_a_fixed_address_is_given_last_in_turn_too(core: Core, pool: str) -> None:
    given = [core.address(pool, serial=True) for _ in range(5)]
    assert given[-1] == "10.0.0.3/29"


def test_a_fixed_address_is_given_last_after_a_restart_of_the_plugin(core: Core, pool: str) -> None:
    core.start()
    assert _given(core, pool, 5)[-1] == "10.0.0.3"


def test_a_fixed_address_is_given_last_after_a_restart_of_the_engine(core: Core, pool: str) -> None:
    core.restart_engine("engine-2")
    replay(core, pool, "10.0.0.1")
    assert _given(core, pool, 5)[-1] == "10.0.0.3"


def test_a_fixed_address_that_others_had_is_again_given_last(core: Core, pool: str) -> None:
    _given(core, pool, 5)
    for address in ("10.0.0.3", "10.0.0.5"):
        core.release(pool, address)
    assert _given(core, pool, 2) == ["10.0.0.5", "10.0.0.3"]


def test_a_replay_does_not_make_an_address_a_fixed_one(core: Core) -> None:
    pool = core.pool(_SUBNET)
    core.gateway(pool)
    core.address(pool)
    core.restart_engine("engine-2")
    replay(core, pool, "10.0.0.1", "10.0.0.2")
    core.release(pool, "10.0.0.2")
    assert core.address(pool) == "10.0.0.2/29"


def test_a_replay_keeps_an_address_a_fixed_one(core: Core) -> None:
    pool = core.pool(_SUBNET)
    core.gateway(pool)
    core.address(pool, "10.0.0.2")
    core.restart_engine("engine-2")
    replay(core, pool, "10.0.0.1", "10.0.0.2")
    core.release(pool, "10.0.0.2")
    assert core.address(pool) == "10.0.0.3/29"


def test_fixed_addresses_are_given_before_those_that_leaked(core: Core, pool: str) -> None:
    _given(core, pool, 4)
    core.restart_engine("engine-2")
    replay(core, pool, "10.0.0.1")
    assert _given(core, pool, 2) == ["10.0.0.3", "10.0.0.2"]


def test_of_fixed_addresses_the_one_released_first_is_given_first(core: Core) -> None:
    pool = core.pool(_SUBNET)
    for address in ("10.0.0.2", "10.0.0.4", "10.0.0.3"):
        core.address(pool, address)
    for address in ("10.0.0.4", "10.0.0.2", "10.0.0.3"):
        core.release(pool, address)
        core.time.pass_seconds(1)
    core.start()
    assert _given(core, pool, 6)[3:] == ["10.0.0.4", "10.0.0.2", "10.0.0.3"]


def test_what_rests_is_given_before_a_fixed_address() -> None:
    core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=30, reuse_delay=60)))
    pool = core.pool()
    core.address(pool, "10.0.0.1")
    core.release(pool, "10.0.0.1")
    core.time.pass_seconds(1)
    core.address(pool)
    core.release(pool, "10.0.0.2")
    assert core.address(pool) == "10.0.0.2/30"
    assert core.address(pool) == "10.0.0.1/30"


def test_fixed_addresses_end_with_their_pool(core: Core, pool: str) -> None:
    core.release_pool(pool)
    assert core.pool(_SUBNET) == pool
    assert _given(core, pool, 3) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert not [lease for lease, _ in leases_in(core.ipam, pool) if lease.named]


def test_no_more_addresses_are_held_back_than_a_slash_24_has() -> None:
    core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=20)))
    pool = core.pool()
    addresses = [f"10.0.{number // 100}.{number % 100 + 1}" for number in range(300)]
    for address in addresses:
        core.address(pool, address)
        core.release(pool, address)
        core.time.pass_seconds(1)
    held_back = [lease.address for lease, _ in leases_in(core.ipam, pool)]
    assert held_back == addresses[-256:]
    core.start()
    assert core.address(pool) == f"{addresses[0]}/20"


def test_a_release_that_could_not_be_stored_leaves_a_fixed_address_in_use(core: Core) -> None:
    pool = core.pool(_SUBNET)
    core.address(pool, "10.0.0.3")
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.release(pool, "10.0.0.3")
    core.store.fail = False
    with pytest.raises(InUse):
        core.address(pool, "10.0.0.3")


def test_a_fixed_address_that_somebody_else_was_given_is_refused_with_the_way_out(
    core: Core, pool: str
) -> None:
    _given(core, pool, 5)
    with pytest.raises(InUse, match=r"--ip-range .* reserved"):
        core.address(pool, "10.0.0.3")


def test_what_a_new_leader_of_a_swarm_names_is_not_held_back(core: Core) -> None:
    pool = core.pool(_SUBNET, space="global")
    core.gateway(pool, serial=True)
    for address in ("10.0.0.2", "10.0.0.3"):
        core.address(pool, address, serial=True)
        core.release(pool, address)
    assert core.address(pool, serial=True) == "10.0.0.4/29"
    assert not [lease for lease, _ in leases_in(core.ipam, pool) if lease.named]


def test_a_gateway_that_is_named_is_not_held_back(core: Core) -> None:
    pool = core.pool(_SUBNET)
    core.gateway(pool, "10.0.0.1")
    core.release(pool, "10.0.0.1")
    assert core.address(pool) == "10.0.0.1/29"
