"""A subnet in what another node has claimed is refused with what works, and with nothing else."""

from __future__ import annotations

import pytest

from pyipam.errors import InUse, NotHeld
from pyipam.plan.scope_tree import ScopeTree
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import SCOPE, fill, plan_with

# Two blocks that nodes can claim: the second one is that of node h2.
TWO = SCOPE | {"prefix": 19, "tags": ["default"]}
OF_H2 = "subnet 10.1.20.0/24 is in 10.1.16.0/20, which node h2 claimed on 2023-11-14"
END_IT = (
    "remove the networks in 10.1.16.0/20 on node h2 and release it there (`pyipam claims release "
    "10.1.16.0/20`)"
)
REST_OVER = (
    "2023-11-14T22:18:20Z: try again then (for a network that exists: restart dockerd, or run "
    "`pyipam reconcile`)"
)
OR_FORGET = (
    ", or forget that node if it is gone (`pyipam nodes forget h2`), or set NODE_NAME=h2 again if "
    "it was this host"
)


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def two_nodes(plan: SharedPlan, tree: ScopeTree) -> tuple[Core, Core]:
    """Node h1, and h2, which has claimed 10.1.16.0/20."""
    h1, h2 = node(plan, "h1", tree), node(plan, "h2", tree)
    h2.time = h1.time
    h1.start()
    h2.start()
    h2.pool("10.1.16.0/22")
    h1.ipam.catch_up()
    return h1, h2


def refusal(core: Core, subnet: str = "10.1.20.0/24", tags: str = "") -> str:
    with pytest.raises(InUse) as refused:
        core.pool(subnet, tags=tags)
    return str(refused.value)


def test_where_this_node_has_no_room_and_gets_none_the_other_one_has_to_give_back(
    plan: SharedPlan,
) -> None:
    h1, _ = two_nodes(plan, tree_of(TWO))
    fill(h1)

    assert refusal(h1) == f"{OF_H2}; {END_IT}, or enlarge the scope in the schema{OR_FORGET}"


def test_where_another_scope_has_room_it_is_named(plan: SharedPlan) -> None:
    other = scope("10.2.0.0", 16, child_prefix=24, tags=["other"])
    h1, _ = two_nodes(plan, tree_of(TWO, other))
    fill(h1)

    assert refusal(h1, tags="default") == (
        f"{OF_H2}; {END_IT}, or ask for a subnet of another scope (10.2.0.0/16), or enlarge the "
        f"scope in the schema{OR_FORGET}"
    )
    assert h1.pool("10.2.1.0/24")


def test_where_another_scope_serves_the_network_it_is_told_to_name_no_subnet(
    plan: SharedPlan,
) -> None:
    other = scope("10.2.0.0", 16, child_prefix=24, tags=["default"])
    h1, _ = two_nodes(plan, tree_of(TWO, other))
    fill(h1)

    assert refusal(h1) == f"{OF_H2}; ask for none{OR_FORGET}"
    assert h1.pool() == "local/10.2.0.0/24"


def test_a_network_is_not_told_to_name_no_subnet_where_only_a_smaller_one_has_room(
    plan: SharedPlan,
) -> None:
    h1, _ = two_nodes(plan, tree_of(TWO))
    fill(h1, 3)
    h1.pool("10.1.12.0/24")

    assert (
        refusal(h1)
        == f"{OF_H2}; ask for one in what this node has claimed (10.1.0.0/20){OR_FORGET}"
    )
    assert h1.pool("10.1.13.0/24")


def test_a_node_without_claims_is_told_so_of_another_block(plan: SharedPlan) -> None:
    h1, _ = two_nodes(plan, tree_of(TWO))

    assert refusal(h1) == f"{OF_H2}; ask for a subnet in another block, or for none{OR_FORGET}"
    assert h1.pool("10.1.4.0/24")


def test_what_another_node_has_released_is_to_be_had_after_its_rest(plan: SharedPlan) -> None:
    h1, h2 = two_nodes(plan, tree_of(TWO))
    fill(h1)
    h2.release_pool("local/10.1.16.0/22")
    h2.make(lambda: h2.ipam.release_aggregate("10.1.16.0/20"))
    h1.ipam.catch_up()

    assert refusal(h1) == (
        f"{OF_H2}; that node has given it back, and the block rests for another 300 s, until "
        f"{REST_OVER}"
    )
    h1.time.pass_seconds(301)
    h2.ipam.catch_up()
    assert h1.pool("10.1.20.0/24") == "local/10.1.20.0/24"


def test_what_a_forgotten_node_had_is_to_be_had_after_its_rest(plan: SharedPlan) -> None:
    h1, _ = two_nodes(plan, tree_of(TWO))
    fill(h1)
    plan.forget("h2", h1.time.wall)
    h1.ipam.catch_up()

    assert refusal(h1) == (
        f"{OF_H2}; that node was forgotten, and the block rests for another 300 s, until "
        f"{REST_OVER}"
    )
    h1.time.pass_seconds(301)
    assert h1.pool("10.1.20.0/24") == "local/10.1.20.0/24"


def test_nobody_is_told_to_release_what_a_forgotten_node_had(plan: SharedPlan) -> None:
    h1, _ = two_nodes(plan, plan_with())
    plan.forget("h2", h1.time.wall)
    h1.ipam.catch_up()

    with pytest.raises(NotHeld) as refused:
        h1.make(lambda: h1.ipam.release_aggregate("10.1.16.0/20"))

    assert str(refused.value) == (
        "10.1.16.0/20 is not of this node: node h2 had claimed 10.1.16.0/20 and was forgotten: "
        "that block needs no release, and from 2023-11-14T22:18:20Z on others may claim it where "
        "nothing else is free"
    )


def test_nobody_is_told_to_release_what_another_node_has_released(plan: SharedPlan) -> None:
    h1, h2 = two_nodes(plan, plan_with())
    h2.release_pool("local/10.1.16.0/22")
    h2.make(lambda: h2.ipam.release_aggregate("10.1.16.0/20"))
    h1.ipam.catch_up()

    with pytest.raises(NotHeld) as refused:
        h1.make(lambda: h1.ipam.release_aggregate("10.1.16.0/20"))

    assert str(refused.value).endswith("and has released it: it rests until 2023-11-14T22:18:20Z")
