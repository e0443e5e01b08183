"""What makes that which is known the same as that which is stored, where the single changes between
them can no longer be determined."""

from __future__ import annotations

from pyipam.store.mongodb.knowledge import Knowledge, RemoteChange
from pyipam.store.mongodb.marks import NumberedMark
from pyipam.store.mongodb.snapshot import Snapshot
from pyipam.store.mongodb.versions import PoolSetRead
from pyipam.store.pool_id import is_global, is_local, is_on_other_node
from pyipam.store.records import Change, Delete, NodeKey, PoolKey, Put, key_of


def pool_differences(knowledge: Knowledge, snapshot: Snapshot) -> list[Change]:
    """The changes that turn the known pools into the stored ones, where those are not what this
    node may have stored. Requires the lock of the store.

    Without the pools in the local space of this node: nobody else changes those, and the snapshot
    may be older than what is known of them.
    """
    before = [pool_id for pool_id in knowledge.pools if not is_local(pool_id)]
    after = {pool.id: pool for pool in snapshot.pools if not is_local(pool.id)}
    gone = (pool_id for pool_id in before if pool_id not in after)
    return [
        *(Delete(PoolKey(each)) for each in gone if None not in knowledge.possible_pools(each)),
        *(Put(pool) for pool in after.values() if pool not in knowledge.possible_pools(pool.id)),
    ]


def aggregate_differences(knowledge: Knowledge, snapshot: Snapshot) -> list[Change]:
    """The changes that turn the known aggregates into the stored ones, where it is not in doubt
    what this node has stored. Requires the lock of the store."""
    before = knowledge.aggregates
    after = {aggregate.id: aggregate for aggregate in snapshot.aggregates}
    gone = (before[aggregate_id].key for aggregate_id in before.keys() - after.keys())
    changed = (item for item in after.values() if before.get(item.id) != item)
    return [
        *(Delete(key) for key in gone if key not in knowledge.doubtful),
        *(Put(item) for item in changed if item.key not in knowledge.doubtful),
    ]


def newer_marks(knowledge: Knowledge, snapshot: Snapshot) -> list[NumberedMark]:
    """What was said of nodes after what is known, where it is not in doubt what this node has
    stored. Requires the lock of the store."""
    return [
        said
        for said in snapshot.said
        if said.number > knowledge.mark_number(said.name)
        and NodeKey(said.name) not in knowledge.doubtful
    ]


def global_pool_differences(knowledge: Knowledge, snapshot: Snapshot) -> list[Change]:
    """The same changes, of the pools of the global space alone."""
    return [change for change in pool_differences(knowledge, snapshot) if _is_global(change)]


def _is_global(change: Change) -> bool:
    key = key_of(change)
    return isinstance(key, PoolKey) and is_global(key.id)


def everything_of_other_nodes(knowledge: Knowledge, snapshot: Snapshot) -> list[RemoteChange]:
    """All that other nodes hold outside of the global space, as remote changes; the last makes the
    versions of the snapshot known. Requires the lock of the store.

    The local pools of other nodes are deleted, which ends their leases, and put again: it is not
    recorded which of those leases the core has been told of.
    """
    known = [pool_id for pool_id in knowledge.pools if is_on_other_node(pool_id)]
    stored = [pool for pool in snapshot.pools if is_on_other_node(pool.id)]
    return [
        *newer_marks(knowledge, snapshot),
        *(Delete(PoolKey(pool_id)) for pool_id in known),
        *aggregate_differences(knowledge, snapshot),
        *(Put(pool) for pool in stored),
        *(Put(lease) for lease in snapshot.leases),
        PoolSetRead(snapshot.versions),
    ]
