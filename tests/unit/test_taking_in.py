"""What Docker uses and the plugin lost is taken in at an operator's request."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyipam.core.taking_in import LeftOut, UsedAddress, UsedPool
from pyipam.errors import InUse, NotHeld, StoreFailure
from pyipam.space.address import parse_address
from tests.support.core import DRIVER, Core, replay, scope, tree_of
from tests.support.reading import leases_in, pools_in

POOL = "local/10.0.0.0/26"


@pytest.fixture
def core() -> Core:
    """A plugin that holds nothing."""
    return Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, tags=["default"])))


def gateway(address: str, networks: int = 1) -> UsedAddress:
    return UsedAddress(parse_address(address), networks)


def container(address: str, *, named: bool = False) -> UsedAddress:
    return UsedAddress(parse_address(address), named=named)


def take_in(
    core: Core, subnet: str, *addresses: UsedAddress, networks: int = 1, **wishes: Any
) -> tuple[LeftOut, ...]:
    """Take in a pool (see Core.pool_request); what was left out."""
    request = core.pool_request(subnet, **wishes)
    used = UsedPool(request, ip_network(subnet), networks, addresses)
    return core.make(lambda: core.ipam.take_in_pool(used))


def test_a_pool_is_held_with_its_addresses_also_after_a_restart(core: Core) -> None:
    take_in(core, "10.0.0.0/26", gateway("10.0.0.1"), container("10.0.0.2"))
    core.start()

    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": True}
    assert core.address(POOL) == "10.0.0.3/26"
    assert core.pool() == "local/10.0.0.64/26"


def test_the_next_start_of_the_engine_finds_it_right(core: Core) -> None:
    take_in(core, "10.0.0.0/26", gateway("10.0.0.1"), container("10.0.0.2"))
    core.restart_engine("engine-2")
    replay(core, POOL, "10.0.0.1", "10.0.0.2")

    assert core.references(POOL) == 1
    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": True}


def test_what_a_short_name_never_announced_is_claimed_at_its_first_start(core: Core) -> None:
    take_in(core, "10.0.0.0/26", gateway("10.0.0.1"), driver="web")
    core.restart_engine("engine-2")
    core.announce("web")
    assert core.pool("10.0.0.0/26", driver="web") == POOL
    core.gateway(POOL, "10.0.0.1", driver="web")

    assert core.references(POOL) == 1


def test_a_network_is_removed_as_if_it_had_been_made_here(core: Core) -> None:
    take_in(core, "10.0.0.0/26", gateway("10.0.0.1"), container("10.0.0.2", named=True))
    core.release(POOL, "10.0.0.2")
    core.release(POOL, "10.0.0.1")
    core.release_pool(POOL)

    assert core.pools() == []


def test_the_schema_refuses_nothing_that_exists(core: Core) -> None:
    take_in(core, "192.168.7.0/24", gateway("192.168.7.1"))

    assert core.pools() == ["local/192.168.7.0/24"]


def test_two_networks_that_share_a_subnet_are_both_counted(core: Core) -> None:
    take_in(core, "10.0.0.0/26", gateway("10.0.0.1", 2), networks=2, shared=True)
    core.release(POOL, "10.0.0.1")
    core.release_pool(POOL)

    assert core.references(POOL) == 1
    assert list(core.leases(POOL)) == ["10.0.0.1"]


def test_networks_of_two_driver_names_share_a_gateway(core: Core) -> None:
    for driver in (DRIVER, "web"):
        take_in(core, "10.0.0.0/26", gateway("10.0.0.1"), shared=True, driver=driver)
    core.release(POOL, "10.0.0.1")
    core.release_pool(POOL)

    assert list(core.leases(POOL)) == ["10.0.0.1"]


def test_networks_with_different_ip_ranges_share_a_subnet(core: Core) -> None:
    take_in(core, "10.0.0.0/26", container("10.0.0.2"), ip_range="10.0.0.0/28", shared=True)
    take_in(core, "10.0.0.0/26", container("10.0.0.18"), ip_range="10.0.0.16/28", shared=True)

    assert core.pools() == [f"{POOL}/10.0.0.0/28", f"{POOL}/10.0.0.16/28"]


def test_a_pool_that_is_held_is_not_taken_in(core: Core) -> None:
    core.pool("10.0.0.0/26")

    with pytest.raises(InUse):
        take_in(core, "10.0.0.0/26", gateway("10.0.0.1"))
    assert core.references(POOL) == 1


@pytest.mark.parametrize("subnet", ["10.0.0.0/25", "10.0.0.0/28"])
def test_a_pool_that_overlaps_one_that_is_held_is_not_taken_in(core: Core, subnet: str) -> None:
    core.pool("10.0.0.0/26")

    with pytest.raises(InUse, match=r"overlaps pool local/10\.0\.0\.0/26"):
        take_in(core, subnet)


def test_a_pool_that_rests_gives_way(core: Core) -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, tags=["default"], reuse_delay=60)))
    core.address(core.pool())
    core.release_pool(POOL)
    take_in(core, "10.0.0.0/26", container("10.0.0.5"))

    assert core.pools() == [POOL]
    core.time.pass_seconds(61)
    core.start()
    assert "10.0.0.5" in core.leases(POOL)


def test_what_no_host_can_have_is_left_out_and_the_rest_taken_in(core: Core) -> None:
    left_out = take_in(
        core, "10.0.0.0/26", gateway("10.0.0.0"), container("10.0.0.64"), container("10.0.0.2")
    )

    assert list(core.leases(POOL)) == ["10.0.0.2"]
    assert [str(item.address) for item in left_out] == ["10.0.0.0", "10.0.0.64"]
    assert "network address" in left_out[0].why
    assert "outside" in left_out[1].why


def test_what_another_network_of_the_subnet_has_is_left_out(core: Core) -> None:
    take_in(core, "10.0.0.0/26", container("10.0.0.2"), ip_range="10.0.0.0/28", shared=True)
    left_out = take_in(
        core,
        "10.0.0.0/26",
        *(container("10.0.0.2"), container("10.0.0.18")),
        ip_range="10.0.0.16/28",
        shared=True,
    )

    assert list(core.leases(f"{POOL}/10.0.0.16/28")) == ["10.0.0.18"]
    ((address, why),) = left_out
    assert str(address) == "10.0.0.2"
    assert "held through pool local/10.0.0.0/26/10.0.0.0/28" in why


def test_nothing_is_taken_in_that_cannot_be_stored(core: Core) -> None:
    core.store.fail = True
    with pytest.raises(StoreFailure):
        take_in(core, "10.0.0.0/26", gateway("10.0.0.1"))
    core.store.fail = False

    assert core.pools() == []
    assert core.pool() == POOL


def take_in_address(core: Core, used: UsedAddress, driver: str = DRIVER) -> None:
    core.make(lambda: core.ipam.take_in_address(driver, POOL, used))


def test_an_address_of_a_pool_that_is_held_is_taken_in(core: Core) -> None:
    core.gateway(core.pool())
    take_in_address(core, container("10.0.0.2"))

    assert core.leases(POOL) == {"10.0.0.1": True, "10.0.0.2": True}
    assert core.address(POOL) == "10.0.0.3/26"


def test_a_fixed_address_is_held_back_when_its_container_stops(core: Core) -> None:
    core.pool()
    take_in_address(core, container("10.0.0.2", named=True))
    core.release(POOL, "10.0.0.2")

    assert [lease.is_held_back for lease, _ in leases_in(core.ipam, POOL)] == [True]


def test_an_address_that_somebody_was_given_in_between_stays_his(core: Core) -> None:
    core.address(core.pool())

    with pytest.raises(InUse, match="already held"):
        take_in_address(core, container("10.0.0.1"))


def test_an_address_of_a_pool_that_is_not_held_is_refused(core: Core) -> None:
    core.pool()
    core.release_pool(POOL)

    with pytest.raises(NotHeld):
        take_in_address(core, container("10.0.0.2"))
    assert list(pools_in(core.ipam)) == []


def test_a_pool_of_another_driver_name_takes_in_no_address(core: Core) -> None:
    core.pool()

    with pytest.raises(NotHeld):
        take_in_address(core, container("10.0.0.2"), "web")
