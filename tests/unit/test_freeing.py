"""What leaked is freed at an operator's request, if it is still as it was seen."""

from __future__ import annotations

import pytest

from pyipam.core.freeing import SeenPool, fingerprint_of
from pyipam.core.seen import SeenLease
from pyipam.errors import InUse, NotHeld, StoreFailure
from pyipam.space.address import parse_address
from tests.support.core import Core, replay, scope, tree_of
from tests.support.reading import leases_in, pools_in

POOL = "local/10.0.0.0/26"


@pytest.fixture
def core() -> Core:
    """A pool with a gateway and the container 10.0.0.2."""
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, tags=["default"])))
    core.gateway(core.pool())
    core.address(POOL)
    return core


def seen_lease(core: Core, address: str = "10.0.0.2", pool: str = POOL) -> SeenLease:
    (lease,) = [lease for lease, _ in leases_in(core.ipam, pool) if lease.address == address]
    return SeenLease(pool, parse_address(address), lease.epoch, lease.granted)


def seen_pool(core: Core, pool_id: str = POOL) -> SeenPool:
    (pool,) = [pool for pool, _ in pools_in(core.ipam) if pool.id == pool_id]
    leases = [
        (lease.address, lease.epoch, lease.granted) for lease, _ in leases_in(core.ipam, pool_id)
    ]
    return SeenPool(pool.id, pool.created, frozenset(pool.claims), fingerprint_of(leases))


def free(core: Core, seen: SeenLease | SeenPool) -> None:
    if isinstance(seen, SeenPool):
        core.make(lambda: core.ipam.free_pool(seen))
    else:
        core.make(lambda: core.ipam.free_address(seen))


def test_an_address_is_free_again_also_after_a_restart(core: Core) -> None:
    free(core, seen_lease(core))
    core.start()

    assert list(core.leases(POOL)) == ["10.0.0.1"]
    assert core.address(POOL) == "10.0.0.2/26"


def test_an_address_that_was_given_out_again_in_between_stays(core: Core) -> None:
    seen = seen_lease(core)
    core.release(POOL, "10.0.0.2")
    core.time.pass_seconds(1)
    core.address(POOL)

    with pytest.raises(InUse, match="given out, or claimed, again since"):
        free(core, seen)
    assert "10.0.0.2" in core.leases(POOL)


def test_an_address_that_docker_claimed_again_in_between_stays(core: Core) -> None:
    seen = seen_lease(core)
    core.restart_engine("engine-2")
    replay(core, POOL, "10.0.0.1", "10.0.0.2")

    with pytest.raises(InUse, match="epoch 2"):
        free(core, seen)
    assert core.leases(POOL)["10.0.0.2"]


def test_an_address_that_was_released_in_between_is_not_there(core: Core) -> None:
    seen = seen_lease(core)
    core.release(POOL, "10.0.0.2")

    with pytest.raises(NotHeld, match="nothing has been freed"):
        free(core, seen)


def test_a_gateway_is_not_freed_alone(core: Core) -> None:
    with pytest.raises(InUse, match="a gateway now"):
        free(core, seen_lease(core, "10.0.0.1"))


def test_a_fixed_address_is_held_back_as_after_its_release(core: Core) -> None:
    core.address(POOL, "10.0.0.9")
    free(core, seen_lease(core, "10.0.0.9"))

    assert [lease.is_held_back for lease, _ in leases_in(core.ipam, POOL)] == [False, False, True]


def test_an_address_rests_as_after_its_release() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, tags=["default"], reuse_delay=60)))
    core.address(core.pool())
    free(core, seen_lease(core, "10.0.0.1"))

    assert core.address(POOL) == "10.0.0.2/26"


def test_a_pool_is_freed_with_its_addresses(core: Core) -> None:
    free(core, seen_pool(core))
    core.start()

    assert core.pools() == []
    assert core.pool() == POOL


@pytest.mark.parametrize("came", [True, False])
def test_a_pool_in_which_an_address_came_or_went_stays(core: Core, came: bool) -> None:
    seen = seen_pool(core)
    if came:
        core.address(POOL)
    else:
        core.release(POOL, "10.0.0.2")

    with pytest.raises(InUse, match="given out, claimed or released since"):
        free(core, seen)
    assert core.pools() == [POOL]


def test_a_pool_that_a_new_network_has_stays(core: Core) -> None:
    seen = seen_pool(core)
    core.release_pool(POOL)
    core.time.pass_seconds(1)
    core.pool()

    with pytest.raises(InUse, match="claimed again, or by others"):
        free(core, seen)
    assert core.pools() == [POOL]


def test_a_pool_that_a_second_network_has_stays(core: Core) -> None:
    shared = core.pool("10.0.0.64/26", shared=True)
    seen = seen_pool(core, shared)
    core.pool("10.0.0.64/26", shared=True, driver="web")

    with pytest.raises(InUse, match="claimed again, or by others"):
        free(core, seen)


def test_a_pool_that_docker_released_in_between_is_not_there(core: Core) -> None:
    seen = seen_pool(core)
    core.release_pool(POOL)

    with pytest.raises(NotHeld, match="no longer held"):
        free(core, seen)


def test_a_pool_into_which_a_route_of_the_host_leads_stays(core: Core) -> None:
    core.routes.add("10.0.0.0/26")

    with pytest.raises(InUse, match="which suggests that its network still exists"):
        free(core, seen_pool(core))
    assert core.pools() == [POOL]


def test_a_route_says_nothing_of_a_pool_whose_subnet_another_network_has(core: Core) -> None:
    lost, living = (
        core.pool("10.0.0.64/26", ip_range=ip_range, shared=True)
        for ip_range in ("10.0.0.64/27", "10.0.0.96/27")
    )
    for pool in (lost, living):
        core.address(pool, "10.0.0.65", kind="gateway")
    core.address(lost)
    taken = core.address(living)
    core.routes.add("10.0.0.64/26")

    free(core, seen_pool(core, lost))

    assert core.pools() == [POOL, living]
    assert list(core.leases(living)) == ["10.0.0.65", taken.partition("/")[0]]


@pytest.mark.parametrize("what", ["address", "pool"])
def test_nothing_is_freed_that_cannot_be_stored(core: Core, what: str) -> None:
    empty = core.pool()
    seen = seen_lease(core) if what == "address" else seen_pool(core, empty)
    core.store.fail = True

    with pytest.raises(StoreFailure):
        free(core, seen)
    assert core.pools() == [POOL, empty]
    assert list(core.leases(POOL)) == ["10.0.0.1", "10.0.0.2"]
    assert core.references(empty) == 1
