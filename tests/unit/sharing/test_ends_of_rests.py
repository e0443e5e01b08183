"""What is said of blocks at rest: when that ends, or what ends it where nothing does by itself."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial

import pytest

from pyipam.errors import Exhausted, InUse, NotHeld, NotManaged
from pyipam.plan.scope_tree import ScopeTree
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import SCOPE, fill, plan_with

# Two blocks that nodes can claim.
TWO = plan_with(prefix=19)
AWAY = (
    "start node h2, which has not freed what has rested and seems not to be running, or forget it "
    "if it is gone (`pyipam nodes forget h2`)"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def two_nodes(plan: SharedPlan, tree: ScopeTree = TWO) -> tuple[Core, Core]:
    h1, h2 = node(plan, "h1", tree), node(plan, "h2", tree)
    h2.time = h1.time
    h1.start()
    h2.start()
    return h1, h2


def with_all_at_rest(plan: SharedPlan) -> Core:
    """Node h1, while both blocks rest that h2 has given back, which does nothing from now on."""
    h1, h2 = two_nodes(plan)
    for pool in fill(h2, 5):
        h2.release_pool(pool)
    h2.make(lambda: h2.ipam.release_aggregate("10.1.0.0/20"))
    h1.ipam.catch_up()
    return h1


def refusal(core: Core, subnet: str = "") -> str:
    with pytest.raises((Exhausted, InUse, NotManaged)) as refused:
        core.pool(subnet)
    return str(refused.value)


def times_gone_by(core: Core, message: str) -> list[str]:
    """The times in a message that are over."""
    found = _TIME.findall(message)
    return [each for each in found if datetime.fromisoformat(each).timestamp() < core.time.wall]


# What another node has given back, and does not free as it does not run


def test_while_blocks_rest_the_first_end_is_said(plan: SharedPlan) -> None:
    h1 = with_all_at_rest(plan)
    h1.time.pass_seconds(100)

    assert refusal(h1).endswith(
        "What helps: wait until one of those at rest has rested (the first: 2023-11-14T22:18:20Z), "
        "or enlarge the scope in the schema"
    )


def test_where_all_has_rested_and_is_not_free_the_node_that_is_away_has_to_be_forgotten(
    plan: SharedPlan,
) -> None:
    h1 = with_all_at_rest(plan)
    h1.time.pass_seconds(86400)

    assert refusal(h1).endswith(f"What helps: {AWAY}, or enlarge the scope in the schema")
    plan.forget("h2", h1.time.wall)
    h1.ipam.catch_up()
    h1.time.pass_seconds(301)
    assert h1.pool()


def test_where_a_part_has_rested_so_has_that_node_and_no_other_one_is_told_to_be_gone(
    plan: SharedPlan,
) -> None:
    h1, h2 = two_nodes(plan)
    for pool in fill(h2, 5):
        h2.release_pool(pool)
    h1.ipam.catch_up()
    h1.time.pass_seconds(1000)

    assert refusal(h1).endswith(
        f"What helps: {AWAY}, or release what other nodes do not need, or enlarge the scope in the "
        "schema"
    )


def test_a_subnet_in_what_has_rested_and_is_not_free_is_refused_with_what_frees_it(
    plan: SharedPlan,
) -> None:
    h1 = with_all_at_rest(plan)
    h1.time.pass_seconds(1000)

    assert refusal(h1, "10.1.16.0/22") == (
        "subnet 10.1.16.0/22 is in 10.1.16.0/20, which node h2 claimed on 2023-11-14; that node "
        "has given it back, and has not freed it after its rest, so that it seems not to be "
        "running; start it, or enlarge the scope in the schema, or forget that node if it is gone "
        "(`pyipam nodes forget h2`), or set NODE_NAME=h2 again if it was this host"
    )


def test_a_scope_that_lies_in_it_is_helped_by_that_node_alone(plan: SharedPlan) -> None:
    inner = scope("10.1.16.0", 22, child_prefix=28, tags=["inner"])
    h1 = with_all_at_rest(plan)
    h1.ipam.use_schema(tree_of(SCOPE | {"prefix": 19, "scopes": [inner]}))
    h1.time.pass_seconds(1000)

    with pytest.raises(Exhausted) as refused:
        h1.pool(tags="inner")

    message = str(refused.value)
    assert "that block has rested, and is not free yet. What helps: select" in message
    assert message.endswith(f", or {AWAY}")
    assert times_gone_by(h1, message) == []


def test_who_would_release_it_is_told_what_frees_it(plan: SharedPlan) -> None:
    h1 = with_all_at_rest(plan)
    h1.time.pass_seconds(1000)

    with pytest.raises(NotHeld) as refused:
        h1.make(lambda: h1.ipam.release_aggregate("10.1.16.0/20"))

    assert str(refused.value).endswith(
        "node h2 had claimed 10.1.16.0/20 and has released it: it has rested, and is free once "
        "that node runs again, or is forgotten (`pyipam nodes forget h2`)"
    )


def test_an_address_in_it_is_explained_with_what_frees_it(plan: SharedPlan) -> None:
    h1 = with_all_at_rest(plan)
    h1.time.pass_seconds(1000)

    assert (
        "it lies in 10.1.16.0/20, which node h2 claimed on 2023-11-14 and gave back: it has "
        "rested, and is free once that node runs again, or is forgotten (`pyipam nodes forget h2`)"
    ) in Viewer(h1).explain("10.1.16.1").sentences


# What a forgotten node had


def test_everything_says_the_time_that_counts_on_a_node_that_started_after_the_forgetting(
    plan: SharedPlan,
) -> None:
    h1, h2 = two_nodes(plan)
    fill(h2, 5)
    plan.forget("h2", h1.time.wall)
    h1.time.pass_seconds(3600)
    h1.start()
    until = "2023-11-14T23:18:20Z"

    assert f"(the first: {until})" in refusal(h1)
    assert f"until {until}" in refusal(h1, "10.1.16.0/22")
    assert f"from {until} on" in Viewer(h1).explain("10.1.16.1").sentences[1]
    assert {each.resting_until for each in Viewer(h1).aggregates()} == {h1.time.wall + 300}

    h1.time.pass_seconds(301)
    assert h1.pool()


def test_what_has_rested_may_be_claimed_and_no_time_is_said(plan: SharedPlan) -> None:
    h1, h2 = two_nodes(plan, plan_with())
    h2.pool()
    plan.forget("h2", h1.time.wall)
    h1.ipam.catch_up()
    h1.time.pass_seconds(1000)

    assert Viewer(h1).explain("10.1.0.1").sentences[1] == (
        "it lies in 10.1.0.0/20, which node h2 claimed on 2023-11-14; that node was forgotten, and "
        "others may claim it where nothing else is free"
    )
    with pytest.raises(NotHeld) as refused:
        h1.make(lambda: h1.ipam.release_aggregate("10.1.0.0/20"))
    assert str(refused.value).endswith(
        "that block needs no release, and others may claim it where nothing else is free"
    )


@pytest.mark.parametrize("seconds", [100, 1000])
def test_nobody_is_told_to_wait_for_what_lies_on_a_route(plan: SharedPlan, seconds: int) -> None:
    h1, h2 = two_nodes(plan, plan_with(prefix=20))
    h2.pool()
    plan.forget("h2", h1.time.wall)
    h1.ipam.catch_up()
    h1.routes.add("10.1.0.0/22", "wg0")
    h1.time.pass_seconds(seconds)

    message = refusal(h1)
    assert "wait" not in message
    assert message.endswith(
        "enlarge the scope in the schema, or remove routes (10.1.0.0/22 dev wg0)"
    )


def test_a_subnet_in_what_a_forgotten_node_had_says_so_where_it_does_not_end_by_itself(
    plan: SharedPlan,
) -> None:
    h1, h2 = two_nodes(plan, plan_with(node_prefix=21, child_prefix=24))
    h2.pool("10.1.16.0/24")
    plan.forget("h2", h1.time.wall)
    h1.ipam.use_schema(plan_with(node_prefix=20, child_prefix=24))
    h1.ipam.catch_up()
    h1.time.pass_seconds(1000)

    assert refusal(h1, "10.1.24.0/24") == (
        "subnet 10.1.24.0/24 is in the same block as 10.1.16.0/21, which node h2 claimed on "
        "2023-11-14; that node was forgotten, and the block stays until a node claims it; ask for "
        "a subnet in another block, or for none"
    )


# What this node has given back


def test_an_aggregate_in_which_subnets_rest_for_longer_says_so() -> None:
    inner = scope("10.1.0.0", 22, child_prefix=28, tags=["inner"], reuse_delay=86400)
    core = Core(plan_with())
    first = core.pool("10.1.4.0/22")
    core.ipam.use_schema(tree_of(SCOPE | {"scopes": [inner]}))
    second = core.pool(tags="inner")
    core.address(second)
    for pool in (first, second):
        core.release_pool(pool)
    release = partial(core.ipam.release_aggregate, "10.1.0.0/20")
    core.make(release)
    core.time.pass_seconds(1000)
    core.ipam.catch_up()

    with pytest.raises(NotHeld) as refused:
        core.make(release)

    assert str(refused.value) == (
        "aggregate 10.1.0.0/20 was released already, and rests while subnets in it do; nothing has "
        "been done"
    )
    sentences = Viewer(core).explain("10.1.15.1").sentences
    assert any("gave back: it rests while subnets in it do" in each for each in sentences)
