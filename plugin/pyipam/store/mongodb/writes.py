"""Changes as writes to collections, with the conditions that keep the nodes apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateOne

from pyipam.store.documents import to_document
from pyipam.store.mongodb.documents import Filter, RecordCodec, StoredDocument, leases_in
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.pool_id import is_global, subnet_id_of
from pyipam.store.records import (
    AggregateKey,
    Change,
    Delete,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    NodeKey,
    PoolKey,
    PoolRecord,
    Put,
    key_of,
)

Operation = ReplaceOne[StoredDocument] | UpdateOne | DeleteOne | DeleteMany

# The changes of a commit that take effect, by the key that each concerns.
ChangesByKey = Mapping[Key, Change]


@dataclass(frozen=True)
class Write:
    """Operations on one collection. With `must_match`, each of them has to find the document that
    it names; otherwise the write is a collision."""

    collection: str
    operations: tuple[Operation, ...]
    must_match: bool = False


class _KeyedOperation(NamedTuple):
    """An operation, the collection that it concerns, and whether it must match."""

    collection: str
    operation: Operation
    must_match: bool = False


def last_of_each_key(changes: Iterable[Change]) -> ChangesByKey:
    """The changes that take effect: of several with the same key, the last."""
    return {key_of(change): change for change in changes}


def pool_set_changes(changes: ChangesByKey, knowledge: Knowledge) -> list[Change]:
    """The changes that make versions of the pool set: those that create or delete a pool.

    Requires the lock of the store.
    """
    return [
        change
        for key, change in changes.items()
        if isinstance(key, PoolKey)
        and (isinstance(change, Delete) or _creates_pool(change, knowledge))
    ]


def _creates_pool(change: Change, knowledge: Knowledge) -> bool:
    return (
        isinstance(change, Put)
        and isinstance(change.record, PoolRecord)
        and change.record.id not in knowledge.pools
    )


def make_writes(changes: ChangesByKey, knowledge: Knowledge, codec: RecordCodec) -> list[Write]:
    """The writes that store these changes. Requires the lock of the store."""
    ended = _ended_subnets(changes, knowledge)
    matching: dict[str, list[Operation]] = {}
    other: dict[str, list[Operation]] = {}
    # Deletions first: an exclusive address may pass from one lease to another.
    for key, change in sorted(changes.items(), key=lambda item: isinstance(item[1], Put)):
        if isinstance(key, LeaseKey) and isinstance(change, Delete) and key.subnet in ended:
            continue
        keyed = _operation(key, change, knowledge, codec)
        of_collections = matching if keyed.must_match else other
        of_collections.setdefault(keyed.collection, []).append(keyed.operation)
        if isinstance(key, PoolKey) and isinstance(change, Delete):
            stored_id = codec.encode_id(key.id)
            leases = leases_in(subnet_id_of(stored_id))
            if subnet_id_of(key.id) not in ended:
                leases["pool"] = stored_id
            other.setdefault("leases", []).append(DeleteMany(leases))
    return [
        *(Write(name, tuple(found), must_match=True) for name, found in matching.items()),
        *(Write(name, tuple(found)) for name, found in other.items()),
    ]


def with_versions(writes: Sequence[Write], versions: Sequence[Operation]) -> list[Write]:
    """The writes, and after all others those that make versions of the pool set: once they are
    made, nobody else can make these versions until the transaction ends. Those of pools are with
    them, to be one round trip."""
    beside = [write for write in writes if write.collection == "pools" and not write.must_match]
    operations = [operation for write in beside for operation in write.operations]
    others = [write for write in writes if write not in beside]
    return [*others, Write("pools", (*operations, *versions))]


def make_fence(node: str) -> Write:
    """A write that always changes a document. A transaction with it prevents every earlier commit
    of the same session whose outcome is unknown from taking effect."""
    return Write("nodes", (UpdateOne({"_id": node}, {"$inc": {"fence": 1}}, upsert=True),))


def _ended_subnets(changes: ChangesByKey, knowledge: Knowledge) -> set[str]:
    """The subnets whose last pools are deleted: every lease there is deleted with them."""
    deleted: dict[str, set[str]] = {}
    put: set[str] = set()
    for key, change in changes.items():
        if isinstance(key, PoolKey):
            if isinstance(change, Delete):
                deleted.setdefault(subnet_id_of(key.id), set()).add(key.id)
            else:
                put.add(subnet_id_of(key.id))
    return {
        subnet_id
        for subnet_id, pool_ids in deleted.items()
        if subnet_id not in put and knowledge.pool_ids_of(subnet_id) <= pool_ids
    }


def _operation(
    key: Key, change: Change, knowledge: Knowledge, codec: RecordCodec
) -> _KeyedOperation:
    match key:
        case LeaseKey():
            return _lease_operation(key, change, knowledge, codec)
        case PoolKey():
            return _pool_operation(key, change, knowledge, codec)
        case DriverKey():
            stored: Filter = {"_id": codec.encode_driver_key(key)}
            document = None
            if isinstance(change, Put) and isinstance(change.record, DriverRecord):
                document = codec.encode_driver(change.record)
            return _upsert("drivers", stored, document)
        case AggregateKey(name) | NodeKey(name):
            kept = to_document(change.record) if isinstance(change, Put) else None
            return _upsert("aggregates", {"_id": codec.encode_id(name)}, kept)


def _pool_operation(
    key: PoolKey, change: Change, knowledge: Knowledge, codec: RecordCodec
) -> _KeyedOperation:
    stored: Filter = {"_id": codec.encode_id(key.id)}
    document = None
    if isinstance(change, Put) and isinstance(change.record, PoolRecord):
        document = codec.encode_pool(change.record)
    known = knowledge.pools.get(key.id)
    if known is None or not is_global(key.id):
        return _upsert("pools", stored, document)
    # Any node may lead the swarm: the claims have to be those on which this one decided.
    stored["claims"] = codec.encode_claims(known.claims)
    return _exact_replacement("pools", stored, document)


def _lease_operation(
    key: LeaseKey, change: Change, knowledge: Knowledge, codec: RecordCodec
) -> _KeyedOperation:
    stored: Filter = {"_id": codec.encode_lease_key(key)}
    document = None
    if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
        document = codec.encode_lease(change.record)
    if not is_global(key.subnet):
        return _upsert("leases", stored, document)
    # In the global space a lease is replaced only if it is of this node, or is the one of another
    # node that this node knows.
    own: Filter = {"node": codec.node}
    of_other = knowledge.lease_of_other_node(key)
    if of_other is None:
        return _upsert("leases", stored | own, document)
    if key not in knowledge.doubtful:
        return _exact_replacement("leases", stored | _identity(of_other, codec), document)
    if document is not None and document["node"] != codec.node:
        # This node may have taken the lease over from another node. If it has, it gives it back.
        return _replacement("leases", stored | own, document)
    either: Filter = {"$or": [own, _identity(of_other, codec)]}
    return _upsert("leases", stored | either, document)


def _replacement(
    collection: str, replaced: Filter, document: StoredDocument | None
) -> _KeyedOperation:
    """The replacement of a document, if it is there, by another, or its deletion if there is no
    other."""
    if document is None:
        return _KeyedOperation(collection, DeleteOne(replaced))
    return _KeyedOperation(collection, ReplaceOne(replaced, document))


def _exact_replacement(
    collection: str, replaced: Filter, document: StoredDocument | None
) -> _KeyedOperation:
    """The same of a document that has to be there."""
    return _replacement(collection, replaced, document)._replace(must_match=True)


def _upsert(collection: str, replaced: Filter, document: StoredDocument | None) -> _KeyedOperation:
    """The same of a document that may not be there, and is created then."""
    if document is None:
        return _KeyedOperation(collection, DeleteOne(replaced))
    return _KeyedOperation(collection, ReplaceOne(replaced, document, upsert=True))


def _identity(lease: LeaseRecord, codec: RecordCodec) -> Filter:
    """What differs once the address has been given to somebody else, or was claimed again."""
    document = codec.encode_lease(lease)
    return {name: document[name] for name in ("node", "driver", "epoch", "granted")}
