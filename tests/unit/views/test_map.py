"""The map of the plan cuts a block into at most 256 cells, and says of each how full it is."""

from __future__ import annotations

import pytest

from pyipam.space.block import block_of, parse_network
from pyipam.views.levels import cell_length, path_to
from pyipam.views.plan_map import CellView
from tests.support.core import Core, scope, tree_of
from tests.support.viewing import Viewer
from tests.unit.views.plans import PLAN


@pytest.fixture
def core() -> Core:
    return Core(PLAN)


def cell(core: Core, block: str, subnet: str) -> CellView:
    (found,) = (item for item in Viewer(core).map(block).cells if item.subnet == subnet)
    return found


@pytest.mark.parametrize(
    ("network", "lengths"),
    [
        ("10.0.0.0/16", [24, 32]),
        ("10.0.128.0/20", [28, 32]),
        ("10.0.0.0/17", [24, 32]),
        ("fc00::/48", [56, 64, 72, 80, 88, 96, 104, 112, 120, 128]),
    ],
)
def test_each_level_leads_to_the_next_down_to_single_addresses(
    network: str, lengths: list[int]
) -> None:
    block = block_of(parse_network(network))
    found = []
    while block.length < block.width:
        block = block._replace(length=cell_length(block, PLAN.containing(block)))
        found.append(block.length)

    assert found == lengths


@pytest.mark.parametrize(
    ("prefix", "child_prefix", "lengths"),
    [
        (17, 26, [24, 26, 32]),
        (17, 30, [24, 30, 32]),
        (17, 31, [24, 31, 32]),
        (12, 24, [16, 24, 32]),
        (12, 20, [20, 24, 32]),
        (15, 26, [20, 26, 32]),
    ],
)
def test_the_blocks_of_a_scope_are_cells_and_the_levels_above_end_at_a_number(
    prefix: int, child_prefix: int, lengths: list[int]
) -> None:
    tree = tree_of(scope("100.64.0.0", prefix, child_prefix=child_prefix))
    block = tree.roots[0].block
    found = []
    while block.length < block.width:
        block = block._replace(length=cell_length(block, tree.containing(block)))
        found.append(block.length)

    assert found == lengths


def test_an_ipv6_level_ends_at_a_digit() -> None:
    tree = tree_of(scope("fc00::", 45, child_prefix=64))

    assert cell_length(tree.roots[0].block, tree.roots[0]) == 52


def test_the_path_leads_from_the_outermost_scope_to_the_block() -> None:
    block = block_of(parse_network("10.0.129.16/28"))

    assert [str(step) for step in path_to(PLAN, block)] == [
        "10.0.0.0/16",
        "10.0.129.0/24",
        "10.0.129.16/28",
    ]


def test_the_path_to_a_block_outside_of_every_scope_is_that_block() -> None:
    block = block_of(parse_network("192.0.2.0/24"))

    assert path_to(PLAN, block) == [block]


def test_the_whole_plan_has_a_cell_for_each_outermost_scope(core: Core) -> None:
    core.pool()
    core.pool(tags="web")

    found = Viewer(core).map()

    assert [item.subnet for item in found.cells] == ["10.0.0.0/16", "fc00::/48"]
    assert [item.pools for item in found.cells] == [2, 0]
    assert found.cells[0].scopes == ("10.0.128.0/20",)


def test_a_map_says_which_scope_its_block_lies_in(core: Core) -> None:
    found = Viewer(core).map("10.0.128.0/24")

    assert (found.block, found.cell_prefix, found.scope) == ("10.0.128.0/24", 28, "10.0.128.0/20")
    assert found.tags == ("web",)
    assert found.path == ("10.0.0.0/16", "10.0.128.0/24")


def test_a_held_block_shows_its_label_and_its_addresses(core: Core) -> None:
    pool = core.pool(label="shop")
    core.gateway(pool)
    core.address(pool)

    found = cell(core, "10.0.0.0/16", "10.0.0.0/24")

    assert (found.state, found.label, found.leases, found.pools) == ("held", "shop", 2, 1)
    assert found.sentence == "10.0.0.0/24: pool 10.0.0.0/24 (shop), 2 addresses given out"
    assert found.used_percent == 100


def test_a_part_of_a_pool_is_as_full_as_its_addresses(core: Core) -> None:
    pool = core.pool("10.0.64.0/20")
    core.address(pool, "10.0.64.1")
    core.address(pool, "10.0.64.9")

    found = cell(core, "10.0.64.0/20", "10.0.64.0/24")

    assert (found.used_percent, found.state) == (1, "held")
    assert found.sentence == "10.0.64.0/24: a part of pool 10.0.64.0/20, 2 addresses given out"


