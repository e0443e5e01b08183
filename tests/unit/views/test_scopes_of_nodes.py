"""Scopes whose blocks nodes claim: what this node would get, and who has how much."""

from __future__ import annotations

import pytest

from pyipam.core.aggregates import AGGREGATE_REST_SECONDS
from pyipam.views.aggregates import count_by_scope
from pyipam.views.scopes import ScopeAggregatesView, ScopeView, fullness_of_scopes, nearly_full
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import SCOPE, SUBNETS_OF_AGGREGATE, core_with, fill, plan_with


def view(core: Core) -> ScopeView:
    (found,) = Viewer(core).scopes()
    return found


def used_percent(core: Core) -> dict[str, int]:
    fullness = fullness_of_scopes(core.ipam, lambda: None)
    return {scope.network: scope.used_percent for scope in nearly_full(fullness)}


def full_of(plan: SharedPlan, name: str, count: int) -> Core:
    """A node that has filled this many aggregates with subnets."""
    core = node(plan, name, plan_with())
    for _ in range(count):
        fill(core)
    return core


def test_a_scope_shows_the_block_with_which_this_node_would_claim_its_first_aggregate() -> None:
    found = view(core_with())

    assert found.first_free == "10.1.0.0/22"
    assert found.aggregates == ScopeAggregatesView(own=0, others=0, resting=0, free="16")


def test_what_comes_next_is_what_the_next_network_gets() -> None:
    core = core_with()

    for _ in range(2 * SUBNETS_OF_AGGREGATE + 1):
        expected = view(core).first_free
        assert core.pool() == f"local/{expected}"


def test_free_is_what_is_left_in_own_aggregates_and_in_those_that_can_be_claimed() -> None:
    core = core_with()
    fill(core, 5)

    found = view(core)

    assert (found.blocks, found.free) == ("64", str(3 + 14 * SUBNETS_OF_AGGREGATE))
    assert found.aggregates == ScopeAggregatesView(own=2, others=0, resting=0, free="14")


def test_the_first_free_blocks_of_each_length_are_those_that_this_node_would_get() -> None:
    core = core_with()
    core.pool()

    assert view(core).first_free_by_length == ("10.1.8.0/21", "10.1.4.0/22")


def test_a_length_for_which_another_aggregate_is_claimed_is_found_there() -> None:
    core = core_with()
    fill(core, 3)

    assert view(core).first_free_by_length == ("10.1.16.0/21", "10.1.12.0/22")


def test_aggregates_of_other_nodes_are_counted_and_nothing_in_them_is_free() -> None:
    plan = SharedPlan()
    full_of(plan, "h1", 3)
    core = full_of(plan, "h2", 1)

    found = view(core)

    assert found.aggregates == ScopeAggregatesView(own=1, others=3, resting=0, free="12")
    assert found.free == str(12 * SUBNETS_OF_AGGREGATE)


def test_an_own_aggregate_that_rests_is_free_to_this_node() -> None:
    core = core_with()
    for pool in fill(core, 2 * SUBNETS_OF_AGGREGATE):
        core.release_pool(pool)

    found = view(core)

    assert found.aggregates == ScopeAggregatesView(own=1, others=0, resting=1, free="14")
    assert found.free == found.blocks


def test_a_block_of_which_a_network_without_aggregate_has_a_part_cannot_be_claimed() -> None:
    core = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))
    core.pool("10.1.0.0/24")
    core.ipam.use_schema(plan_with())

    found = view(core)

    assert found.aggregates == ScopeAggregatesView(own=0, others=0, resting=0, free="15")
    assert (found.free, found.first_free) == ("60", "10.1.128.0/22")


def test_what_a_forgotten_node_had_is_free_once_its_rest_is_over() -> None:
    plan = SharedPlan()
    h1 = full_of(plan, "h1", 15)
    h2 = node(plan, "h2", plan_with())
    plan.forget(h1.node, h2.time.wall)
    h2.ipam.catch_up()

    assert view(h2).free == str(SUBNETS_OF_AGGREGATE)

    h2.time.pass_seconds(301)
    assert view(h2).free == str(16 * SUBNETS_OF_AGGREGATE)


def test_a_scope_without_node_prefix_has_no_aggregates() -> None:
    assert view(Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))).aggregates is None


def test_nothing_of_a_scope_that_was_locked_is_free_or_can_be_claimed() -> None:
    core = core_with()
    core.pool()
    core.ipam.use_schema(plan_with(lock_down=True))

    found = view(core)

    assert found.aggregates == ScopeAggregatesView(own=1, others=0, resting=0, free="0")
    assert (found.free, found.first_free, found.first_free_by_length) == ("0", None, ())
    assert Viewer(core).free_blocks("10.1.0.0/16") == []
    assert Viewer(core).explain("10.1.16.1").scope == found
    counts = count_by_scope(core.ipam, Viewer(core).known_aggregates, lambda: None)
    assert counts["10.1.0.0/16"].claimable == 0


def test_what_a_forgotten_node_had_counts_only_where_blocks_fit_into_it() -> None:
    plan = SharedPlan()
    full_of(plan, "h1", 1)
    core = node(plan, "h2", plan_with(node_prefix=17, child_prefix=20))
    plan.forget("h1", core.time.wall)
    core.time.pass_seconds(AGGREGATE_REST_SECONDS)
    core.ipam.catch_up()

    # Half of the scope, and none of the other half, which has that aggregate.
    assert view(core).free == "8"


