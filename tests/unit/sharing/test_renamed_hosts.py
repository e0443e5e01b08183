"""A host that is served under another name: what it is told while its former one is in the way."""

from __future__ import annotations

import pytest

from pyipam.errors import InUse
from tests.support.core import Core
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import OR_FORGET_H1, aggregates, fill, plan_with

THEN = "try again then (for a network that exists: restart dockerd, or run `pyipam reconcile`)"


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def renamed(plan: SharedPlan, former: Core) -> Core:
    """The host of a node under the name h2, from now on."""
    h2 = node(plan, "h2", plan_with())
    h2.time = former.time
    h2.start()
    return h2


def refusal(core: Core, subnet: str) -> str:
    with pytest.raises(InUse) as refused:
        core.pool(subnet)
    return str(refused.value)


def test_a_refusal_says_what_to_do_about_the_former_name(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with())
    h1.pool()
    h2 = renamed(plan, h1)

    assert refusal(h2, "10.1.0.0/22") == (
        "subnet 10.1.0.0/22 is in 10.1.0.0/20, which node h1 claimed on 2023-11-14; ask for a "
        f"subnet in another block, or for none{OR_FORGET_H1}"
    )


def test_a_refusal_says_until_when_the_blocks_of_the_former_name_rest(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with())
    h1.pool()
    h2 = renamed(plan, h1)
    plan.forget("h1", h2.time.wall)
    h2.ipam.catch_up()
    h2.time.pass_seconds(100)

    assert refusal(h2, "10.1.0.0/22") == (
        "subnet 10.1.0.0/22 is in 10.1.0.0/20, which node h1 claimed on 2023-11-14; that node was "
        f"forgotten, and the block rests for another 200 s, until 2023-11-14T22:18:20Z: {THEN}, or "
        "ask for a subnet in another block, or for none"
    )


def test_the_time_that_is_said_is_the_one_from_which_on_the_subnet_is_served(
    plan: SharedPlan,
) -> None:
    h1 = node(plan, "h1", plan_with())
    pool = h1.pool()
    plan.forget("h1", h1.time.wall)
    h1.time.pass_seconds(100)
    # Whoever forgot the node may have another clock: what counts is since when it is known here.
    h2 = renamed(plan, h1)
    assert "rests for another 300 s, until 2023-11-14T22:20:00Z" in refusal(h2, "10.1.0.0/22")

    h2.time.pass_seconds(301)

    assert h2.pool("10.1.0.0/22") == pool
    assert aggregates(h2) == ["10.1.0.0/20"]


def test_a_refusal_says_until_when_what_a_node_gave_back_rests(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with())
    for pool in fill(h1, 8):
        h1.release_pool(pool)
    h2 = renamed(plan, h1)

    assert (
        "which node h1 claimed on 2023-11-14; that node has given it back, and the block rests for "
        f"another 300 s, until 2023-11-14T22:18:20Z: {THEN}, or"
    ) in refusal(h2, "10.1.16.0/22")


def test_what_was_given_back_long_ago_by_a_node_that_is_away_needs_that_to_be_forgotten(
    plan: SharedPlan,
) -> None:
    h1 = node(plan, "h1", plan_with())
    for pool in fill(h1, 8):
        h1.release_pool(pool)
    h2 = renamed(plan, h1)
    h2.time.pass_seconds(301)

    message = refusal(h2, "10.1.16.0/22")
    assert "rests" not in message
    assert message.endswith(OR_FORGET_H1)
