"""The map says whose aggregate each cell lies in, and how much of a larger cell is claimed."""

from __future__ import annotations

import pytest

from pyipam.space.block import Block
from pyipam.store.records import AggregateRecord
from pyipam.views.levels import cell_length
from pyipam.views.plan_map import CellView
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import SCOPE, SUBNETS_OF_AGGREGATE, core_with, fill, plan_with


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def cell(core: Core, block: str, subnet: str) -> CellView:
    (found,) = (item for item in Viewer(core).map(block).cells if item.subnet == subnet)
    return found


@pytest.mark.parametrize(
    ("keys", "lengths"),
    [
        ({"node_prefix": 20, "child_prefix": 26}, [20, 26, 32]),
        ({"node_prefix": 24, "child_prefix": 30}, [24, 30, 32]),
        ({"node_prefix": 16, "child_prefix": 26}, [24, 26, 32]),
        ({"prefix": 8, "network": "10.0.0.0", "node_prefix": 20, "child_prefix": 26}, [16, 20, 26]),
    ],
)
def test_the_blocks_that_nodes_claim_are_the_cells_of_a_level(
    keys: dict[str, object], lengths: list[int]
) -> None:
    tree = plan_with(**keys)
    block = tree.roots[0].block
    found = []
    while block.length < block.width:
        block = block._replace(length=cell_length(block, tree.containing(block)))
        found.append(block.length)

    assert found[: len(lengths)] == lengths


def test_an_own_aggregate_says_so_and_how_many_of_its_blocks_are_held() -> None:
    core = core_with()
    fill(core, 3)

    found = cell(core, "10.1.0.0/16", "10.1.0.0/20")

    assert (found.state, found.used_percent, found.pools) == ("held", 75, 3)
    assert (found.aggregate, found.node) == ("10.1.0.0/20", "h1")
    assert found.sentence == ("10.1.0.0/20: 3 of 4 blocks held, claimed by this node on 2023-11-14")


def test_an_own_aggregate_without_pools_is_free_and_claimed() -> None:
    core = core_with()
    core.release_pool(core.pool())

    found = cell(core, "10.1.0.0/16", "10.1.0.0/20")

    assert (found.state, found.node) == ("free", "h1")
    assert found.sentence == "10.1.0.0/20: free, claimed by this node on 2023-11-14"


def test_a_part_of_an_own_aggregate_names_it() -> None:
    core = core_with()
    core.pool(label="web")

    assert cell(core, "10.1.0.0/20", "10.1.4.0/22").sentence == (
        "10.1.4.0/22: free, in 10.1.0.0/20 of this node"
    )
    assert cell(core, "10.1.0.0/20", "10.1.0.0/22").sentence == (
        "10.1.0.0/22: pool 10.1.0.0/22 (web), 0 addresses given out"
    )


def test_an_aggregate_of_another_node_is_claimed_as_a_whole(plan: SharedPlan) -> None:
    node(plan, "h1", plan_with()).pool()
    core = node(plan, "h2", plan_with())

    found = cell(core, "10.1.0.0/16", "10.1.0.0/20")

    assert (found.state, found.used_percent, found.pools) == ("claimed", 100, 0)
    assert (found.aggregate, found.node) == ("10.1.0.0/20", "h1")
    assert found.sentence == "10.1.0.0/20: claimed by node h1 on 2023-11-14"
    assert cell(core, "10.1.0.0/16", "10.1.16.0/20").sentence == "10.1.16.0/20: free"


def test_a_part_of_an_aggregate_of_another_node_is_claimed_too(plan: SharedPlan) -> None:
    node(plan, "h1", plan_with()).pool()
    core = node(plan, "h2", plan_with())

    block, address = (
        cell(core, "10.1.0.0/20", "10.1.4.0/22"),
        cell(core, "10.1.4.0/24", "10.1.4.9"),
    )

    assert (block.state, block.used_percent) == ("claimed", 100)
    assert block.sentence == "10.1.4.0/22: in 10.1.0.0/20, claimed by node h1 on 2023-11-14"
    assert address.state == "claimed"
    assert address.sentence == "10.1.4.9: in 10.1.0.0/20, claimed by node h1 on 2023-11-14"


def test_a_cell_with_several_aggregates_counts_them(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with())
    for _ in range(3):
        fill(h1)
    h2 = node(plan, "h2", plan_with())
    h2.pool()

    found = cell(h2, "", "10.1.0.0/16")

    assert (found.aggregates, found.aggregate, found.node) == (4, None, None)
    assert found.used_percent == 21
    assert found.state == "held"
    assert found.sentence == (
        "10.1.0.0/16: 1 of 64 blocks held, one aggregate of this node, 3 of other nodes"
    )


def test_a_cell_of_which_others_have_claimed_a_part_is_not_free(plan: SharedPlan) -> None:
    node(plan, "h1", plan_with()).pool()
    core = node(plan, "h2", plan_with())

    found = cell(core, "", "10.1.0.0/16")

    assert (found.state, found.used_percent, found.aggregates) == ("claimed", 7, 1)
    assert found.sentence == "10.1.0.0/16: one aggregate of another node"


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        ("drained", "claimed by node h1 on 2023-11-14, being drained"),
        ("forgotten", "claimed by node h1 on 2023-11-14; that node was forgotten"),
    ],
)
def test_a_cell_says_what_became_of_the_node(plan: SharedPlan, fate: str, words: str) -> None:
    h1 = node(plan, "h1", plan_with())
    h1.pool()
    core = node(plan, "h2", plan_with())
    if fate == "drained":
        core.make(lambda: core.ipam.drain("h1"))
    else:
        plan.forget("h1", core.time.wall)
        core.ipam.catch_up()

    assert cell(core, "10.1.0.0/16", "10.1.0.0/20").sentence == f"10.1.0.0/20: {words}"


def test_an_own_aggregate_that_rests_says_so() -> None:
    core = core_with()
    for pool in fill(core, 2 * SUBNETS_OF_AGGREGATE):
        core.release_pool(pool)

    found = cell(core, "10.1.0.0/16", "10.1.16.0/20")

    assert (found.state, found.node) == ("resting", "h1")
    assert found.sentence == (
        "10.1.16.0/20: free, claimed by this node on 2023-11-14, given back and at rest"
    )


def test_a_pool_outside_every_aggregate_is_held_as_any_other() -> None:
    core = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))
    core.pool("10.1.48.0/22")
    core.ipam.use_schema(plan_with())

    found = cell(core, "10.1.0.0/16", "10.1.48.0/20")

    assert (found.state, found.node) == ("held", None)
    assert found.sentence == "10.1.48.0/20: 1 of 4 blocks held"


def test_a_map_looks_at_the_aggregates_in_its_block_alone(plan: SharedPlan) -> None:
    for number in range(2, 2000):
        block = Block(4, (10 << 24) + (number << 12), 20)
        claimed = AggregateRecord(f"local@h{number}/{block}", "10.0.0.0/8", 1.0)
        plan.records[claimed.key] = claimed
    core = node(plan, "h1", tree_of(SCOPE | {"network": "10.0.0.0", "prefix": 8}))
    viewer = Viewer(core)

    whole = viewer.map("10.0.0.0/8")
    viewer.pauses = 0
    part = viewer.map("10.1.0.0/16")

    assert [item.aggregates for item in whole.cells][:3] == [14, 16, 16]
    assert [item.node for item in part.cells] == [f"h{number}" for number in range(16, 32)]
    assert viewer.pauses < 20
