"""Several nodes that share one plan: what one knows of the others, and what it does when it was
wrong about them (design, sections 4, 6 and 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest
from pyipam.errors import Exhausted, InUse, NotHeld, StoreFailure
from pyipam.store.records import Delete, LeaseRecord, PoolRecord, Put
from tests.support.core import DRIVER, Core, scope, tree_of
from tests.unit.shared_plan import NodeStore, SharedPlan

TREE = tree_of(scope("10.0.0.0", 16, child_prefix=24), scope("fd00::", 48, child_prefix=64))


@pytest.fixture
def plan() -> SharedPlan:
    return SharedPlan()


def node(plan: SharedPlan, name: str) -> Core:
    return Core(TREE, store=NodeStore(plan, name), engine=f"engine of {name}")


def store_of(core: Core) -> NodeStore:
    assert isinstance(core.store, NodeStore)
    return core.store


@pytest.fixture
def first(plan: SharedPlan) -> Core:
    return node(plan, "first")


@pytest.fixture
def second(plan: SharedPlan, first: Core) -> Core:
    return node(plan, "second")


# Blocks


def test_a_block_found_automatically_is_not_one_of_another_node(first: Core, second: Core) -> None:
    assert first.pool() == "local/10.0.0.0/24"
    assert second.pool() == "local/10.0.1.0/24"
    assert first.pool() == "local/10.0.2.0/24"


def test_an_explicit_subnet_may_be_the_same_on_two_nodes(first: Core, second: Core) -> None:
    assert first.pool("10.0.7.0/24") == "local/10.0.7.0/24"
    assert second.pool("10.0.7.0/24") == "local/10.0.7.0/24"
    assert first.references("local/10.0.7.0/24") == second.references("local/10.0.7.0/24") == 1


def test_a_block_is_free_when_every_node_has_released_it(first: Core, second: Core) -> None:
    first.pool("10.0.0.0/24")
    second.pool("10.0.0.0/24")
    first.release_pool("local/10.0.0.0/24")
    assert first.pool() == "local/10.0.1.0/24"
    second.release_pool("local/10.0.0.0/24")
    assert first.pool() == "local/10.0.0.0/24"


def test_a_node_that_starts_knows_what_the_others_hold(plan: SharedPlan, first: Core) -> None:
    first.pool()
    assert node(plan, "third").pool() == "local/10.0.1.0/24"


def test_a_pool_of_another_node_is_not_held_here(first: Core, second: Core) -> None:
    first.pool()
    second.ipam.catch_up()
    assert [pool.id for pool in second.ipam.pools_elsewhere()] == ["local@first/10.0.0.0/24"]
    for name in ("local@first/10.0.0.0/24", "local/10.0.0.0/24"):
        with pytest.raises(NotHeld):
            second.address(name)
        second.release_pool(name)
    assert first.pools() == ["local/10.0.0.0/24"]


# Addresses


def test_containers_of_two_nodes_on_one_subnet_get_different_addresses(
    first: Core, second: Core
) -> None:
    pools = [core.pool("10.0.9.0/24") for core in (first, second)]
    assert [core.gateway(pools[0]) for core in (first, second)] == ["10.0.9.1/24"] * 2
    given = [core.address(pools[0]) for _ in range(20) for core in (first, second)]
    assert len(set(given)) == 40


def test_an_address_that_another_node_has_is_refused_by_name(first: Core, second: Core) -> None:
    pool = first.pool("10.0.9.0/24")
    second.pool("10.0.9.0/24")
    first.address(pool, "10.0.9.77")
    with pytest.raises(InUse, match=r"10\.0\.9\.77 has been in use .* local@first/10\.0\.9\.0/24"):
        second.address(pool, "10.0.9.77")


def test_addresses_that_were_never_released_are_free_when_their_pool_has_ended(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/29")
    second.pool("10.0.9.0/29")
    given = [first.address(pool) for _ in range(3)]
    store_of(second).hear(store_of(first), [Put(lease) for lease, _ in first.ipam.leases(pool)])
    second.ipam.catch_up()

    first.release_pool(pool)

    assert [second.address(pool) for _ in range(3)] == given


def test_an_address_that_another_node_released_can_be_had(first: Core, second: Core) -> None:
    pool = first.pool("10.0.9.0/24")
    second.pool("10.0.9.0/24")
    first.address(pool, "10.0.9.77")
    with pytest.raises(InUse):
        second.address(pool, "10.0.9.77")
    released = [Delete(lease.key) for lease, _ in first.ipam.leases(pool)]
    first.release(pool, "10.0.9.77")
    store_of(second).hear(store_of(first), released)
    assert second.address(pool, "10.0.9.77") == "10.0.9.77/24"


def test_a_full_pool_looks_for_what_other_nodes_released(first: Core, second: Core) -> None:
    pool = first.pool("10.0.9.0/30")
    second.pool("10.0.9.0/30")
    taken = [first.address(pool).partition("/")[0] for _ in range(2)]
    with pytest.raises(Exhausted):
        second.address(pool)
    released = [Delete(lease.key) for lease, _ in first.ipam.leases(pool)]
    for address in taken:
        first.release(pool, address)
    store_of(second).hear(store_of(first), released)
    assert second.address(pool) == "10.0.9.1/30"


def test_what_mirrors_the_swarm_may_be_had_on_every_node(first: Core, second: Core) -> None:
    swarm = first.pool("10.0.3.0/24", space="global")
    address = first.address(swarm, "10.0.3.9")
    for core in (first, second):
        pool = core.pool("10.0.3.0/24")
        assert core.gateway(pool, "10.0.3.1") == "10.0.3.1/24"
        assert core.address(pool, "10.0.3.9") == address


# The swarm's leader changes


@pytest.fixture
def swarm(first: Core) -> str:
    """A network of the swarm that the first node leads, with a gateway and two tasks."""
    pool = first.pool(space="global")
    first.gateway(pool)
    first.address(pool)
    first.address(pool)
    return pool


def lead(core: Core, name: str) -> None:
    """The node's engine runs, and becomes the leader: the allocator asks for capabilities."""
    core.engine = name
    core.announce()


