"""What Docker uses and its engine did not claim again is claimed at an operator's request."""

from __future__ import annotations

from functools import partial

import pytest

from pyipam.core.claiming import UnclaimedPool, UsedLease
from pyipam.core.seen import SeenLease
from pyipam.errors import Exhausted, InUse, NotHeld, StoreFailure
from pyipam.space.address import parse_address
from pyipam.store.records import PoolRecord
from tests.support.core import DRIVER, Core, replay, scope, tree_of
from tests.support.reading import leases_in, pools_in

POOL = "local/10.0.0.0/29"
OTHER = "local/10.0.0.8/29"


@pytest.fixture
def core() -> Core:
    """Two pools, each with a gateway and a container; the engine has then started, and repeated
    nothing."""
    core = Core(tree_of(scope("10.0.0.0", 28, child_prefix=29, tags=["default"])))
    for pool in (core.pool(), core.pool()):
        core.gateway(pool)
        core.address(pool)
    core.restart_engine("engine-2")
    return core


def seen(core: Core, address: str, networks: int | None = None) -> UsedLease:
    """A lease as it is now, used by a container, or by that many networks as their gateway."""
    (lease,) = [lease for lease, _ in leases_in(core.ipam, POOL) if lease.address == address]
    found = SeenLease(lease.pool, parse_address(address), lease.epoch, lease.granted)
    return UsedLease(found, networks)


def pool_of(core: Core) -> PoolRecord:
    return next(pool for pool, _ in pools_in(core.ipam) if pool.id == POOL)


def unclaimed(
    core: Core, *leases: UsedLease, driver: str = DRIVER, networks: int = 1
) -> UnclaimedPool:
    """The pool as it is now, used by networks of the driver name, with these leases."""
    pool = pool_of(core)
    return UnclaimedPool(pool.id, pool.created, frozenset(pool.claims), driver, networks, leases)


def claim(core: Core, used: UnclaimedPool) -> None:
    core.make(lambda: core.ipam.claim_pool(used))


def claim_lease(core: Core, used: UsedLease, driver: str = DRIVER) -> None:
    core.make(lambda: core.ipam.claim_address(driver, POOL, used))


def is_claimed(core: Core) -> bool:
    pool = pool_of(core)
    with core.ipam.reading() as state:
        return state.holdings.is_claimed(pool)


def test_a_pool_is_claimed_with_the_leases_that_are_used_also_after_a_restart(core: Core) -> None:
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1), seen(core, "10.0.0.2")))
    core.start()

    assert is_claimed(core)
    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": True}
    assert core.references(POOL) == 1


def test_a_pool_that_is_claimed_is_never_given_to_another_network(core: Core) -> None:
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1), seen(core, "10.0.0.2")))
    core.restart_engine("engine-2")
    replay(core, OTHER, "10.0.0.9", "10.0.0.10")

    with pytest.raises(InUse):
        core.pool("10.0.0.0/30")
    assert core.pools() == [POOL, OTHER]


def test_what_is_not_used_stays_unclaimed(core: Core) -> None:
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1)))

    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": False}


def test_an_address_that_is_claimed_is_never_given_to_another_container(core: Core) -> None:
    replay(core, POOL, "10.0.0.1")
    claim_lease(core, seen(core, "10.0.0.2"))

    given = [core.address(POOL) for _ in range(4)]
    assert given == [f"10.0.0.{last}/29" for last in (3, 4, 5, 6)]
    with pytest.raises(Exhausted):
        core.address(POOL)


def test_the_next_start_of_the_engine_finds_it_right(core: Core) -> None:
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1), seen(core, "10.0.0.2")))
    core.restart_engine("engine-3")
    replay(core, POOL, "10.0.0.1", "10.0.0.2")

    assert core.references(POOL) == 1
    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": True}


def test_a_pool_is_claimed_for_the_driver_name_that_its_network_has(core: Core) -> None:
    core.announce("web")
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1), seen(core, "10.0.0.2"), driver="web"))
    core.restart_engine("engine-3")
    core.announce("web")
    assert core.pool("10.0.0.0/29", driver="web") == POOL
    core.gateway(POOL, "10.0.0.1", driver="web")
    core.address(POOL, "10.0.0.2", driver="web")

    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": True}


