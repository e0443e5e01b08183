"""What a node gives out in a plan that other nodes share."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse, NotHeld
from pyipam.store.records import Delete, Put
from tests.support.core import Core, replay
from tests.support.reading import leases_in
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import SharedPlan

# Blocks
from tests.support.viewing import Viewer


def test_an_automatic_block_never_overlaps_a_block_of_another_node(
    first: Core, second: Core
) -> None:
    assert first.pool() == "local/10.0.0.0/24"
    assert second.pool() == "local/10.0.1.0/24"
    assert first.pool() == "local/10.0.2.0/24"


def test_an_explicit_subnet_may_be_the_same_on_two_nodes(first: Core, second: Core) -> None:
    assert first.pool("10.0.7.0/24") == "local/10.0.7.0/24"
    assert second.pool("10.0.7.0/24") == "local/10.0.7.0/24"
    assert first.references("local/10.0.7.0/24") == second.references("local/10.0.7.0/24") == 1


def test_a_block_is_free_once_every_node_has_released_it(first: Core, second: Core) -> None:
    first.pool("10.0.0.0/24")
    second.pool("10.0.0.0/24")
    first.release_pool("local/10.0.0.0/24")
    assert first.pool() == "local/10.0.1.0/24"
    second.release_pool("local/10.0.0.0/24")
    assert first.pool() == "local/10.0.0.0/24"


def test_a_node_that_starts_knows_what_the_others_hold(plan: SharedPlan, first: Core) -> None:
    first.pool()
    assert node(plan, "third").pool() == "local/10.0.1.0/24"


def test_a_pool_of_another_node_is_not_held_here(first: Core, second: Core) -> None:
    first.pool()
    second.ipam.catch_up()
    assert [pool.id for pool in Viewer(second).pools(everywhere=True)] == [
        "local@first/10.0.0.0/24"
    ]
    for name in ("local@first/10.0.0.0/24", "local/10.0.0.0/24"):
        with pytest.raises(NotHeld):
            second.address(name)
        second.release_pool(name)
    assert first.pools() == ["local/10.0.0.0/24"]


# Addresses


def test_containers_of_two_nodes_on_one_subnet_get_different_addresses(
    first: Core, second: Core
) -> None:
    pools = [core.pool("10.0.9.0/24") for core in (first, second)]
    assert [core.gateway(pools[0]) for core in (first, second)] == ["10.0.9.1/24"] * 2
    given = [core.address(pools[0]) for _ in range(20) for core in (first, second)]
    assert len(set(given)) == 40


def test_an_address_in_use_on_another_node_is_refused_with_the_name_of_the_node(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/24")
    second.pool("10.0.9.0/24")
    first.address(pool, "10.0.9.77")
    with pytest.raises(InUse, match=r"10\.0\.9\.77 has been in use .* local@first/10\.0\.9\.0/24"):
        second.address(pool, "10.0.9.77")


def test_addresses_that_were_never_released_are_free_once_their_pool_is_released(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/29")
    second.pool("10.0.9.0/29")
    given = [first.address(pool) for _ in range(3)]
    store_of(second).hear(store_of(first), [Put(lease) for lease, _ in leases_in(first.ipam, pool)])
    second.ipam.catch_up()

    first.release_pool(pool)

    assert [second.address(pool) for _ in range(3)] == given


def test_an_address_that_another_node_released_can_be_requested(first: Core, second: Core) -> None:
    pool = first.pool("10.0.9.0/24")
    second.pool("10.0.9.0/24")
    first.address(pool, "10.0.9.77")
    with pytest.raises(InUse):
        second.address(pool, "10.0.9.77")
    first.release(pool, "10.0.9.77")
    released = [Put(lease) for lease, _ in leases_in(first.ipam, pool)]
    store_of(second).hear(store_of(first), released)
    assert second.address(pool, "10.0.9.77") == "10.0.9.77/24"


def test_an_address_that_another_node_holds_back_is_given_out_last(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/29")
    second.pool("10.0.9.0/29")
    first.address(pool, "10.0.9.1")
    first.release(pool, "10.0.9.1")
    released = [Put(lease) for lease, _ in leases_in(first.ipam, pool)]
    store_of(second).hear(store_of(first), released)
    assert [second.address(pool) for _ in range(6)] == [
        "10.0.9.2/29",
        "10.0.9.3/29",
        "10.0.9.4/29",
        "10.0.9.5/29",
        "10.0.9.6/29",
        "10.0.9.1/29",
    ]


def test_an_address_that_another_node_has_taken_is_not_given_out_from_what_is_held_back(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/30")
    second.pool("10.0.9.0/30")
    first.address(pool, "10.0.9.1")
    first.release(pool, "10.0.9.1")
    second.address(pool, "10.0.9.1")
    assert first.address(pool) == "10.0.9.2/30"
    with pytest.raises(Exhausted):
        first.address(pool)
    with pytest.raises(InUse, match="on another node"):
        first.address(pool, "10.0.9.1")


def test_a_full_pool_looks_for_addresses_that_other_nodes_released(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/30")
    second.pool("10.0.9.0/30")
    taken = [first.address(pool).partition("/")[0] for _ in range(2)]
    with pytest.raises(Exhausted):
        second.address(pool)
    released = [Delete(lease.key) for lease, _ in leases_in(first.ipam, pool)]
    for address in taken:
        first.release(pool, address)
    store_of(second).hear(store_of(first), released)
    assert second.address(pool) == "10.0.9.1/30"


def test_a_leaked_address_that_a_container_of_another_node_has_is_not_given_out(
    first: Core, second: Core
) -> None:
    pool = second.pool("10.0.9.0/30")
    second.gateway(pool)
    first.pool("10.0.9.0/30")
    first.address(pool, "10.0.9.1")
    second.restart_engine("engine-2")
    replay(second, pool)
    assert second.address(pool) == "10.0.9.2/30"
    with pytest.raises(Exhausted):
        second.address(pool)


def test_an_address_of_the_swarm_can_be_mirrored_on_every_node(first: Core, second: Core) -> None:
    swarm = first.pool("10.0.3.0/24", space="global")
    address = first.address(swarm, "10.0.3.9")
    for core in (first, second):
        pool = core.pool("10.0.3.0/24")
        assert core.gateway(pool, "10.0.3.1") == "10.0.3.1/24"
        assert core.address(pool, "10.0.3.9") == address
