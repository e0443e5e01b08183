"""Lists come in pages, in the order of the addresses, and what is asked for is all that comes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from pyipam.errors import InvalidRequest, NotHeld
from pyipam.space.address import to_number
from pyipam.space.block import Block, block_of
from pyipam.views.leases import LeaseFilter, list_leases
from pyipam.views.order import Part
from pyipam.views.pools import PoolFilter, list_pools
from tests.support.core import Core, replay, scope, tree_of
from tests.support.viewing import Viewer

PLAN = tree_of(
    scope("10.0.0.0", 16, child_prefix=24, tags=["default"]),
    scope("10.1.0.0", 16, child_prefix=24, tags=["web"], reuse_delay=60),
    scope("fc00::", 48, child_prefix=64, tags=["default"]),
)


@pytest.fixture
def core() -> Core:
    return Core(PLAN)


def _block(text: str) -> Block:
    address, _, length = text.partition("/")
    return Block(4, to_number(address), int(length))


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
def test_pools_come_in_the_order_of_their_addresses_whatever_the_size_of_a_page(
    core: Core, limit: int
) -> None:
    made = [
        core.pool("10.0.9.0/24", shared=True),
        core.pool(version=6),
        core.pool("10.0.0.0/24"),
        core.pool("10.0.9.0/24", ip_range="10.0.9.128/25", shared=True),
        core.pool("10.0.10.0/24", space="global"),
        core.pool("10.0.2.0/28"),
    ]

    found = [pool.id for pool in Viewer(core).pools(limit)]

    assert found == [
        "local/10.0.0.0/24",
        "local/10.0.2.0/28",
        "local/10.0.9.0/24",
        "local/10.0.9.0/24/10.0.9.128/25",
        "global/10.0.10.0/24",
        "local/fc00::/64",
    ]
    assert sorted(found) == sorted(made)


@pytest.mark.parametrize("limit", [1, 3, 250])
def test_leases_come_in_the_order_of_their_addresses_whatever_the_size_of_a_page(
    core: Core, limit: int
) -> None:
    second, first = core.pool("10.0.2.0/24"), core.pool("10.0.1.0/24")
    core.gateway(second)
    core.gateway(first, "10.0.1.254")
    for address in ("10.0.1.10", "10.0.1.9"):
        core.address(first, address)

    assert [lease.address for lease in Viewer(core).leases(limit)] == [
        *("10.0.1.9", "10.0.1.10", "10.0.1.254"),
        "10.0.2.1",
    ]


def test_what_comes_and_goes_between_two_pages_disturbs_nothing_else(core: Core) -> None:
    pools = [core.pool() for _ in range(4)]
    viewer = Viewer(core)
    first = list_pools(core.ipam, viewer.subnets, PoolFilter(), Part(limit=2), "", viewer.pause)
    assert first.next is not None
    core.release_pool(pools[1])
    core.pool("10.0.200.0/24")

    rest = list_pools(
        core.ipam, viewer.subnets, PoolFilter(), Part(first.next, 10), "", viewer.pause
    )

    assert [pool.id for pool in rest.items] == [*pools[2:], "local/10.0.200.0/24"]


@pytest.mark.parametrize("after", ["x", "local/10.0.0.0", "local/10.0.0.0/24/x", "10.0.0.1"])
def test_a_page_after_what_no_page_named_is_refused(core: Core, after: str) -> None:
    viewer, part = Viewer(core), Part(after, 10)

    with pytest.raises(InvalidRequest, match="leave it out to begin"):
        list_pools(core.ipam, viewer.subnets, PoolFilter(), part, "", viewer.pause)
    with pytest.raises(InvalidRequest, match="leave it out to begin"):
        list_leases(core.ipam, viewer.subnets, LeaseFilter(PoolFilter()), part, "", viewer.pause)


def test_pools_can_be_asked_for_by_what_they_are(core: Core) -> None:
    plain = core.pool()
    labelled = core.pool("10.0.5.0/24", label="shop")
    web = core.pool(tags="web", space="global")
    gone = core.pool(tags="web")
    core.address(gone)
    core.release_pool(gone)
    viewer = Viewer(core)

    def found(**wanted: Any) -> list[str]:
        return [pool.id for pool in viewer.pools(**wanted)]

    assert found(id=labelled) == [labelled]
    assert found(label="shop") == [labelled]
    assert found(containing="ho") == [labelled]
    assert found(space="global") == [web]
    assert found(tag="web") == [web, gone]
    assert found(resting=True) == [gone]
    assert found(tag="web", resting=False) == [web]
    assert found(overlapping=_block("10.0.5.7/32")) == [labelled]
    assert found(overlapping=_block("10.0.0.0/15")) == [plain, labelled, web, gone]
    assert found(inside=_block("10.1.0.0/16")) == [web, gone]
    assert found(overlapping=block_of(PLAN.roots[2].network)) == []


def test_what_docker_has_not_named_again_is_found(core: Core) -> None:
    kept, left = core.pool(), core.pool()
    core.gateway(kept)
    forgotten = core.address(kept)
    core.restart_engine("engine-2")
    replay(core, kept, "10.0.0.1")
    viewer = Viewer(core)

    assert [pool.id for pool in viewer.pools(unclaimed=True)] == [left]
    assert [lease.address for lease in viewer.leases(unclaimed=True)] == [
        forgotten.partition("/")[0]
    ]
    census = viewer.census()
    assert (census.unclaimed_pools, census.unclaimed_leases) == (1, 1)


def test_leases_can_be_asked_for_by_what_they_are(core: Core) -> None:
    pool, other = core.pool(tags="web"), core.pool()
    core.gateway(pool)
    core.address(pool)
    core.address(pool)
    core.release(pool, "10.1.0.3")
    core.gateway(other)
    viewer = Viewer(core)

    def found(**wanted: Any) -> list[str]:
        return [lease.address for lease in viewer.leases(**wanted)]

    assert found(pools=PoolFilter(id=pool)) == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
    assert found(kind="gateway") == ["10.0.0.1", "10.1.0.1"]
    assert found(resting=True) == ["10.1.0.3"]
    assert found(address="10.1.0.2") == ["10.1.0.2"]
    assert found(address="10.1.0.9") == []
    assert found(pools=PoolFilter(inside=_block("10.0.0.0/16"))) == ["10.0.0.1"]


def test_leases_in_a_part_of_a_pool_are_those_whose_addresses_lie_there(core: Core) -> None:
    pool = core.pool("10.0.0.0/24")
    for address in ("10.0.0.2", "10.0.0.130", "10.0.0.131"):
        core.address(pool, address)
    viewer = Viewer(core)

    def found(block: str) -> list[str]:
        pools = PoolFilter(overlapping=_block(block))
        return [lease.address for lease in viewer.leases(pools=pools)]

    assert found("10.0.0.128/25") == ["10.0.0.130", "10.0.0.131"]
    assert found("10.0.0.131/32") == ["10.0.0.131"]
    assert found("10.0.0.0/16") == ["10.0.0.2", "10.0.0.130", "10.0.0.131"]
    assert found("10.0.1.0/24") == []


def test_what_rests_has_not_leaked(core: Core) -> None:
    pool = core.pool(tags="web")
    core.gateway(pool)
    core.address(pool)
    core.release(pool, "10.1.0.2")
    core.restart_engine("engine-2")
    replay(core, pool, "10.1.0.1")
    viewer = Viewer(core)

    assert [lease.address for lease in viewer.leases(resting=True)] == ["10.1.0.2"]
    assert viewer.leases(unclaimed=True) == []
    (rests,) = (cell for cell in viewer.map("10.1.0.0/24").cells if cell.subnet == "10.1.0.2")
    assert (rests.resting, rests.unclaimed) == (1, 0)


def test_a_search_for_what_rests_does_not_look_at_everything_that_is_in_use(core: Core) -> None:
    pool = core.pool("10.0.0.0/16")
    core.together(*[partial(core.address, pool)] * 2000)
    viewer = Viewer(core)

    assert viewer.leases(resting=True) == []

    assert viewer.pauses < 10


def test_the_leases_of_a_pool_that_there_is_not_are_refused(core: Core) -> None:
    with pytest.raises(NotHeld, match="is not held by pyipam"):
        Viewer(core).leases(pools=PoolFilter(id="local/10.9.0.0/24"))


def test_a_view_of_much_lets_calls_pass_again_and_again(core: Core) -> None:
    for number in range(250):
        core.pool(f"10.0.{number}.0/24")
    viewer = Viewer(core)

    viewer.leases()

    assert viewer.pauses > 4
