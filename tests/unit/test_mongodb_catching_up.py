"""What a node of a shared plan learns when the single changes of others can no longer be told."""

from __future__ import annotations

from bson.timestamp import Timestamp

from pyipam.store.mongodb.catching_up import pool_differences, with_newer_pools
from pyipam.store.mongodb.snapshot import Snapshot
from pyipam.store.mongodb.versions import NO_VERSIONS
from pyipam.store.records import Delete, PoolRecord, Put
from tests.support.stored_records import GLOBAL_POOL, POOL, replace

OTHER_NODES_POOL = replace(POOL, id="local@nodeb/10.0.0.0/24")


def snapshot_of(*pools: PoolRecord) -> Snapshot:
    return Snapshot(Timestamp(1, 1), NO_VERSIONS, list(pools), [], [])


def known(*pools: PoolRecord) -> dict[str, PoolRecord]:
    return {pool.id: pool for pool in pools}


def test_a_pool_that_others_deleted_is_deleted_and_one_that_they_changed_is_put() -> None:
    changed = replace(GLOBAL_POOL, label="changed")

    differences = pool_differences(known(GLOBAL_POOL, OTHER_NODES_POOL), snapshot_of(changed))

    assert differences == [Delete(OTHER_NODES_POOL.key), Put(changed)]


def test_a_pool_in_the_local_space_of_this_node_is_never_a_difference() -> None:
    assert pool_differences(known(POOL), snapshot_of(replace(POOL, label="older"))) == []
    assert pool_differences(known(POOL), snapshot_of()) == []
    assert pool_differences(known(), snapshot_of(POOL)) == []


def test_a_pool_that_this_node_changed_after_the_snapshot_stays_as_changed() -> None:
    before = known(POOL, replace(GLOBAL_POOL, label="as it was"))
    snapshot = snapshot_of(*before.values())
    now = known(replace(POOL, label="changed"), GLOBAL_POOL)

    assert pool_differences(now, with_newer_pools(snapshot, before, now)) == []
