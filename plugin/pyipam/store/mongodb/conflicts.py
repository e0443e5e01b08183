"""What stood in the way of a batch that collided with what other nodes hold."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.store.mongodb.documents import GLOBAL, Document, Names
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.writes import Batch, leases_in
from pyipam.store.records import Change, Delete, Key, LeaseKey, LeaseRecord, PoolKey, Put

# Of one subnet, in one conflict.
_MOST_LEARNED = 4096


def find_leases(
    database: Database[Document],
    names: Names,
    knowledge: Knowledge,
    batch: Batch,
    session: ClientSession,
) -> list[Change]:
    """The leases to be known before the batch is decided anew; none where what stood in the way
    has gone already. Raises PyMongoError."""
    holders = _holders(database, names, batch, session)
    learned: dict[Key, Change] = {
        lease.key: Put(lease)
        for lease in map(names.lease, _with_neighbours(database, names, holders, session))
        if knowledge.lease_of_another(lease.key) != lease
    }
    learned |= _changed_leases(database, names, knowledge, batch, session)
    return list(learned.values())


def _holders(
    database: Database[Document], names: Names, batch: Batch, session: ClientSession
) -> list[Document]:
    """The leases that hold what the batch was to put."""
    documents = [names.lease_document(lease) for lease in batch.leases()]
    own = {item["exclusive"]: item["_id"] for item in documents if "exclusive" in item}
    if not own:
        return []
    held = database.leases.find({"exclusive": {"$in": list(own)}}, session=session)
    found = [
        item for item in held if item["node"] != names.node or own[item["exclusive"]] != item["_id"]
    ]
    return _without_orphans(database, found, session) if found else []


def _without_orphans(
    database: Database[Document], leases: Sequence[Document], session: ClientSession
) -> list[Document]:
    """Without those whose pool has ended: what a process wrote late, which was killed. They hold
    nothing, and are deleted."""
    wanted = {"_id": {"$in": list({item["pool"] for item in leases})}}
    pools = set(database.pools.distinct("_id", wanted, session))
    for item in leases:
        if item["pool"] not in pools:
            same = {name: item[name] for name in ("_id", "node", "epoch", "granted")}
            database.leases.delete_one(same, session=session)
    return [item for item in leases if item["pool"] in pools]


def _with_neighbours(
    database: Database[Document],
    names: Names,
    leases: Sequence[Document],
    session: ClientSession,
) -> list[Document]:
    """With what other nodes hold in the same subnets: one conflict teaches much."""
    if not leases:
        return []
    subnets = {item["_id"].rpartition("/")[0] for item in leases}
    others: Document = {"node": {"$ne": names.node}}
    others["$or"] = [leases_in(subnet) for subnet in subnets]
    found = database.leases.find(others, session=session).limit(_MOST_LEARNED)
    return [*found, *leases]


def _changed_leases(
    database: Database[Document],
    names: Names,
    knowledge: Knowledge,
    batch: Batch,
    session: ClientSession,
) -> dict[Key, Change]:
    """The leases of others in the global space that the batch was to replace or delete, and that
    are no longer what they were."""
    known: dict[Key, LeaseRecord] = {
        key: lease
        for key in batch.changes
        if isinstance(key, LeaseKey)
        for lease in [knowledge.lease_of_another(key)]
        if lease is not None
    }
    if not known:
        return {}
    ids = [names.lease_id(lease.key) for lease in known.values()]
    stored = map(names.lease, database.leases.find({"_id": {"$in": ids}}, session=session))
    found = {lease.key: lease for lease in stored}
    return {
        key: Put(found[key]) if key in found else Delete(key)
        for key, lease in known.items()
        if found.get(lease.key) != lease
    }


def find_pools(
    database: Database[Document],
    names: Names,
    knowledge: Knowledge,
    batch: Batch,
    session: ClientSession,
) -> list[Change]:
    """The pools of the global space that the batch was to change, and that are no longer what
    they were. Raises PyMongoError."""
    known = {
        key: knowledge.pools[key.id]
        for key in batch.changes
        if isinstance(key, PoolKey) and key.id.startswith(GLOBAL) and key.id in knowledge.pools
    }
    if not known:
        return []
    ids = [key.id for key in known]
    stored = map(names.pool, database.pools.find({"_id": {"$in": ids}}, session=session))
    found = {pool.key: pool for pool in stored}
    return [
        Put(found[key]) if key in found else Delete(key)
        for key, pool in known.items()
        if found.get(key) != pool
    ]
