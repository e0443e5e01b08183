"""Whoever asks about an address is told which node has claimed the block that it lies in."""

from __future__ import annotations

import pytest

from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import SUBNETS_OF_AGGREGATE, core_with, fill, plan_with


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def test_an_address_in_an_own_aggregate_names_it() -> None:
    core = core_with()
    core.pool()

    found = Viewer(core).explain("10.1.9.1")

    assert found.state == "free"
    assert found.sentences == (
        "10.1.9.1 is free",
        "it lies in 10.1.0.0/20, which this node claimed on 2023-11-14",
        "its scope is 10.1.0.0/16 (tags: none)",
    )
    assert found.aggregate is not None
    assert (found.aggregate.cidr, found.aggregate.node) == ("10.1.0.0/20", "h1")
    assert found.aggregate.pools == 1


def test_of_an_address_in_an_aggregate_of_another_node_nothing_else_is_known(
    plan: SharedPlan,
) -> None:
    h1 = node(plan, "h1", plan_with())
    h1.gateway(h1.pool())
    h2 = node(plan, "h2", plan_with())

    found = Viewer(h2).explain("10.1.0.1")

    assert found.state == "claimed"
    assert found.sentences[:2] == (
        "10.1.0.1 is in a block that node h1 has claimed: only that node knows whether it is in "
        "use",
        "it lies in 10.1.0.0/20, which node h1 claimed on 2023-11-14: no other node gives out "
        "anything there",
    )


def test_of_a_locked_scope_no_block_is_said_to_be_claimed_by_a_network() -> None:
    found = Viewer(core_with(lock_down=True)).explain("10.1.53.9")

    assert "claim" not in "; ".join(found.sentences)


def test_an_address_in_free_space_says_which_block_a_subnet_there_would_claim(
    plan: SharedPlan,
) -> None:
    found = Viewer(node(plan, "h1", plan_with())).explain("10.1.53.9")

    assert (found.state, found.aggregate) == ("free", None)
    assert (
        "no node has claimed 10.1.48.0/20 around it: a network that names a subnet there claims it"
    ) in found.sentences


def test_an_address_in_a_block_that_cannot_be_claimed_says_why_in_the_words_of_the_refusal(
    plan: SharedPlan,
) -> None:
    h1 = node(plan, "h1", tree_of(scope("10.1.0.0", 16, child_prefix=22)))
    h1.pool("10.1.48.0/22")
    h2 = node(plan, "h2", plan_with())

    found = Viewer(h2).explain("10.1.53.9")

    assert found.sentences[1] == (
        "subnet 10.1.52.0/22 is in the block 10.1.48.0/20 of scope 10.1.0.0/16, which this node "
        "cannot claim (node_prefix) while node h1 holds 10.1.48.0/22 there; ask for a subnet in "
        "another block"
    )


def test_an_aggregate_that_rests_says_until_when() -> None:
    core = core_with()
    for pool in fill(core, 2 * SUBNETS_OF_AGGREGATE):
        core.release_pool(pool)

    assert (
        "it lies in 10.1.16.0/20, which this node claimed on 2023-11-14 and gave back: it rests "
        "until 2023-11-14T22:18:20Z"
    ) in Viewer(core).explain("10.1.16.1").sentences


def test_an_aggregate_of_a_node_that_is_drained_says_so(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with())
    h1.pool()
    h1.make(lambda: h1.ipam.drain("h1"))
    h2 = node(plan, "h2", plan_with())

    assert (
        "it lies in 10.1.0.0/20, which node h1 claimed on 2023-11-14, and which is being drained: "
        "no other node gives out anything there"
    ) in Viewer(h2).explain("10.1.0.1").sentences


def test_an_aggregate_of_a_forgotten_node_says_from_when_it_may_be_claimed(
    plan: SharedPlan,
) -> None:
    h1 = node(plan, "h1", plan_with())
    h1.pool()
    h2 = node(plan, "h2", plan_with())
    plan.forget("h1", h2.time.wall)
    h2.ipam.catch_up()

    found = Viewer(h2).explain("10.1.0.1")

    assert found.state == "claimed"
    assert found.sentences[0] == (
        "10.1.0.1 is in a block that node h1, which was forgotten, had claimed"
    )
    assert found.sentences[1] == (
        "it lies in 10.1.0.0/20, which node h1 claimed on 2023-11-14; that node was forgotten, and "
        "from 2023-11-14T22:18:20Z on others may claim it where nothing else is free"
    )


def test_a_pool_outside_every_aggregate_is_called_so() -> None:
    core = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))
    core.pool()
    core.ipam.use_schema(plan_with())

    assert (
        "it lies in pool local/10.1.0.0/22, which has been held since 2023-11-14T22:13:20Z, "
        "outside every aggregate of its node"
    ) in Viewer(core).explain("10.1.0.1").sentences


def test_a_scope_without_node_prefix_says_nothing_of_aggregates() -> None:
    core = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))

    found = Viewer(core).explain("10.1.0.1")

    assert found.aggregate is None
    assert found.sentences == ("10.1.0.1 is free", "its scope is 10.1.0.0/16 (tags: none)")
