"""The schema is edited while networks of a swarm live on it: what swarm repeats is served, and new
networks follow the new schema.

See "Selecting scopes" in docs/architecture.md.
"""

from __future__ import annotations

import pytest

from pyipam.errors import InUse, NotManaged, Unavailable
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import SPACES
from tests.support.core import Core, scope, tree_of
from tests.support.in_process import captured_log
from tests.support.shared_plan import NodeStore, SharedPlan

BEFORE = tree_of(scope("10.0.0.0", 16, child_prefix=28, tags=["swarm"]))

EDITS = {
    "the tag is renamed": tree_of(scope("10.0.0.0", 16, child_prefix=28, tags=["overlay"])),
    "the scope is moved": tree_of(scope("10.9.0.0", 16, child_prefix=28, tags=["swarm"])),
    "the scope is locked": tree_of(
        scope("10.0.0.0", 16, child_prefix=28, tags=["swarm"], lock_down=True)
    ),
    "the scope gives out nothing": tree_of(scope("10.0.0.0", 16, tags=["swarm"])),
    "a child covers it": tree_of(
        scope(
            "10.0.0.0",
            16,
            child_prefix=28,
            tags=["swarm"],
            propagate_tags=False,
            scopes=[scope("10.0.0.0", 24, child_prefix=30, tags=["dmz"])],
        )
    ),
    "a child covers a part": tree_of(
        scope(
            "10.0.0.0",
            16,
            child_prefix=28,
            tags=["swarm"],
            scopes=[scope("10.0.0.0", 30, child_prefix=30, tags=["dmz"])],
        )
    ),
}

edited = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
in_each_space = pytest.mark.parametrize("space", SPACES)


@edited
@in_each_space
def test_what_swarm_repeats_is_served_with_a_warning(edit: ScopeTree, space: AddressSpace) -> None:
    core = Core(edit)
    with captured_log() as lines:
        pool = core.pool("10.0.0.0/28", tags="swarm", space=space, is_repeated=True)
        core.gateway(pool, "10.0.0.1", serial=True)
        assert core.address(pool, "10.0.0.5", serial=True) == "10.0.0.5/28"
    assert core.leases(pool) == {"10.0.0.1": True, "10.0.0.5": True}
    assert any("subnet of a swarm served against the schema" in line for line in lines)


@edited
@in_each_space
def test_a_new_network_follows_the_new_schema(edit: ScopeTree, space: AddressSpace) -> None:
    core = Core(edit)
    with pytest.raises(NotManaged):
        core.pool("10.0.0.0/28", tags="swarm", space=space)
    assert core.pools() == []


@edited
def test_the_node_that_leads_mirrors_what_it_has_without_any_option(edit: ScopeTree) -> None:
    core = Core(BEFORE)
    core.gateway(core.pool(space="global"), serial=True)
    core.ipam.use_schema(edit)
    assert core.pool("10.0.0.0/28") == "local/10.0.0.0/28"


@edited
def test_a_node_that_shares_the_plan_mirrors_what_another_leads(edit: ScopeTree) -> None:
    plan = SharedPlan()
    leader = Core(BEFORE, store=NodeStore(plan, "leader"))
    leader.gateway(leader.pool(space="global"), serial=True)
    worker = Core(edit, store=NodeStore(plan, "worker"))
    assert worker.pool("10.0.0.0/28") == "local/10.0.0.0/28"


@in_each_space
def test_what_swarm_repeats_is_served_while_no_new_pool_is(space: AddressSpace) -> None:
    core = Core(BEFORE)
    core.ipam.refuse_new_pools("the schema is not valid")
    assert core.pool("10.0.0.0/28", space=space, is_repeated=True) == f"{space}/10.0.0.0/28"
    with pytest.raises(Unavailable):
        core.pool("10.0.0.16/28", space=space)


@in_each_space
def test_what_swarm_repeats_may_overlap_nothing_that_is_held(space: AddressSpace) -> None:
    core = Core(EDITS["the scope is moved"])
    core.pool("10.0.0.0/28", space=space, is_repeated=True)
    with pytest.raises(InUse):
        core.pool("10.0.0.0/27", space=space, is_repeated=True)


def test_an_automatic_block_overlaps_nothing_that_swarm_repeated() -> None:
    core = Core(EDITS["the tag is renamed"])
    core.pool("10.0.0.0/28", tags="swarm", is_repeated=True)
    assert core.pool(tags="overlay", space="global") == "global/10.0.0.16/28"
