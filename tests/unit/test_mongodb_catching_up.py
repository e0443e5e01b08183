"""What a node of a shared plan learns when the single changes of others can no longer be told."""

from __future__ import annotations

import pytest
from bson.timestamp import Timestamp

from pyipam.store.mongodb.catching_up import global_pool_differences, pool_differences
from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.snapshot import Snapshot
from pyipam.store.mongodb.versions import NO_VERSIONS
from pyipam.store.records import Change, Claim, Delete, PoolRecord, Put
from tests.support.stored_records import GLOBAL_POOL, POOL, replace

CLAIMED = replace(GLOBAL_POOL, claims=(Claim("driver", 1, 2),))
OTHER_NODES_POOL = replace(POOL, id="local@nodeb/10.0.0.0/24")


def snapshot_of(*pools: PoolRecord) -> Snapshot:
    return Snapshot(Timestamp(1, 1), NO_VERSIONS, list(pools), [], [])


def knowing(*pools: PoolRecord) -> Knowledge:
    knowledge = Knowledge(RecordCodec("nodea"))
    for pool in pools:
        knowledge.apply(Put(pool))
    return knowledge


def test_a_pool_that_others_deleted_is_deleted_and_one_that_they_changed_is_put() -> None:
    changed = replace(GLOBAL_POOL, label="changed")

    differences = pool_differences(knowing(GLOBAL_POOL, OTHER_NODES_POOL), snapshot_of(changed))

    assert differences == [Delete(OTHER_NODES_POOL.key), Put(changed)]


def test_a_pool_in_the_local_space_of_this_node_is_never_a_difference() -> None:
    assert pool_differences(knowing(POOL), snapshot_of(replace(POOL, label="older"))) == []
    assert pool_differences(knowing(POOL), snapshot_of()) == []
    assert pool_differences(knowing(), snapshot_of(POOL)) == []


def test_what_was_read_of_the_global_space_is_not_learned_once_it_is_read_again() -> None:
    knowledge = knowing(GLOBAL_POOL)
    snapshot = snapshot_of(CLAIMED, OTHER_NODES_POOL)
    found = global_pool_differences(knowledge, snapshot)
    assert found == [Put(CLAIMED)]
    knowledge.replace_pending([Put(OTHER_NODES_POOL)], found)

    knowledge.replace_global_space(snapshot_of(GLOBAL_POOL))

    assert knowledge.learn_pending() == [Put(OTHER_NODES_POOL)]


@pytest.mark.parametrize("change", [Put(CLAIMED), Put(GLOBAL_POOL), Delete(GLOBAL_POOL.key)])
def test_every_change_of_a_pool_of_the_global_space_is_counted_also_one_in_doubt(
    change: Change,
) -> None:
    knowledge = knowing(GLOBAL_POOL)
    editions = [knowledge.global_pools_edition]

    knowledge.doubt([change])
    editions.append(knowledge.global_pools_edition)
    knowledge.apply(change)
    editions.append(knowledge.global_pools_edition)

    assert len(set(editions)) == 3


@pytest.mark.parametrize("stored", [[GLOBAL_POOL], [CLAIMED], []])
def test_a_pool_of_the_global_space_is_never_a_difference_where_this_node_may_have_stored_it(
    stored: list[PoolRecord],
) -> None:
    knowledge = knowing(GLOBAL_POOL)
    knowledge.doubt([Put(CLAIMED)])
    knowledge.doubt([Delete(CLAIMED.key)])

    assert pool_differences(knowledge, snapshot_of(*stored)) == []


def test_what_another_node_made_of_a_pool_in_doubt_is_a_difference() -> None:
    knowledge = knowing(GLOBAL_POOL)
    knowledge.doubt([Put(CLAIMED)])
    theirs = replace(GLOBAL_POOL, claims=(*CLAIMED.claims, Claim("driver@nodeb", 1, 1)))

    assert pool_differences(knowledge, snapshot_of(theirs)) == [Put(theirs)]
    assert pool_differences(knowledge, snapshot_of()) == [Delete(GLOBAL_POOL.key)]