def test_a_block_that_nobody_has_is_free(core: Core) -> None:
    found = cell(core, "10.0.0.0/16", "10.0.55.0/24")

    assert (found.state, found.sentence) == ("free", "10.0.55.0/24: free")
    assert found.used_percent == 0


def test_a_larger_cell_counts_the_blocks_of_its_scope(core: Core) -> None:
    for _ in range(5):
        core.pool(tags="web")

    found = cell(core, "10.0.0.0/16", "10.0.128.0/24")

    assert found.sentence == "10.0.128.0/24: 5 of 16 blocks held"
    assert (found.state, found.pools, found.used_percent) == ("held", 5, 32)


def test_a_pool_that_is_wider_than_the_map_is_seen_in_each_of_its_cells(core: Core) -> None:
    pool = core.pool("10.0.64.0/18")
    core.address(pool, "10.0.67.7")

    found = Viewer(core).map("10.0.67.0/24")

    assert {item.pools for item in found.cells} == {1}
    assert [item.subnet for item in found.cells if item.state == "container"] == ["10.0.67.7"]


def test_single_addresses_show_who_has_them(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.address(pool)

    found = {item.subnet: item.state for item in Viewer(core).map("10.0.0.0/24").cells}

    assert found["10.0.0.0"] == found["10.0.0.255"] == "not usable"
    assert found["10.0.0.1"] == "gateway"
    assert found["10.0.0.2"] == "container"
    assert found["10.0.0.3"] == "free"
    assert found["10.0.0.105"] == "reserved"


def test_a_pool_consists_of_addresses_whatever_its_scope_gives_out(core: Core) -> None:
    core.pool("10.0.128.0/24")

    assert Viewer(core).map("10.0.128.0/24").cell_prefix == 32
    assert Viewer(core).map("10.0.129.0/24").cell_prefix == 28


def test_what_leaked_comes_before_everything_else(core: Core) -> None:
    core.pool(label="old")
    core.pool()
    core.restart_engine("engine-2")
    core.pool("10.0.1.0/24")

    found = cell(core, "10.0.0.0/16", "10.0.0.0/24")

    assert (found.state, found.unclaimed) == ("unclaimed", 1)
    assert found.sentence.endswith("0 addresses given out, 1 unclaimed")
    assert cell(core, "10.0.0.0/16", "10.0.1.0/24").unclaimed == 0


def test_what_rests_is_told_from_what_is_held(core: Core) -> None:
    pool = core.pool(tags="web")
    address = core.address(pool).partition("/")[0]
    core.release(pool, address)

    assert cell(core, "10.0.128.0/28", address).state == "resting"

    core.release_pool(pool)

    assert cell(core, "10.0.128.0/24", "10.0.128.0/28").state == "resting"


def test_reserved_parts_and_routes_of_the_host_are_shown(core: Core) -> None:
    core.routes.add("10.0.9.0/24", "wg0")

    assert cell(core, "10.0.0.0/16", "10.0.7.0/24").state == "reserved"
    assert cell(core, "10.0.0.0/16", "10.0.9.0/24").state == "route"


def test_what_is_in_no_scope_is_outside(core: Core) -> None:
    assert {item.state for item in Viewer(core).map("172.16.0.0/16").cells} == {"outside"}


def test_ipv6_is_counted_in_blocks_and_not_in_addresses(core: Core) -> None:
    core.pool(version=6)

    found = cell(core, "fc00::/48", "fc00::/56")

    assert found.sentence == "fc00::/56: 1 of 256 blocks held"


def test_pools_that_overlap_are_counted_once_in_what_is_used(core: Core) -> None:
    core.pool("10.0.3.0/24")
    core.pool("10.0.3.0/24", space="global")

    found = cell(core, "10.0.0.0/16", "10.0.3.0/24")

    assert (found.pools, cell(core, "", "10.0.0.0/16").used_percent) == (2, 1)


@pytest.mark.parametrize("block", ["10.0.0.0/16", "fc00::/48", "0.0.0.0/0", "::/0", "10.0.0.1/32"])
def test_a_map_never_has_more_than_256_cells(core: Core, block: str) -> None:
    assert 1 <= len(Viewer(core).map(block).cells) <= 256


def test_calls_are_let_through_while_a_map_is_drawn(core: Core) -> None:
    for _ in range(250):
        core.pool(tags="web")
    viewer = Viewer(core)

    viewer.map("10.0.128.0/20")

    assert viewer.pauses > 5
