"""What every store promises: a class of tests, which the test class of each store inherits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyipam.store.protocol import Store
from pyipam.store.records import Change, Delete, LeaseRecord, PoolRecord, Put, Record
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    EVERY_KIND,
    EVERY_KIND_OF_NODE,
    GATEWAY,
    GLOBAL_POOL,
    LEASE,
    MARK,
    POOL,
    RANGE_POOL,
    Model,
    batches,
    deletes,
    puts,
    replace,
)


class StoreHome(Protocol):
    """A place where one kind of store keeps its records; empty at first."""

    def open(self) -> Store:
        """A store over this place, on which `load` has not been called."""

    def after_a_crash(self) -> StoreHome:
        """The place as the next process finds it if this one is killed now."""


MakeHome = Callable[[], AbstractContextManager[StoreHome]]


def stored_in(home: StoreHome) -> list[Record]:
    """The records that the next process loads."""
    store = home.open()
    try:
        return list(store.load())
    finally:
        store.close()


def committed(home: StoreHome, *commits: Sequence[Change]) -> None:
    """Commit these batches in a process that ends normally."""
    store = home.open()
    list(store.load())
    for changes in commits:
        store.commit(changes)
    store.close()


def as_set(records: list[Record]) -> set[Record]:
    assert len(set(records)) == len(records), "a record was loaded twice"
    return set(records)


class StoreBehaviour:
    """The tests. A subclass needs a fixture `make_home` that makes homes of its store; its scope is
    at least the module, as hypothesis makes many homes in one test."""

    @pytest.fixture
    def home(self, make_home: MakeHome) -> Iterator[StoreHome]:
        """An empty home."""
        with make_home() as home:
            yield home

    def test_a_new_store_is_empty(self, home: StoreHome) -> None:
        assert stored_in(home) == []
        assert stored_in(home) == []

    @pytest.mark.parametrize("kind", EVERY_KIND)
    def test_a_record_is_loaded_as_it_was_put(self, home: StoreHome, kind: str) -> None:
        records = EVERY_KIND[kind]

        committed(home, puts(*records))

        assert as_set(stored_in(home)) == set(records)

    @pytest.mark.parametrize("kind", EVERY_KIND)
    def test_a_committed_record_survives_a_crash(self, home: StoreHome, kind: str) -> None:
        records = EVERY_KIND[kind]
        store = home.open()
        list(store.load())
        store.commit(puts(*records))

        assert as_set(stored_in(home.after_a_crash())) == set(records)
        store.close()

    @pytest.mark.parametrize("kind", EVERY_KIND)
    def test_a_deleted_record_is_gone(self, home: StoreHome, kind: str) -> None:
        records = EVERY_KIND[kind]

        committed(home, puts(*records), deletes(*reversed(records)))

        assert stored_in(home) == []

    def test_putting_a_record_replaces_the_one_with_its_key(self, home: StoreHome) -> None:
        changed: list[Record] = [replace(POOL, label="other", claims=()), replace(LEASE, epoch=9)]
        engine = replace(DRIVER, engine="another")

        committed(home, puts(POOL, LEASE, DRIVER), puts(*changed, engine))

        assert as_set(stored_in(home)) == {*changed, engine}

    def test_a_pool_keeps_its_leases_when_it_is_put_again(self, home: StoreHome) -> None:
        committed(home, puts(POOL, GATEWAY), puts(replace(POOL, claims=())))

        assert as_set(stored_in(home)) == {replace(POOL, claims=()), GATEWAY}

    def test_deleting_what_is_not_stored_is_not_an_error(self, home: StoreHome) -> None:
        committed(home, deletes(POOL, LEASE, DRIVER), puts(POOL), deletes(LEASE))

        assert stored_in(home) == [POOL]

    def test_an_empty_batch_is_not_an_error(self, home: StoreHome) -> None:
        committed(home, [], puts(POOL), [])

        assert stored_in(home) == [POOL]

    def test_the_changes_of_a_batch_apply_in_order(self, home: StoreHome) -> None:
        last = replace(POOL, label="last")

        committed(
            home,
            [Put(POOL), Put(LEASE), Delete(LEASE.key), Delete(POOL.key), Put(last), Put(GATEWAY)],
        )

        assert as_set(stored_in(home)) == {last, GATEWAY}

    def test_both_address_spaces_may_hold_one_subnet(self, home: StoreHome) -> None:
        mirrored = replace(LEASE, pool=GLOBAL_POOL.id, granted=9.0)

        committed(home, puts(POOL, LEASE, GLOBAL_POOL, mirrored), deletes(LEASE, POOL))

        assert as_set(stored_in(home)) == {GLOBAL_POOL, mirrored}

    def test_pools_that_differ_in_their_ip_range_share_the_addresses_of_the_subnet(
        self,
        home: StoreHome,
    ) -> None:
        whole = replace(RANGE_POOL, id="local/100.64.5.0/24")
        first = LeaseRecord(whole.id, "100.64.5.9", "container", "driver", 1, 1.0)
        second = replace(first, pool=RANGE_POOL.id, granted=2.0)

        committed(home, puts(whole, RANGE_POOL, first), puts(second), deletes(whole))

        assert as_set(stored_in(home)) == {RANGE_POOL, second}

    def test_pools_are_loaded_before_the_leases_in_them(self, home: StoreHome) -> None:
        committed(home, puts(POOL, LEASE, GLOBAL_POOL), puts(replace(LEASE, pool=GLOBAL_POOL.id)))

        known: set[str] = set()
        for record in stored_in(home):
            if isinstance(record, PoolRecord):
                known.add(record.id)
            elif isinstance(record, LeaseRecord):
                assert record.pool in known

    def test_many_records_are_kept(self, home: StoreHome) -> None:
        pool = replace(POOL, id="local/100.64.0.0/22")
        leases = [
            replace(LEASE, pool=pool.id, address=f"100.64.{n // 256}.{n % 256}", granted=float(n))
            for n in range(1, 300)
        ]

        committed(home, puts(pool), *([Put(lease)] for lease in leases), deletes(*leases[::2]))

        assert as_set(stored_in(home)) == {pool, *leases[1::2]}

    def test_the_parts_of_a_large_commit_are_stored_together(self, home: StoreHome) -> None:
        store = home.open()
        list(store.load())

        store.commit_in_parts([puts(LEASE), puts(GATEWAY), puts(DRIVER, POOL)])
        store.close()

        assert as_set(stored_in(home)) == {DRIVER, POOL, LEASE, GATEWAY}

    def test_a_prewrite_without_its_commit_stores_nothing(self, home: StoreHome) -> None:
        store = home.open()
        list(store.load())
        store.commit(puts(POOL))
        store.prewrite(puts(LEASE))
        store.close()

        assert stored_in(home) == [POOL]

    def test_a_commit_of_other_changes_than_the_prewrite_stores_its_own(
        self, home: StoreHome
    ) -> None:
        store = home.open()
        list(store.load())
        store.prewrite(puts(GLOBAL_POOL))
        store.commit(puts(POOL))

        assert stored_in(home.after_a_crash()) == [POOL]
        store.close()

    def test_the_commits_of_this_node_are_not_remote_changes(self, home: StoreHome) -> None:
        store = home.open()
        list(store.load())

        store.commit(puts(POOL, LEASE, GLOBAL_POOL, DRIVER))

        assert not store.take_remote_changes()
        store.close()

    def test_several_threads_may_commit_at_once(self, home: StoreHome) -> None:
        pools = [replace(POOL, id=f"local/100.64.{n}.0/24") for n in range(64)]
        store = home.open()
        list(store.load())

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda pool: store.commit(puts(pool)), pools))

        assert as_set(stored_in(home.after_a_crash())) == set(pools)
        store.close()
        assert as_set(stored_in(home)) == set(pools)

    def test_commits_go_on_after_a_crash(self, home: StoreHome) -> None:
        committed(home, puts(POOL))
        store = home.open()
        list(store.load())
        store.commit(puts(GATEWAY))
        crashed = home.after_a_crash()
        store.close()

        committed(crashed, puts(LEASE))

        assert as_set(stored_in(crashed)) == {POOL, GATEWAY, LEASE}

    @settings(max_examples=25)
    @given(commits=batches(), cut=st.integers(0, 8), after_crash=st.booleans())
    def test_any_committed_batches_are_loaded_however_the_process_ended(
        self,
        make_home: MakeHome,
        commits: list[Sequence[Change]],
        cut: int,
        after_crash: bool,
    ) -> None:
        with make_home() as home:
            check_commits(home, commits, cut, after_crash=after_crash)


class AggregatesBehaviour(StoreBehaviour):
    """The same, and what a store promises of aggregates and of what was said of nodes."""

    @pytest.mark.parametrize("kind", EVERY_KIND_OF_NODE)
    def test_an_aggregate_or_a_mark_is_loaded_as_it_was_put(
        self, home: StoreHome, kind: str
    ) -> None:
        records = EVERY_KIND_OF_NODE[kind]

        committed(home, puts(*records))

        assert as_set(stored_in(home)) == set(records)

    @pytest.mark.parametrize("kind", EVERY_KIND_OF_NODE)
    def test_a_committed_aggregate_or_mark_survives_a_crash(
        self, home: StoreHome, kind: str
    ) -> None:
        records = EVERY_KIND_OF_NODE[kind]
        store = home.open()
        list(store.load())
        store.commit(puts(*records))

        assert as_set(stored_in(home.after_a_crash())) == set(records)
        store.close()

    @pytest.mark.parametrize("kind", EVERY_KIND_OF_NODE)
    def test_a_deleted_aggregate_or_mark_is_gone(self, home: StoreHome, kind: str) -> None:
        records = EVERY_KIND_OF_NODE[kind]

        committed(home, puts(*records), deletes(*reversed(records)))

        assert stored_in(home) == []

    def test_putting_an_aggregate_or_a_mark_replaces_the_one_with_its_key(
        self, home: StoreHome
    ) -> None:
        resting, undrained = replace(AGGREGATE, released=9.0), replace(MARK, draining=None)

        committed(home, puts(AGGREGATE, MARK), puts(resting, undrained))

        assert as_set(stored_in(home)) == {resting, undrained}

    def test_an_aggregate_and_its_first_pool_are_one_commit(self, home: StoreHome) -> None:
        pool = replace(POOL, aggregate=AGGREGATE.id.removeprefix("local/"))

        committed(home, puts(AGGREGATE, pool, LEASE), deletes(LEASE, pool))

        assert stored_in(home) == [AGGREGATE]

    @settings(max_examples=25)
    @given(
        commits=batches(further=("aggregate", "mark")),
        cut=st.integers(0, 8),
        after_crash=st.booleans(),
    )
    def test_any_batches_with_aggregates_are_loaded_however_the_process_ended(
        self,
        make_home: MakeHome,
        commits: list[Sequence[Change]],
        cut: int,
        after_crash: bool,
    ) -> None:
        with make_home() as home:
            check_commits(home, commits, cut, after_crash=after_crash)


def check_commits(
    home: StoreHome, commits: list[Sequence[Change]], cut: int, *, after_crash: bool
) -> None:
    """Commit these batches in two processes, of which the first ends after `cut` of them."""
    model = Model()
    for changes in commits:
        model.apply(changes)

    store = home.open()
    list(store.load())
    for changes in commits[:cut]:
        store.commit(changes)
    later = home.after_a_crash() if after_crash else home
    store.close()
    committed(later, *commits[cut:])

    assert model.holds(stored_in(later))