def repeat(core: Core, pool: str, *addresses: str) -> None:
    """What a new leader's allocator says of a network that it has: the pool, its gateway, what
    services and tasks have."""
    assert core.pool(pool.removeprefix("global/"), space="global") == pool
    gateway = str(next(ip_network(pool.removeprefix("global/")).hosts()))
    assert core.gateway(pool, gateway, serial=True) == f"{gateway}/24"
    for address in addresses:
        assert core.address(pool, address, serial=True) == f"{address}/24"


def test_a_new_leader_takes_over_what_it_claims(first: Core, second: Core, swarm: str) -> None:
    lead(second, "a later run")
    repeat(second, swarm, "10.0.0.2")
    assert second.references(swarm) == 1
    with pytest.raises(InUse):
        second.address(swarm, "10.0.0.2")


def test_what_a_new_leader_does_not_claim_is_given_out_last(
    first: Core, second: Core, swarm: str
) -> None:
    lead(second, "a later run")
    repeat(second, swarm, "10.0.0.2")
    assert second.leases(swarm) == {"10.0.0.1": True, "10.0.0.2": True, "10.0.0.3": False}
    rest = [second.address(swarm) for _ in range(251)]
    assert "10.0.0.3/24" not in rest
    assert second.address(swarm) == "10.0.0.3/24"


def test_what_a_new_leader_releases_is_free(first: Core, second: Core, swarm: str) -> None:
    lead(second, "a later run")
    repeat(second, swarm)
    second.release_pool(swarm)
    assert second.pools() == []
    assert second.pool() == "local/10.0.0.0/24"


def test_a_leader_that_leads_again_knows_what_happened_meanwhile(
    first: Core, second: Core, swarm: str
) -> None:
    lead(second, "a later run")
    repeat(second, swarm, "10.0.0.2", "10.0.0.3")
    second.release(swarm, "10.0.0.2")
    second.address(swarm, "10.0.0.7")
    lead(first, "the first leads again")
    repeat(first, swarm, "10.0.0.7")
    assert set(first.leases(swarm)) == {"10.0.0.1", "10.0.0.3", "10.0.0.7"}
    assert first.address(swarm) == "10.0.0.2/24"


def test_a_pool_that_a_new_leader_left_out_is_given_out_when_all_else_is_taken(
    plan: SharedPlan,
) -> None:
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    first.pool(space="global")
    claimed = first.pool(space="global")
    first.gateway(claimed)
    lead(second, "a later run")
    with pytest.raises(Exhausted):
        second.pool(space="global")
    repeat(second, claimed)
    assert second.pool(space="global") == "global/10.0.0.0/24"


def test_a_former_leader_takes_nothing_from_the_present_one(plan: SharedPlan) -> None:
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    pools = [first.pool(space="global") for _ in range(2)]
    for pool in pools:
        first.gateway(pool)
    for leader in (second, first):
        lead(leader, "a later run")
        for pool in pools:
            repeat(leader, pool)
    with pytest.raises(Exhausted):
        second.pool()


