"""Commits that fail, or whose outcome nobody knows, in a plan that nodes share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest
from pyipam.errors import NotHeld, StoreFailure
from pyipam.plan.scope_tree import ScopeTree
from pyipam.store.errors import Uncertain
from pyipam.store.records import LeaseRecord, PoolRecord
from tests.support.core import DRIVER, Core, scope, tree_of
from tests.support.several_nodes import TREE, lead, node, repeat, store_of
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import aggregates, plan_with, resting

RESTING_TREE = tree_of(scope("10.0.0.0", 16, child_prefix=24, reuse_delay=100))


def leases_known(core: Core) -> list[LeaseRecord]:
    """All leases that the node knows, also those of addresses that rest."""
    with core.ipam.reading() as state:
        subnets = state.holdings.subnets.values()
        return [lease for subnet in subnets for lease in subnet.leases.values()]


# Commits that fail


def test_a_commit_that_fails_changes_nothing(first: Core, plan: SharedPlan) -> None:
    pool = first.pool()
    before = dict(plan.records)
    store_of(first).outcome = "fails"
    with pytest.raises(StoreFailure):
        first.address(pool)
    assert plan.records == before
    assert first.leases(pool) == {}


@pytest.mark.parametrize("outcome", ["stored", "lost"])
def test_a_lease_whose_commit_has_an_unknown_outcome_is_taken_back(
    first: Core, plan: SharedPlan, outcome: str
) -> None:
    pool = first.pool()
    store_of(first).outcome = outcome
    with pytest.raises(StoreFailure):
        first.address(pool)
    assert first.leases(pool) == {}
    first.ipam.catch_up()
    assert not any(isinstance(record, LeaseRecord) for record in plan.records.values())


@pytest.mark.parametrize("outcome", ["stored", "lost"])
def test_a_block_whose_commit_has_an_unknown_outcome_is_taken_back(
    first: Core, second: Core, plan: SharedPlan, outcome: str
) -> None:
    store_of(first).outcome = outcome
    with pytest.raises(StoreFailure):
        first.pool()
    second.pool()
    first.ipam.commit(())
    held = [record.id for record in plan.records.values() if isinstance(record, PoolRecord)]
    assert len(held) == 1
    assert held[0].startswith("local@second/")


def test_changes_read_while_a_new_epoch_takes_back_the_past_are_kept(
    first: Core, second: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of(first).outcome = "lost"
    with pytest.raises(StoreFailure):
        first.pool()
    taken = second.pool()
    # News may be late: only the conflict tells of it.
    monkeypatch.setattr(store_of(first), "take_remote_changes", lambda: ())
    lead(first, "a later run")
    assert first.pool() != taken


@pytest.mark.parametrize("outcome", ["stored", "lost"])
def test_a_release_whose_commit_has_an_unknown_outcome_is_repeated(
    first: Core, plan: SharedPlan, outcome: str
) -> None:
    pool = first.pool()
    first.address(pool)
    store_of(first).outcome = outcome
    with pytest.raises(StoreFailure):
        first.release(pool, "10.0.0.1")
    first.ipam.catch_up()
    assert first.leases(pool) == {}
    assert not any(isinstance(record, LeaseRecord) for record in plan.records.values())


@pytest.mark.parametrize("outcome", ["stored", "lost"])
@pytest.mark.parametrize(
    ("tree", "wanted"), [(RESTING_TREE, ""), (TREE, "10.0.0.9")], ids=["rests", "fixed"]
)
def test_a_release_after_which_the_address_is_kept_back_is_repeated_after_an_unknown_outcome(
    plan: SharedPlan, tree: ScopeTree, wanted: str, outcome: str
) -> None:
    core = node(plan, "h1", tree)
    pool = core.pool()
    address = core.address(pool, wanted).split("/")[0]
    store_of(core).outcome = outcome

    with pytest.raises(StoreFailure):
        core.release(pool, address)

    core.ipam.catch_up()
    (lease,) = (each for each in plan.records.values() if isinstance(each, LeaseRecord))
    assert lease.released is not None
    assert [each.released for each in leases_known(core)] == [lease.released]


@pytest.mark.parametrize("outcome", ["stored", "lost"])
def test_a_release_after_which_the_block_rests_is_repeated_after_an_unknown_outcome(
    plan: SharedPlan, outcome: str
) -> None:
    core = node(plan, "h1", RESTING_TREE)
    pool = core.pool()
    core.address(pool)
    store_of(core).outcome = outcome

    with pytest.raises(StoreFailure):
        core.release_pool(pool)

    core.ipam.catch_up()
    assert core.pools() == []
    (stored,) = (each for each in plan.records.values() if isinstance(each, PoolRecord))
    assert stored.released is not None


@pytest.mark.parametrize("outcome", ["stored", "lost"])
def test_the_release_of_one_reference_of_several_is_repeated_after_an_unknown_outcome(
    first: Core, plan: SharedPlan, outcome: str
) -> None:
    pool = first.pool("10.0.7.0/24", shared=True)
    assert first.pool("10.0.7.0/24", shared=True) == pool
    store_of(first).outcome = outcome

    with pytest.raises(StoreFailure):
        first.release_pool(pool)

    first.ipam.catch_up()
    assert first.references(pool) == 1
    (stored,) = (each for each in plan.records.values() if isinstance(each, PoolRecord))
    assert sum(claim.references for claim in stored.claims) == 1


def test_a_release_is_repeated_for_a_lease_that_was_itself_to_be_taken_back(
    first: Core, plan: SharedPlan
) -> None:
    pool = first.pool("10.0.0.0/29", shared=True)
    for call in (lambda: first.pool("10.0.0.0/29", shared=True), lambda: first.release_pool(pool)):
        store_of(first).outcome = "lost"
        with pytest.raises(StoreFailure):
            call()
    first.ipam.catch_up()
    assert first.pools() == []
    assert not any(isinstance(record, PoolRecord) for record in plan.records.values())


def test_a_record_that_another_node_made_meanwhile_is_not_taken_back(
    first: Core, second: Core, plan: SharedPlan
) -> None:
    pool = first.pool(space="global")
    store_of(first).outcome = "stored"
    with pytest.raises(StoreFailure):
        first.release_pool(pool)
    second.ipam.catch_up()
    assert second.pool(space="global") == pool

    first.ipam.catch_up()

    assert second.references(pool) == 1
    assert [record.id for record in plan.records.values() if isinstance(record, PoolRecord)] == [
        pool
    ]


@pytest.mark.parametrize("tree", [TREE, RESTING_TREE], ids=["ends", "rests"])
@pytest.mark.parametrize("outcome", ["lost", "stored"])
def test_a_lease_is_not_repaired_in_a_pool_that_another_node_has_ended_meanwhile(
    plan: SharedPlan, outcome: str, tree: ScopeTree
) -> None:
    first, second = node(plan, "first", tree), node(plan, "second", tree)
    pool = first.pool(space="global")
    first.address(pool, "10.0.0.9")
    store_of(first).outcome = outcome
    with pytest.raises(StoreFailure):
        first.release(pool, "10.0.0.9")
    lead(second, "a later run")
    repeat(second, pool)
    second.release_pool(pool)

    first.ipam.catch_up()

    assert not any(isinstance(record, LeaseRecord) for record in plan.records.values())


def test_a_pool_and_its_lease_whose_release_has_an_unknown_outcome_are_both_forgotten(
    first: Core, plan: SharedPlan
) -> None:
    pool = first.pool("10.0.7.0/24", shared=True)
    assert first.pool("10.0.7.0/24", shared=True) == pool
    first.address(pool)
    store_of(first).outcome = "lost"

    def both_released() -> None:
        for _ in range(2):
            first.ipam.release_pool(DRIVER, pool)

    with pytest.raises(StoreFailure):
        first.together(both_released)
    first.ipam.catch_up()

    assert first.pools() == []
    assert not any(isinstance(r, PoolRecord | LeaseRecord) for r in plan.records.values())


def test_a_new_leader_knows_every_address_of_a_pool_that_it_has_not_read_about(
    first: Core, second: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_of(second), "take_remote_changes", lambda: ())
    pool = first.pool(space="global")
    given = [first.address(pool) for _ in range(40)]

    lead(second, "a later run")

    assert len(second.leases(pool)) == len(given)


def test_an_announcement_after_a_failed_one_counts_as_the_first(first: Core, swarm: str) -> None:
    first.ipam = Ipam(first.store, first.policy, Clock())
    first.ipam.load(TREE)
    store_of(first).outcome = "fails"

    def announced_with_another_call() -> None:
        first.ipam.begin_epoch(DRIVER, first.engine)
        first.address(swarm)

    with pytest.raises(StoreFailure):
        first.together(announced_with_another_call)
    first.announce()
    assert all(first.leases(swarm).values())


def test_a_call_is_not_repeated_when_an_announcement_after_it_meets_a_conflict(
    first: Core, second: Core, plan: SharedPlan
) -> None:
    store_of(first).outcome = "lost"
    with pytest.raises(StoreFailure):
        first.pool()
    second.pool()
    first.engine = "a later run"

    def announced_after_another_call() -> str:
        pool = first.ipam.request_pool(first.pool_request())
        first.ipam.begin_epoch(DRIVER, first.engine)
        return pool

    (pool,) = first.together(announced_after_another_call)
    assert first.pools() == [pool]
    assert first.references(pool) == 1


def test_an_address_in_a_pool_that_the_former_leader_released_meanwhile_is_refused(
    first: Core, second: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = first.pool(space="global")
    second.ipam.catch_up()
    first.release_pool(pool)
    # News may be late.
    monkeypatch.setattr(store_of(second), "take_remote_changes", lambda: ())
    second.engine = "a later run"

    def announced_after_another_call() -> None:
        second.ipam.request_address(AddressRequest(DRIVER, pool))
        second.ipam.begin_epoch(DRIVER, second.engine)

    with pytest.raises(NotHeld):
        second.together(announced_after_another_call)
    assert second.pool("10.0.0.0/24", space="global") == pool
    assert second.leases(pool) == {}


def test_a_failure_to_read_the_changes_of_other_nodes_ends_with_the_next_call(
    first: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store_of(first), "take_remote_changes", lambda: [object()])
        with pytest.raises(AttributeError):
            first.pool()
    with ThreadPoolExecutor(1) as other_thread:
        assert other_thread.submit(first.pool).result(timeout=60) == "local/10.0.0.0/24"


@pytest.mark.parametrize("outcome", ["lost", "stored"])
def test_an_address_that_came_and_went_with_its_pool_in_a_commit_of_unknown_outcome_is_undone(
    plan: SharedPlan, outcome: str
) -> None:
    core = node(plan, "h1", plan_with())
    before = dict(plan.records)
    store_of(core).outcome = outcome

    with pytest.raises(Uncertain):
        core.together(
            core.pool,
            lambda: core.address("local/10.1.0.0/22"),
            lambda: core.release("local/10.1.0.0/22", "10.1.0.1"),
        )

    core.ipam.catch_up()
    assert core.pools() == []
    assert plan.records == before


@pytest.mark.parametrize("outcome", ["lost", "stored"])
def test_the_end_of_a_network_of_unknown_outcome_leaves_no_second_empty_aggregate(
    plan: SharedPlan, outcome: str
) -> None:
    core = node(plan, "h1", plan_with())
    *others, last = [core.pool() for _ in range(5)]
    for pool in others:
        core.release_pool(pool)
    store_of(core).outcome = outcome

    with pytest.raises(Uncertain):
        core.release_pool(last)

    core.ipam.catch_up()
    assert core.pools() == []
    assert len(aggregates(core)) == len(resting(core)) == 1
    core.start()
    assert len(aggregates(core)) == len(resting(core)) == 1