def test_a_network_that_was_counted_stays_counted() -> None:
    core = Core(tree_of(scope("10.0.0.0", 28, child_prefix=29, tags=["default"])))
    for _ in range(2):
        core.gateway(core.pool("10.0.0.0/29", shared=True), "10.0.0.1")
    core.restart_engine("engine-2")
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1)))
    core.release(POOL, "10.0.0.1")
    core.release_pool(POOL)

    assert core.references(POOL) == 1
    assert core.leases(POOL) == {"10.0.0.1": True}


def test_every_network_of_a_shared_subnet_is_counted(core: Core) -> None:
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 3), networks=3))
    for _ in range(2):
        core.release(POOL, "10.0.0.1")
        core.release_pool(POOL)

    assert core.references(POOL) == 1
    assert "10.0.0.1" in core.leases(POOL)


def test_a_pool_that_its_engine_claimed_in_between_stays_as_it_is(core: Core) -> None:
    used = unclaimed(core, seen(core, "10.0.0.1", 1))
    replay(core, POOL, "10.0.0.1")

    with pytest.raises(InUse, match="nothing has been claimed"):
        claim(core, used)


def test_a_pool_is_not_claimed_if_a_lease_in_it_has_changed(core: Core) -> None:
    used = unclaimed(core, seen(core, "10.0.0.1", 1), seen(core, "10.0.0.2"))
    core.release(POOL, "10.0.0.2")

    with pytest.raises(NotHeld, match="nothing has been claimed"):
        claim(core, used)
    assert not is_claimed(core)


def test_a_pool_that_was_released_in_between_is_not_there(core: Core) -> None:
    used = unclaimed(core)
    core.release_pool(POOL)

    with pytest.raises(NotHeld, match="nothing has been claimed"):
        claim(core, used)


def test_an_address_that_was_given_out_again_in_between_stays_as_it_is(core: Core) -> None:
    replay(core, POOL, "10.0.0.1")
    used = seen(core, "10.0.0.2")
    core.release(POOL, "10.0.0.2")
    core.time.pass_seconds(1)
    core.address(POOL)

    with pytest.raises(InUse, match="given out, or claimed, again since"):
        claim_lease(core, used)


def test_an_address_is_claimed_only_for_a_driver_name_that_holds_the_pool(core: Core) -> None:
    with pytest.raises(NotHeld):
        claim_lease(core, seen(core, "10.0.0.2"), "web")


def test_a_gateway_keeps_the_networks_of_other_pools_that_have_it() -> None:
    core = Core(tree_of(scope("10.0.0.0", 28, child_prefix=29, tags=["default"])))
    for ip_range in ("", "10.0.0.4/30"):
        pool = core.pool("10.0.0.0/29", ip_range=ip_range, shared=True)
        core.gateway(pool, "10.0.0.1")
    core.restart_engine("engine-2")
    claim(core, unclaimed(core, seen(core, "10.0.0.1", 1)))
    core.release(POOL, "10.0.0.1")
    core.release_pool(POOL)

    assert list(core.leases("local/10.0.0.0/29/10.0.0.4/30")) == ["10.0.0.1"]


def test_a_gateway_is_claimed_once_for_each_pool_whose_networks_have_it() -> None:
    core = Core(tree_of(scope("10.0.0.0", 28, child_prefix=29, tags=["default"])))
    pools = [POOL, f"{POOL}/10.0.0.4/30"]
    for ip_range in ("", "10.0.0.4/30"):
        core.gateway(core.pool("10.0.0.0/29", ip_range=ip_range, shared=True), "10.0.0.1")
    core.restart_engine("engine-2")
    gateway = seen(core, "10.0.0.1", 1)
    for pool in pools:
        core.make(partial(core.ipam.claim_address, DRIVER, pool, gateway))
    core.release(POOL, "10.0.0.1")

    assert list(core.leases(pools[1])) == ["10.0.0.1"]


def test_a_gateway_that_a_container_has_now_is_not_claimed(core: Core) -> None:
    gateway = seen(core, "10.0.0.1", 1)
    core.release(POOL, "10.0.0.1")
    core.time.pass_seconds(1)
    core.address(POOL, "10.0.0.1")

    with pytest.raises(InUse, match="nothing has been claimed"):
        claim_lease(core, gateway)


def test_nothing_is_claimed_that_cannot_be_stored(core: Core) -> None:
    used = unclaimed(core, seen(core, "10.0.0.1", 1))
    core.store.fail = True

    with pytest.raises(StoreFailure):
        claim(core, used)
    assert not is_claimed(core)