@pytest.mark.parametrize("since", ["before", "after"])
def test_a_host_that_leads_no_swarm_takes_nothing_from_the_leader(
    plan: SharedPlan, since: str
) -> None:
    """`docker network create -d overlay` there: Docker asks, finds no swarm, and hands back."""
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    stray = Core(tree, store=NodeStore(plan, "stray"))
    leader = Core(tree, store=NodeStore(plan, "leader"))
    lead(leader, "a later run")
    pools = [leader.pool(space="global") for _ in range(2)]
    for pool in pools:
        leader.gateway(pool)
    task = leader.address(pools[0])
    if since == "after":
        lead(stray, "a later run")

    assert stray.pool("10.0.0.0/24", space="global") == pools[0]
    gateway = stray.gateway(pools[0]).partition("/")[0]
    with pytest.raises(Exhausted):
        stray.pool()
    stray.release(pools[0], gateway)
    stray.release_pool(pools[0])

    assert leader.references(pools[0]) == 1
    assert leader.leases(pools[0]) == {"10.0.0.1": True, "10.0.0.2": True}
    assert leader.address(pools[0], serial=True) not in (task, "10.0.0.1/24")
    leader.release_pool(pools[0])
    assert leader.pools() == pools[1:]


def test_a_take_over_that_is_refused_makes_no_other_pool_look_left_out(plan: SharedPlan) -> None:
    tree = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    pool, _ = (first.pool(space="global") for _ in range(2))
    first.gateway(pool, driver="ingress")
    lead(second, "a later run")
    second.pool("10.0.0.0/24", space="global")
    with pytest.raises(InUse):
        second.gateway(pool, "10.0.0.1", serial=True)
    with pytest.raises(Exhausted):
        second.pool(space="global")


def test_serial_addresses_go_on_behind_the_last_one_whatever_is_released(first: Core) -> None:
    pool = first.pool(space="global")
    given = [first.address(pool, serial=True) for _ in range(4)]
    for address in (given[1], given[0]):
        first.release(pool, address.partition("/")[0])
    assert [first.address(pool, serial=True) for _ in range(2)] == ["10.0.0.5/24", "10.0.0.6/24"]


# What rests


