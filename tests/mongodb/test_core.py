"""The core with stores in MongoDB, in cases that need both to be right."""

from __future__ import annotations

from typing import cast

import pytest

from pyipam.core.requests import AddressRequest
from pyipam.errors import InUse
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import parse_address
from pyipam.store.errors import Uncertain
from tests.mongodb.commits import OUTCOMES
from tests.mongodb.nodes import SharedPlan
from tests.support.core import DRIVER, Core, scope, tree_of
from tests.support.failing_store import FailingStore

TREE = tree_of(scope("10.0.0.0", 16, child_prefix=24))


def node(plan: SharedPlan, name: str, tree: ScopeTree = TREE) -> Core:
    return Core(tree, store=cast(FailingStore, plan.open(name)), engine=f"engine of {name}")


def lead(core: Core, name: str) -> None:
    """The node's engine restarts, and becomes the leader of the swarm."""
    core.engine = name
    core.announce()


def claim(core: Core, pool: str, within: float = 20.0) -> None:
    """Docker replays the request for the second address of the pool, which it holds."""
    request = AddressRequest(DRIVER, pool, parse_address("10.0.0.2"))
    core.ipam.commit([lambda: core.ipam.request_address(request)], within)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_a_new_leader_has_taken_over_is_not_undone(plan: SharedPlan, outcome: str) -> None:
    former, leader = node(plan, "nodea"), node(plan, "nodeb")
    pool = former.pool("10.0.0.0/24", space="global")
    former.gateway(pool)
    claim(former, pool)
    lead(former, "a later run")
    former.pool("10.0.0.0/24", space="global")
    with plan.replica_set.failing("update", **OUTCOMES[outcome]), pytest.raises(Uncertain):
        claim(former, pool, within=1.0)
    lead(leader, "a later run")
    leader.pool("10.0.0.0/24", space="global")
    leader.gateway(pool, "10.0.0.1", serial=True)
    claim(leader, pool)

    former.pool()

    assert [lease["node"] for lease in plan.database.leases.find()] == ["nodeb"] * 2


def test_a_network_recreated_on_a_resting_subnet_is_not_ended_by_a_node_that_does_not_know_of_it(
    plan: SharedPlan,
) -> None:
    tree = tree_of(scope("10.0.0.0", 16, child_prefix=24, reuse_delay=60))
    leader = node(plan, "nodea", tree)
    pool = leader.pool("10.0.7.0/24", space="global")
    leader.gateway(pool, serial=True)
    leader.release_pool(pool)
    other = node(plan, "nodeb", tree)
    assert leader.pool("10.0.7.0/24", space="global") == pool
    leader.gateway(pool, "10.0.7.1", serial=True)

    other.time.pass_seconds(61)
    other.ipam.catch_up()
    leader.ipam.catch_up()

    assert leader.leases(pool) == {"10.0.7.1": True}
    assert leader.address(pool) == "10.0.7.2/24"
    with pytest.raises(InUse):
        other.pool("10.0.7.0/25", space="global")
