"""Calls that are made together are durable together, or have not happened."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pyipam.errors import Exhausted, StoreFailure
from pyipam.store.store import PATIENCE, Change
from tests.unit.core import Core, MemoryStore, scope, tree_of


class CountingStore(MemoryStore):
    """Counts the commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    def commit(self, changes: Sequence[Change], within: float = PATIENCE) -> None:
        self.commits += 1
        super().commit(changes, within)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def core(store: CountingStore) -> Core:
    return Core(
        tree_of(scope("10.0.0.0", 22, child_prefix=24, reuse_delay=60)),
        store=store,
    )


def test_calls_of_one_commit_cost_one_commit_of_the_store(core: Core, store: CountingStore) -> None:
    before = store.commits
    with core.ipam.one_commit():
        pool = core.pool()
        core.gateway(pool)
        core.address(pool)
    assert store.commits == before + 1
    assert core.leases(pool) == {"10.0.0.1": True, "10.0.0.2": True}


def test_calls_of_one_commit_see_each_other(core: Core) -> None:
    with core.ipam.one_commit():
        assert [core.pool(), core.pool()] == ["local/10.0.0.0/24", "local/10.0.1.0/24"]


def test_a_refused_call_leaves_the_others_of_the_commit_in_force(core: Core) -> None:
    with core.ipam.one_commit():
        given = [core.pool() for _ in range(4)]
        with pytest.raises(Exhausted):
            core.pool()
    assert core.pools() == sorted(given)


def test_a_commit_that_changes_nothing_does_not_touch_the_store(
    core: Core, store: CountingStore
) -> None:
    before = store.commits
    with core.ipam.one_commit():
        core.release_pool("local/10.0.0.0/24")
    assert store.commits == before


def test_when_the_store_fails_none_of_the_calls_has_happened(core: Core) -> None:
    first = core.pool()
    core.gateway(first)
    core.address(first)
    before = dict(core.store.records)
    core.store.fail = True

    def everything() -> None:
        with core.ipam.one_commit():
            core.release(first, "10.0.0.2")
            core.address(first, "10.0.0.2")
            core.release_pool(core.pool())
            core.address(core.pool("10.0.3.0/24"))
            core.pool("10.0.0.0/24")
            core.release_pool(first)
            core.release_pool(first)

    with pytest.raises(StoreFailure):
        everything()
    core.store.fail = False
    assert core.store.records == before
    assert core.pools() == [first]
    assert core.references(first) == 1
    assert core.leases(first) == {"10.0.0.1": True, "10.0.0.2": True}
    assert [core.pool() for _ in range(3)] == [
        "local/10.0.1.0/24",
        "local/10.0.2.0/24",
        "local/10.0.3.0/24",
    ]
    with pytest.raises(Exhausted):
        core.pool()


def test_an_engine_that_announces_itself_while_the_store_fails_may_do_so_again(
    core: Core,
) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.ipam.begin_epoch("driver", "engine-2")
    core.store.fail = False
    core.engine = "engine-2"
    core.announce()
    assert core.pool("10.0.0.0/24") == pool
    assert core.references(pool) == 1
