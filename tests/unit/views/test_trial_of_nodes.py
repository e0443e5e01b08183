"""A trial says from which aggregate a block would come, which one would be claimed, or why not."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import PyipamError
from pyipam.views.trial import CandidateView, TrialView
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import SCOPE, SUBNETS_OF_AGGREGATE, core_with, fill, plan_with


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def candidate(trial: TrialView) -> CandidateView:
    (found,) = trial.scopes
    return found


def outcome(core: Core, **wishes: Any) -> str:
    """The block that is given, or the refusal."""
    try:
        return core.pool(**wishes).partition("/")[2]
    except PyipamError as error:
        return str(error)


def test_the_first_block_says_which_aggregate_would_be_claimed_for_it() -> None:
    trial = Viewer(core_with()).trial()

    assert (trial.block, trial.scope) == ("10.1.0.0/22", "10.1.0.0/16")
    assert (trial.aggregate, trial.claims) == ("10.1.0.0/20", True)
    assert trial.outcome == (
        "10.1.0.0/22 of scope 10.1.0.0/16, for which this node would claim 10.1.0.0/20"
    )


def test_a_block_of_an_own_aggregate_says_so() -> None:
    core = core_with()
    core.pool()

    trial = Viewer(core).trial()

    assert (trial.aggregate, trial.claims) == ("10.1.0.0/20", False)
    assert trial.outcome == (
        "10.1.4.0/22 of scope 10.1.0.0/16, from 10.1.0.0/20, which this node has claimed"
    )


def test_a_scope_that_is_tried_says_from_where_its_block_would_come_and_how_many_there_are() -> (
    None
):
    core = core_with()
    fill(core, 3)
    viewer = Viewer(core)

    assert candidate(viewer.trial()) == CandidateView(
        *("10.1.0.0/16", (), 1, "61", "10.1.12.0/22", None, "10.1.0.0/20", False)
    )
    assert candidate(viewer.trial(length=21)) == CandidateView(
        *("10.1.0.0/16", (), 1, "30", "10.1.16.0/21", None, "10.1.16.0/20", True)
    )


def test_an_aggregate_that_rests_would_be_taken_back() -> None:
    core = core_with()
    pools = fill(core, 2 * SUBNETS_OF_AGGREGATE)
    for pool in pools:
        core.release_pool(pool)
    fill(core)

    assert Viewer(core).trial().outcome == (
        "10.1.16.0/22 of scope 10.1.0.0/16, for which this node would take back 10.1.16.0/20, "
        "which rests"
    )


def test_an_aggregate_of_a_forgotten_node_is_named_with_it(plan: SharedPlan) -> None:
    h1 = node(plan, "h1", plan_with(prefix=20))
    h1.pool()
    h2 = node(plan, "h2", plan_with(prefix=20))
    plan.forget("h1", h2.time.wall)
    h2.ipam.catch_up()
    h2.time.pass_seconds(301)

    assert Viewer(h2).trial().outcome == (
        "10.1.0.0/22 of scope 10.1.0.0/20, for which this node would claim 10.1.0.0/20 of node "
        "h1, which was forgotten"
    )


def test_the_block_of_a_trial_is_the_one_that_is_given_next() -> None:
    core = core_with()

    for length in (None, 24, 21, 22, 21, 28, None, None, 21):
        trial = Viewer(core).trial(length=length)
        assert core.pool(length=length) == f"local/{trial.block}"


@pytest.mark.parametrize("length", [None, 16, 20, 21])
def test_a_trial_is_refused_as_the_request_is(plan: SharedPlan, length: int | None) -> None:
    others = node(plan, "h1", plan_with())
    for _ in range(15):
        fill(others)
    core = node(plan, "h2", plan_with())
    fill(core)

    trial = Viewer(core).trial(length=length)

    assert trial.block is None
    assert trial.outcome == outcome(core, length=length)


def test_a_node_that_is_drained_or_forgotten_would_get_nothing(plan: SharedPlan) -> None:
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    h1.pool()
    h2.pool()
    h1.make(lambda: h1.ipam.drain("h1"))

    assert Viewer(h1).trial().outcome == outcome(h1)
    assert "is being drained" in Viewer(h1).trial().outcome

    plan.forget("h1", h2.time.wall)
    h1.ipam.catch_up()
    assert Viewer(h1).trial().outcome == outcome(h1)
    assert "was forgotten by an operator" in Viewer(h1).trial().outcome


def test_a_scope_of_which_this_node_can_claim_nothing_says_who_has_it(plan: SharedPlan) -> None:
    tree = tree_of(SCOPE | {"prefix": 20}, scope("10.2.0.0", 16, child_prefix=24))
    node(plan, "h1", tree).pool()
    core = node(plan, "h2", tree)

    trial = Viewer(core).trial()

    assert trial.outcome == "10.2.0.0/24 of scope 10.2.0.0/16"
    assert trial.scopes[0].free == "0"
    assert trial.scopes[0].reason == (
        "has no free /22 block for node h2 (it has no aggregate, other nodes have 1 (h1: 1), and "
        "the scope's one /20 block cannot be claimed)"
    )


def test_a_scope_without_node_prefix_gives_its_block_from_no_aggregate() -> None:
    trial = Viewer(Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))).trial()

    assert (trial.aggregate, trial.claims) == (None, False)
    assert (trial.scopes[0].aggregate, trial.scopes[0].claims) == (None, False)


# Of a subnet by its name


def test_a_subnet_that_would_be_given_says_in_which_scope_it_lies() -> None:
    core = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))

    trial = Viewer(core).trial(subnet="10.1.48.0/24")

    assert (trial.block, trial.scope) == ("10.1.48.0/24", "10.1.0.0/16")
    assert trial.outcome == "10.1.48.0/24 of scope 10.1.0.0/16"
    assert trial.scopes == ()


def test_a_subnet_in_free_space_says_which_aggregate_would_be_claimed() -> None:
    core = core_with()

    trial = Viewer(core).trial(subnet="10.1.53.0/24")

    assert (trial.aggregate, trial.claims) == ("10.1.48.0/20", True)
    assert trial.outcome == (
        "10.1.53.0/24 of scope 10.1.0.0/16, for which this node would claim 10.1.48.0/20"
    )


@pytest.mark.parametrize("subnet", ["10.1.1.0/24", "10.1.0.0/20", "10.1.0.0/16", "10.9.0.0/24"])
def test_a_subnet_is_refused_as_the_request_is(plan: SharedPlan, subnet: str) -> None:
    node(plan, "h1", plan_with()).pool()
    core = node(plan, "h2", plan_with())

    trial = Viewer(core).trial(subnet=subnet)

    assert trial.block is None
    assert trial.outcome == outcome(core, subnet=subnet)


def test_a_subnet_that_is_held_is_refused() -> None:
    core = core_with()
    core.pool("10.1.0.0/24")

    trial = Viewer(core).trial(subnet="10.1.0.0/24")

    assert "is in use" in trial.outcome


def test_a_node_that_is_drained_shows_no_scope_with_a_block() -> None:
    core = core_with()
    core.make(lambda: core.ipam.drain(core.node))

    trial = Viewer(core).trial()

    assert trial.outcome.startswith(f"node {core.node} is being drained")
    assert (candidate(trial).block, candidate(trial).aggregate) == (None, None)
    assert candidate(trial).reason == (
        "has a block, but the network would be refused before any scope is tried"
    )


def test_a_scope_that_is_reserved_as_a_whole_names_the_entry() -> None:
    trial = Viewer(core_with(reserved=["10.1.0.0/16"])).trial()

    assert candidate(trial).reason == (
        "has no free /22 block for node h1 (it has no aggregate, and all 16 of the scope's /20 "
        "blocks are reserved; reserved in the schema: 10.1.0.0/16 (scope 10.1.0.0/16))"
    )
