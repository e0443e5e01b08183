"""Calls that are made together are durable together, or have not happened."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pyipam.errors import Exhausted, NotHeld, StoreFailure
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS
from pyipam.store.records import Change, Delete, LeaseKey, Put, key_of
from tests.support.core import DRIVER, Core, scope, tree_of
from tests.support.failing_store import FailingStore


class CountingStore(FailingStore):
    """Counts the commits, and remembers what they consisted of."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[list[Change]] = []
        self.committed: list[list[Change]] = []

    @property
    def commits(self) -> int:
        return len(self.committed)

    def prewrite(self, changes: Sequence[Change]) -> None:
        self.begun.append(list(changes))

    def commit(self, changes: Sequence[Change], within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        self.committed.append(list(changes))
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


def test_the_calls_of_one_commit_cost_one_commit_of_the_store(
    core: Core, store: CountingStore
) -> None:
    before = store.commits
    pool = "local/10.0.0.0/24"
    core.together(core.pool, lambda: core.gateway(pool), lambda: core.address(pool))
    assert store.commits == before + 1
    assert core.leases(pool) == {"10.0.0.1": True, "10.0.0.2": True}


def test_the_calls_of_one_commit_see_each_other(core: Core) -> None:
    assert core.together(core.pool, core.pool) == ["local/10.0.0.0/24", "local/10.0.1.0/24"]


def test_a_refused_call_does_not_undo_the_others_of_its_commit(core: Core) -> None:
    def refused() -> None:
        with pytest.raises(Exhausted):
            core.pool()

    *given, _ = core.together(*[core.pool] * 4, refused)
    assert core.pools() == sorted(given)


def test_a_call_that_raises_ends_the_commit_and_undoes_all_of_it(
    core: Core, store: CountingStore
) -> None:
    before = store.commits
    with pytest.raises(NotHeld):
        core.together(core.pool, lambda: core.address("local/10.0.3.0/24"), core.pool)
    assert store.commits == before
    assert core.pools() == []


def test_a_commit_that_changes_nothing_does_not_touch_the_store(
    core: Core, store: CountingStore
) -> None:
    before = store.commits
    core.release_pool("local/10.0.0.0/24")
    assert store.commits == before


def test_a_failing_store_undoes_every_call_of_the_commit(core: Core) -> None:
    first = core.pool("10.0.0.0/24", shared=True)
    core.gateway(first)
    core.address(first)
    before = dict(core.store.records)
    core.store.fail = True

    with pytest.raises(StoreFailure):
        core.together(
            lambda: core.release(first, "10.0.0.2"),
            lambda: core.address(first, "10.0.0.2"),
            lambda: core.release_pool(core.pool()),
            lambda: core.address(core.pool("10.0.3.0/24")),
            lambda: core.pool("10.0.0.0/24", shared=True),
            lambda: core.release_pool(first),
            lambda: core.release_pool(first),
        )
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


def test_an_engine_whose_announcement_could_not_be_stored_can_announce_itself_again(
    core: Core,
) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-2"))
    core.store.fail = False
    core.engine = "engine-2"
    core.announce()
    assert core.pool("10.0.0.0/24") == pool
    assert core.references(pool) == 1


def test_an_epoch_that_could_not_be_stored_keeps_the_replays_of_the_previous_one() -> None:
    core = Core(tree_of(scope("10.0.0.0", 23, child_prefix=24)))
    claimed_again, leaked = core.pool(), core.pool()
    core.restart_engine("engine-2")
    assert core.pool("10.0.0.0/24") == claimed_again
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.make(lambda: core.ipam.begin_epoch(DRIVER, "engine-3"))
    core.store.fail = False

    assert core.pool() == leaked


# The last call of a commit


def test_the_store_prewrites_the_whole_commit_once_the_last_call_is_decided(
    core: Core, store: CountingStore
) -> None:
    pool = core.pool()
    store.begun.clear()
    core.together(lambda: core.gateway(pool), lambda: core.address(pool))

    assert store.begun == [store.committed[-1]]
    assert [key_of(change) for change in store.begun[0]] == [
        LeaseKey(pool, "10.0.0.1"),
        LeaseKey(pool, "10.0.0.2"),
    ]


def test_the_store_prewrites_nothing_while_more_changes_may_follow(
    core: Core, store: CountingStore
) -> None:
    pool = core.pool()
    store.begun.clear()

    def changes_nothing() -> None:
        core.release(pool, "10.0.0.9")

    core.together(lambda: core.gateway(pool), lambda: core.address(pool), changes_nothing)
    assert store.begun == []


def test_records_that_have_rested_are_prewritten_together_with_the_last_call(
    core: Core, store: CountingStore
) -> None:
    pool = core.pool()
    core.release(pool, core.address(pool).partition("/")[0])
    core.time.pass_seconds(61)
    store.begun.clear()

    core.address(pool)

    assert store.begun == [store.committed[-1]]
    assert [type(change) for change in store.begun[0]] == [Delete, Put]


def test_a_last_call_that_changes_nothing_prewrites_nothing_nor_does_the_first_call_after_it(
    core: Core, store: CountingStore
) -> None:
    pool = core.pool()
    store.begun.clear()

    def changes_nothing() -> None:
        core.release(pool, "10.0.0.9")

    core.together(changes_nothing)
    core.together(core.pool, changes_nothing)

    assert store.begun == []


def test_prewritten_changes_are_undone_when_the_commit_fails(core: Core) -> None:
    pool = core.pool()
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.address(pool)
    core.store.fail = False

    assert core.leases(pool) == {}
    assert core.address(pool) == "10.0.0.1/24"
