"""Whatever several nodes do: nothing is given twice, and they agree."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from pyipam.errors import Exhausted, InUse, StoreFailure
from pyipam.store.records import LeaseRecord, PoolRecord
from tests.support.core import Core
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import SharedPlan

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
def test_no_two_nodes_ever_have_the_same_address_or_overlapping_blocks(
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