def test_what_has_rested_on_a_node_that_does_nothing_is_free_for_the_others(
    plan: SharedPlan,
) -> None:
    tree = tree_of(scope("10.0.0.0", 24, child_prefix=24, reuse_delay=60))
    first = Core(tree, store=NodeStore(plan, "first"))
    second = Core(tree, store=NodeStore(plan, "second"))
    pool = first.pool()
    first.address(pool)
    first.release_pool(pool)
    with pytest.raises(Exhausted):
        second.pool()

    first.time.pass_seconds(61)
    first.ipam.catch_up()

    assert second.pool() == pool


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
def test_a_lease_of_which_nobody_can_tell_is_taken_back(
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
def test_a_block_of_which_nobody_can_tell_is_taken_back(
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


def test_what_is_learned_while_a_new_epoch_takes_back_the_past_is_known(
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
def test_a_release_of_which_nobody_can_tell_is_made_good(
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


def test_a_release_is_made_good_of_what_was_itself_to_be_taken_back(
    first: Core, plan: SharedPlan
) -> None:
    pool = first.pool("10.0.0.0/29")
    for call in (lambda: first.pool("10.0.0.0/29"), lambda: first.release_pool(pool)):
        store_of(first).outcome = "lost"
        with pytest.raises(StoreFailure):
            call()
    first.ipam.catch_up()
    assert first.pools() == []
    assert not any(isinstance(record, PoolRecord) for record in plan.records.values())


def test_what_another_node_has_made_meanwhile_is_not_taken_back(
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


def test_a_pool_and_its_lease_that_were_perhaps_released_are_both_forgotten(
    first: Core, plan: SharedPlan
) -> None:
    pool = first.pool("10.0.7.0/24")
    assert first.pool("10.0.7.0/24") == pool
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


def test_a_new_leader_knows_every_address_of_a_pool_that_it_was_not_told_of(
    first: Core, second: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_of(second), "take_remote_changes", lambda: ())
    pool = first.pool(space="global")
    given = [first.address(pool) for _ in range(40)]

    lead(second, "a later run")

    assert len(second.leases(pool)) == len(given)


def test_an_engine_that_was_announced_in_vain_is_announced_for_the_first_time(
    first: Core, swarm: str
) -> None:
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


def test_a_call_is_not_made_twice_when_an_announcement_after_it_meets_a_conflict(
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


def test_an_address_in_a_pool_that_the_former_leader_ended_meanwhile_is_refused(
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
    assert second.pool(space="global") == pool
    assert second.leases(pool) == {}


def test_a_fault_in_reading_the_news_is_over_when_the_next_call_comes(
    first: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store_of(first), "take_remote_changes", lambda: [object()])
        with pytest.raises(AttributeError):
            first.pool()
    with ThreadPoolExecutor(1) as other_thread:
        assert other_thread.submit(first.pool).result(timeout=10) == "local/10.0.0.0/24"


# While the database keeps a call waiting


@contextmanager
def kept_waiting(core: Core, act: Callable[[], object]) -> Iterator[None]:
    """Inside, the call waits for the database, which answers when the block ends."""
    store = store_of(core)
    store.answers.clear()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(act)
        try:
            assert store.is_asked.wait(20)
            yield
        finally:
            store.answers.set()
        done.result()


def test_what_is_shown_while_a_call_waits_is_what_is_stored(first: Core) -> None:
    held = first.pool()
    first.address(held)
    with kept_waiting(first, lambda: first.address(held)):
        assert first.leases(held) == {"10.0.0.1": True}
    with kept_waiting(first, first.pool):
        assert first.pools() == [held]
        assert next(first.ipam.count_free(item, 24) for item in first.ipam.tree) == 255
    with kept_waiting(first, lambda: first.release_pool(held)):
        assert first.pools() == [held, "local/10.0.1.0/24"]
        assert first.leases(held) == {"10.0.0.1": True, "10.0.0.2": True}
    assert first.pools() == ["local/10.0.1.0/24"]


def test_it_is_shown_while_a_leader_asks_what_happened_before_it(
    first: Core, second: Core, swarm: str
) -> None:
    with kept_waiting(second, lambda: lead(second, "a later run")):
        assert second.pools() == [swarm]
    assert second.pools() == [swarm]


def test_a_call_waits_for_the_one_before_it_no_longer_than_it_may(first: Core) -> None:
    with (
        kept_waiting(first, first.pool),
        pytest.raises(StoreFailure, match="the calls before this one are waiting for the store"),
    ):
        first.ipam.commit((), within=0.05)


def test_a_commit_is_given_what_is_left_after_others_have_waited(first: Core, swarm: str) -> None:
    first.engine = "a later run"

    def announced() -> None:
        first.ipam.begin_epoch(DRIVER, first.engine)
        first.time.pass_seconds(15.0)

    first.ipam.commit([announced], within=20.0)
    assert store_of(first).given == pytest.approx([20.0, 5.0], abs=0.001)


# Everything at once

NAMES = ("first", "second", "third")
STEPS = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["pool", "subnet", "address", "release", "release pool", "restart"]),
    st.integers(0, 3),
    st.sampled_from(["", "", "", "fails", "lost", "stored"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_two_nodes_ever_have_one_address_or_overlapping_blocks(
    steps: list[tuple[str, str, int, str]],
) -> None:
    plan = SharedPlan()
    nodes = {name: node(plan, name) for name in NAMES}
    for name, step, number, outcome in steps:
        core = nodes[name]
        store_of(core).outcome = outcome
        pools = core.pools()
        try:
            if step == "pool":
                _check_overlaps_nothing(core.pool(), name, plan)
            elif step == "subnet":
                core.pool(f"10.0.{number}.0/29")
            elif step == "restart":
                store_of(core).outcome = ""
                core.ipam.catch_up()
                core.restart_engine(f"{name} {len(steps)}")
            elif pools:
                pool = pools[number % len(pools)]
                if step == "address":
                    core.address(pool)
                elif step == "release pool":
                    core.release_pool(pool)
                elif core.leases(pool):
                    core.release(pool, sorted(core.leases(pool))[0])
        except (StoreFailure, InUse, Exhausted):
            store_of(core).outcome = ""
    for core in nodes.values():
        store_of(core).outcome = ""
        core.ipam.catch_up()
    _check_nothing_twice(plan)
    _check_memory_agrees(nodes, plan)


def _check_overlaps_nothing(pool_id: str, name: str, plan: SharedPlan) -> None:
    block = ip_network(pool_id.partition("/")[2])
    others = [record.id for record in plan.records.values() if isinstance(record, PoolRecord)]
    others.remove(pool_id.replace("local/", f"local@{name}/"))
    assert not [other for other in others if block.overlaps(ip_network(other.partition("/")[2]))]


def _check_nothing_twice(plan: SharedPlan) -> None:
    leases = [record for record in plan.records.values() if isinstance(record, LeaseRecord)]
    containers = Counter(lease.address for lease in leases if lease.kind == "container")
    assert all(count == 1 for count in containers.values()), containers


def _check_memory_agrees(nodes: dict[str, Core], plan: SharedPlan) -> None:
    for name, core in nodes.items():
        stored = {
            record.id.replace(f"local@{name}/", "local/")
            for record in plan.records.values()
            if isinstance(record, PoolRecord) and record.id.startswith(f"local@{name}/")
        }
        assert stored == set(core.pools())
