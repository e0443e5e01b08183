"""Changes as writes to collections, with the conditions that keep the nodes apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateMany, UpdateOne

from pyipam.store.mongodb.documents import Filter, RecordCodec, StoredDocument, ids_in
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.marks import encode_change_of_mark
from pyipam.store.pool_id import (
    is_global,
    is_local,
    make_subnet_id,
    space_of,
    split_node,
    subnet_id_of,
)
from pyipam.store.records import (
    AggregateKey,
    AggregateRecord,
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

Operation = ReplaceOne[StoredDocument] | UpdateOne | UpdateMany | DeleteOne | DeleteMany

# The changes of a commit that take effect, by the key that each concerns.
ChangesByKey = Mapping[Key, Change]


@dataclass(frozen=True)
class Write:
    """Operations on one collection. With `must_match`, each of them has to find the document that
    it names, or create it; otherwise the write is a collision."""

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
    """The changes that make versions of the pool set: those of aggregates, and those that create or
    delete a pool outside of them.

    Requires the lock of the store.
    """
    return [
        Delete(key) if _moves_into_aggregate(change, knowledge) else change
        for key, change in changes.items()
        if isinstance(key, AggregateKey)
        or (isinstance(key, PoolKey) and _makes_version(key, change, knowledge))
    ]


def _makes_version(key: PoolKey, change: Change, knowledge: Knowledge) -> bool:
    if isinstance(change, Delete):
        return not knowledge.aggregate_of(subnet_id_of(key.id))
    assert isinstance(change.record, PoolRecord)
    known = knowledge.pools.get(key.id)
    if known is None:
        return not change.record.aggregate
    return bool(known.aggregate) != bool(change.record.aggregate)


def _moves_into_aggregate(change: Change, knowledge: Knowledge) -> bool:
    """Whether a pool that is known outside of aggregates is put into one, as an import may do."""
    if isinstance(change, Delete) or not isinstance(change.record, PoolRecord):
        return False
    known = knowledge.pools.get(change.record.id)
    return known is not None and not known.aggregate and bool(change.record.aggregate)


def aggregates_concerned(changes: ChangesByKey, knowledge: Knowledge) -> set[AggregateKey]:
    """The aggregates of this node in which pools are put or deleted, and which are not themselves
    changed: the writes depend on that they still are this node's. Requires the lock of the store.
    """
    concerned = set()
    for key, change in changes.items():
        if not isinstance(key, PoolKey) or not is_local(key.id):
            continue
        if isinstance(change, Put) and isinstance(change.record, PoolRecord):
            aggregate: str | None = change.record.aggregate
        else:
            aggregate = knowledge.aggregate_of(subnet_id_of(key.id))
        if aggregate:
            concerned.add(AggregateKey(make_subnet_id("local", aggregate)))
    return concerned - changes.keys()


def nodes_replaced(changes: ChangesByKey) -> set[str]:
    """The nodes of whose pools, aggregates and driver names an import changes any."""
    found = set()
    for key in changes:
        if isinstance(key, PoolKey | AggregateKey):
            found.add(split_node(space_of(key.id))[1])
        elif isinstance(key, DriverKey):
            found.add(split_node(key.name)[1])
    return found - {""}


def make_writes(
    changes: ChangesByKey, knowledge: Knowledge, codec: RecordCodec, process: str
) -> list[Write]:
    """The writes that `process` makes to store these changes. Requires the lock of the store."""
    return _Writing(changes, knowledge, codec, process).writes()


def with_versions(writes: Sequence[Write], versions: Sequence[Operation]) -> list[Write]:
    """The writes, and after all others those that make versions of the pool set: once they are
    made, nobody else can make these versions until the transaction ends. Those of pools are with
    them, to be one round trip."""
    beside = [write for write in writes if write.collection == "pools" and not write.must_match]
    operations = [operation for write in beside for operation in write.operations]
    others = [write for write in writes if write not in beside]
    return [*others, Write("pools", (*operations, *versions))]


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


class _Writing:
    """The writes of one commit, under construction."""

    def __init__(
        self, changes: ChangesByKey, knowledge: Knowledge, codec: RecordCodec, process: str
    ) -> None:
        self._changes = changes
        self._knowledge = knowledge
        self._codec = codec
        self._process = process
        self._ended = _ended_subnets(changes, knowledge)
        put = (change.record for change in changes.values() if isinstance(change, Put))
        pools = (record for record in put if isinstance(record, PoolRecord))
        self._aggregates_of_puts = {subnet_id_of(pool.id): pool.aggregate for pool in pools}

    def writes(self) -> list[Write]:
        """All of them."""
        matching: dict[str, list[Operation]] = {}
        other: dict[str, list[Operation]] = {}
        for keyed in self._operations():
            of_collections = matching if keyed.must_match else other
            of_collections.setdefault(keyed.collection, []).append(keyed.operation)
        return [
            *(Write(name, tuple(found), must_match=True) for name, found in matching.items()),
            *(Write(name, tuple(found)) for name, found in other.items()),
        ]

    def _operations(self) -> Iterator[_KeyedOperation]:
        concerned = aggregates_concerned(self._changes, self._knowledge)
        for aggregate in sorted(concerned, key=attrgetter("id")):
            yield self._condition(aggregate)
        # Deletions first: an exclusive address may pass from one lease to another.
        for key, change in sorted(self._changes.items(), key=lambda item: isinstance(item[1], Put)):
            match key:
                case LeaseKey():
                    if key.subnet not in self._ended or isinstance(change, Put):
                        yield from self._of_lease(key, change)
                case PoolKey():
                    yield from self._of_pool(key, change)
                case AggregateKey():
                    yield self._of_aggregate(key, change)
                case NodeKey():
                    yield self._of_mark(key, change)
                case DriverKey():
                    yield self._of_driver(key, change)

    def _condition(self, key: AggregateKey) -> _KeyedOperation:
        """Finds the aggregate if this process has it for its node. It changes the document, so that
        nobody else can at the same time."""
        stored: Filter = {
            "_id": self._codec.encode_aggregate_id(key.id),
            "process": self._process,
        }
        return _KeyedOperation(
            "aggregates", UpdateOne(stored, {"$inc": {"fence": 1}}), must_match=True
        )

    # Pools

    def _of_pool(self, key: PoolKey, change: Change) -> Iterator[_KeyedOperation]:
        stored: Filter = {"_id": self._codec.encode_id(key.id)}
        if isinstance(change, Delete):
            yield self._end_of_pool(key, stored)
            yield self._end_of_leases(key)
            return
        assert isinstance(change.record, PoolRecord)
        document = self._codec.encode_pool(change.record)
        known = self._knowledge.pools.get(key.id)
        if known is not None and bool(known.aggregate) != bool(change.record.aggregate):
            yield self._end_of_pool(key, dict(stored))
            yield self._end_of_leases(key)
            known = None
        if change.record.aggregate:
            yield _upsert("aggregates", stored, document)._replace(must_match=True)
        elif known is None or not is_global(key.id):
            yield _upsert("pools", stored, document)
        else:
            # Any node may lead the swarm: the claims have to be those on which this one decided.
            stored["claims"] = self._codec.encode_claims(known.claims)
            yield _exact_replacement("pools", stored, document)

    def _end_of_pool(self, key: PoolKey, stored: Filter) -> _KeyedOperation:
        known = self._knowledge.pools.get(key.id)
        if self._knowledge.aggregate_of(subnet_id_of(key.id)):
            # Together with the condition that it depends on, unless it may be gone already.
            return _KeyedOperation("aggregates", DeleteOne(stored), must_match=known is not None)
        if known is None or not is_global(key.id):
            return _upsert("pools", stored, None)
        stored["claims"] = self._codec.encode_claims(known.claims)
        return _exact_replacement("pools", stored, None)

    def _end_of_leases(self, key: PoolKey) -> _KeyedOperation:
        stored_id = self._codec.encode_id(key.id)
        leases = ids_in(subnet_id_of(stored_id))
        if subnet_id_of(key.id) not in self._ended:
            leases["pool"] = stored_id
        is_in_aggregate = self._knowledge.aggregate_of(subnet_id_of(key.id))
        collection = "aggregate_leases" if is_in_aggregate else "leases"
        return _KeyedOperation(collection, DeleteMany(leases))

    # Leases

    def _of_lease(self, key: LeaseKey, change: Change) -> Iterator[_KeyedOperation]:
        aggregate = self._aggregates_of_puts.get(key.subnet)
        if aggregate is None:
            aggregate = self._knowledge.aggregate_of(key.subnet)
        if not aggregate:
            yield _lease_operation(key, change, self._knowledge, self._codec)
        # Where no pool is known, nobody knows where the lease is that is to be gone.
        if aggregate or (
            aggregate is None and isinstance(change, Delete) and not is_global(key.subnet)
        ):
            yield self._of_lease_in_aggregate(key, change)

    def _of_lease_in_aggregate(self, key: LeaseKey, change: Change) -> _KeyedOperation:
        document = None
        if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
            document = self._codec.encode_lease_in_aggregate(change.record)
        return _upsert("aggregate_leases", {"_id": self._codec.encode_lease_key(key)}, document)

    # Everything else

    def _of_aggregate(self, key: AggregateKey, change: Change) -> _KeyedOperation:
        document = None
        if isinstance(change, Put) and isinstance(change.record, AggregateRecord):
            document = self._codec.encode_aggregate(change.record)
            if is_local(key.id):
                document["process"] = self._process
        return _upsert("aggregates", {"_id": self._codec.encode_aggregate_id(key.id)}, document)

    def _of_mark(self, key: NodeKey, change: Change) -> _KeyedOperation:
        """Any node may say something of a node: what is replaced has to be what this one knows, or
        may have stored itself."""
        known, number = self._knowledge, self._knowledge.next_mark_number(key.name)
        stored = stored_mark(key.name, known)
        if key in known.doubtful:
            ours: Filter = {"_id": key.name, "writer": self._process}
            stored = {"$or": [stored, ours]}
        return _upsert("marks", stored, encode_change_of_mark(change, self._process, number))

    def _of_driver(self, key: DriverKey, change: Change) -> _KeyedOperation:
        document = None
        if isinstance(change, Put) and isinstance(change.record, DriverRecord):
            document = self._codec.encode_driver(change.record)
        return _upsert("drivers", {"_id": self._codec.encode_driver_key(key)}, document)


def stored_mark(name: str, knowledge: Knowledge) -> Filter:
    """The document of what is known to be said of a node, or taken back; there is none if nothing
    ever was. Requires the lock of the store."""
    return {"_id": name, "number": knowledge.mark_number(name)}


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