def test_free_blocks_are_those_in_own_aggregates_and_those_that_can_be_claimed() -> None:
    plan = SharedPlan()
    full_of(plan, "h1", 2)
    core = node(plan, "h2", plan_with())
    fill(core, 1)

    assert Viewer(core).free_blocks("10.1.0.0/16") == [
        "10.1.32.0/19: 8",
        "10.1.64.0/18: 16",
        "10.1.132.0/22: 1",
        "10.1.136.0/21: 2",
        "10.1.144.0/20: 4",
        "10.1.160.0/19: 8",
        "10.1.192.0/18: 16",
    ]


def test_a_page_of_free_blocks_goes_on_behind_the_one_before() -> None:
    core = core_with()
    fill(core, 1)

    assert Viewer(core).free_blocks("10.1.0.0/16", limit=2) == [
        "10.1.4.0/22: 1",
        "10.1.8.0/21: 2",
        "10.1.16.0/20: 4",
        "10.1.32.0/19: 8",
        "10.1.64.0/18: 16",
        "10.1.128.0/17: 32",
    ]


def test_a_scope_is_nearly_full_where_this_node_has_nearly_nothing_left() -> None:
    plan = SharedPlan()
    full_of(plan, "h1", 14)
    core = full_of(plan, "h2", 1)

    assert used_percent(core) == {}
    fill(core, 3)
    assert used_percent(core) == {"10.1.0.0/16": 87}


def test_what_others_have_claimed_does_not_make_a_scope_full_while_own_blocks_are_free() -> None:
    plan = SharedPlan()
    full_of(plan, "h1", 15)
    core = node(plan, "h2", plan_with())
    fill(core, 2)

    assert used_percent(core) == {}


def test_a_scope_is_full_for_a_node_that_can_claim_nothing() -> None:
    plan = SharedPlan()
    full_of(plan, "h1", 16)
    core = node(plan, "h2", plan_with())

    found = view(core)

    assert (found.free, found.first_free, found.first_free_by_length) == ("0", None, ())
    assert used_percent(core) == {"10.1.0.0/16": 100}


@pytest.mark.parametrize("count", [1, 4])
def test_the_aggregates_of_many_nodes_are_counted_once_for_all_scopes(count: int) -> None:
    racks = [SCOPE | {"network": f"10.{number}.0.0"} for number in range(count)]
    core = Core(tree_of(*racks))
    for _ in range(3):
        core.pool()

    views = Viewer(core).scopes()

    assert [each.aggregates is not None and each.aggregates.own for each in views] == [
        1,
        *[0] * (count - 1),
    ]


@pytest.mark.parametrize(
    ("keys", "larger"), [({}, ("10.1.6.0/23", "10.1.5.0/24")), ({"node_prefix": 24}, ())]
)
def test_what_is_free_in_a_scope_inside_an_aggregate_of_this_node_is_what_it_gives(
    keys: dict[str, int], larger: tuple[str, ...]
) -> None:
    core = core_with()
    core.pool()
    inner = scope("10.1.4.0", 22, child_prefix=26, tags=["inner"], **keys)
    core.ipam.use_schema(plan_with(scopes=[inner]))
    core.pool(tags="inner")

    _, found = Viewer(core).scopes()

    assert (found.first_free, found.free) == ("10.1.4.64/26", "15")
    assert found.first_free_by_length == (*larger, "10.1.4.128/25", "10.1.4.64/26")
    free = ["10.1.4.64/26: 1", "10.1.4.128/25: 2", "10.1.5.0/24: 4", "10.1.6.0/23: 8"]
    assert Viewer(core).free_blocks("10.1.4.0/22") == free
    assert core.pool(tags="inner") == "local/10.1.4.64/26"


def test_nothing_can_be_claimed_of_such_a_scope() -> None:
    core = core_with()
    core.pool()
    inner = scope("10.1.4.0", 22, child_prefix=26, node_prefix=24)

    core.ipam.use_schema(plan_with(scopes=[inner]))

    _, found = Viewer(core).scopes()
    assert found.aggregates == ScopeAggregatesView(own=0, others=0, resting=0, free="0")
    assert used_percent(core) == {}


def test_nothing_is_free_in_such_a_scope_for_networks_of_swarms_alone() -> None:
    core = core_with()
    core.pool()
    inner = scope("10.1.4.0", 22, child_prefix=26, address_space="global")

    core.ipam.use_schema(plan_with(scopes=[inner]))

    _, found = Viewer(core).scopes()
    assert (found.first_free, found.free) == (None, "0")
    assert used_percent(core) == {"10.1.4.0/22": 100}


def test_what_the_aggregates_of_a_scope_without_the_key_have_is_free() -> None:
    core = core_with(prefix=20)
    core.pool()

    core.ipam.use_schema(tree_of(scope("10.1.0.0", 20, child_prefix=22)))

    assert (view(core).first_free, view(core).free) == ("10.1.4.0/22", "3")
    assert used_percent(core) == {}
    assert core.pool() == "local/10.1.4.0/22"
