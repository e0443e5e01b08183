"""Changes as writes to collections, with the conditions that keep the nodes apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from pymongo import DeleteMany, DeleteOne, UpdateOne

from pyipam.store.mongodb.documents import Filter, RecordCodec, ids_in
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.marks import encode_change_of_mark
from pyipam.store.mongodb.operations import (
    KeyedOperation,
    Operation,
    exact_replacement,
    replacement,
    upsert,
)
from pyipam.store.mongodb.pool_doubts import PossiblePool
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

# The changes of a commit that take effect, by the key that each concerns.
ChangesByKey = Mapping[Key, Change]


@dataclass(frozen=True)
class Write:
    """Operations on one collection. With `must_match`, each of them has to find the document that
    it names, or create it; otherwise the write is a collision."""

    collection: str
    operations: tuple[Operation, ...]
    must_match: bool = False


class _Place(NamedTuple):
    """The collections in which a pool and its leases are."""

    pools: str
    leases: str


_OUTSIDE = _Place("pools", "leases")
_INSIDE = _Place("aggregates", "aggregate_leases")


def _place(aggregate: str) -> _Place:
    """The place of what was drawn from an aggregate, or from none if that is empty."""
    return _INSIDE if aggregate else _OUTSIDE


def _places(pools: Iterable[PossiblePool]) -> set[_Place]:
    """The places in which one of the pools is."""
    return {_place(pool.aggregate) for pool in pools if pool is not None}


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
    possible = knowledge.possible_pools(key.id)
    if isinstance(change, Delete):
        return _may_be_outside(possible) or possible == {None}
    assert isinstance(change.record, PoolRecord)
    if change.record.aggregate:
        return _may_be_outside(possible)
    return any(pool is None or pool.aggregate for pool in possible)


def _may_be_outside(possible: Iterable[PossiblePool]) -> bool:
    """Whether one of what may be stored of a pool is outside of aggregates."""
    return _OUTSIDE in _places(possible)


def _moves_into_aggregate(change: Change, knowledge: Knowledge) -> bool:
    """Whether a pool that may be stored outside of aggregates is put into one."""
    if isinstance(change, Delete) or not isinstance(change.record, PoolRecord):
        return False
    return bool(change.record.aggregate) and _may_be_outside(
        knowledge.possible_pools(change.record.id)
    )


def aggregates_concerned(changes: ChangesByKey, knowledge: Knowledge) -> set[AggregateKey]:
    """The aggregates of this node in which pools are put or deleted, and which are not themselves
    changed: the writes depend on that they still are this node's. Of those that may not be stored,
    only the ones in which pools are put. Requires the lock of the store.
    """
    concerned = set()
    for key, change in changes.items():
        if not isinstance(key, PoolKey) or not is_local(key.id):
            continue
        if isinstance(change, Put):
            assert isinstance(change.record, PoolRecord)
            concerned.update(_own_aggregates([change.record]))
        else:
            possible = _own_aggregates(knowledge.possible_pools(key.id))
            concerned.update(possible - knowledge.doubtful)
    return concerned - changes.keys()


def _own_aggregates(pools: Iterable[PossiblePool]) -> set[AggregateKey]:
    """The aggregates of this node that some of its pools were drawn from."""
    drawn = (pool.aggregate for pool in pools if pool is not None and pool.aggregate)
    return {AggregateKey(make_subnet_id("local", aggregate)) for aggregate in drawn}


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

    def _operations(self) -> Iterator[KeyedOperation]:
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

    def _condition(self, key: AggregateKey) -> KeyedOperation:
        """Finds the aggregate if this process has it for its node. It changes the document, so that
        nobody else can at the same time."""
        stored: Filter = {
            "_id": self._codec.encode_aggregate_id(key.id),
            "process": self._process,
        }
        return KeyedOperation(
            "aggregates", UpdateOne(stored, {"$inc": {"fence": 1}}), must_match=True
        )

    # Pools

    def _of_pool(self, key: PoolKey, change: Change) -> Iterator[KeyedOperation]:
        possible = self._knowledge.possible_pools(key.id)
        if isinstance(change, Delete):
            for place in sorted(_places(possible) or {_OUTSIDE}):
                yield from self._end_of_pool(key, place)
            return
        assert isinstance(change.record, PoolRecord)
        wanted = _place(change.record.aggregate)
        for place in sorted(_places(possible) - {wanted}):
            yield from self._end_of_pool(key, place)
        stored: Filter = {"_id": self._codec.encode_id(key.id)}
        document = self._codec.encode_pool(change.record)
        if wanted is _INSIDE:
            yield upsert(wanted.pools, stored, document)._replace(must_match=True)
        elif possible == {None} or not is_global(key.id):
            yield upsert(wanted.pools, stored, document)
        else:
            stored |= self._one_of(possible)
            must_be_there = None not in possible
            replace = exact_replacement if must_be_there else upsert
            yield replace(wanted.pools, stored, document)

    def _end_of_pool(self, key: PoolKey, place: _Place) -> Iterator[KeyedOperation]:
        """The end of a pool in one place, where it may be, and of its leases there."""
        possible = self._knowledge.possible_pools(key.id)
        stored: Filter = {"_id": self._codec.encode_id(key.id)}
        is_certain = len(possible) == 1 and None not in possible
        if is_global(key.id) and possible != {None}:
            yield from self._end_of_global_pool(stored, possible)
        else:
            # In an aggregate, together with the condition that it depends on.
            must_match = is_certain and place is _INSIDE
            yield KeyedOperation(place.pools, DeleteOne(stored), must_match)
        leases = ids_in(subnet_id_of(stored["_id"]))
        if subnet_id_of(key.id) not in self._ended:
            leases["pool"] = stored["_id"]
        yield KeyedOperation(place.leases, DeleteMany(leases))

    def _end_of_global_pool(
        self, stored: Filter, possible: Set[PossiblePool]
    ) -> Iterator[KeyedOperation]:
        as_decided = stored | self._one_of(possible)
        if None not in possible:
            yield exact_replacement(_OUTSIDE.pools, as_decided, None)
            return
        # It collides with a pool that has other claims, though there may be none.
        yield upsert(_OUTSIDE.pools, as_decided, dict(stored))
        yield KeyedOperation(_OUTSIDE.pools, DeleteOne(stored))

    def _one_of(self, possible: Iterable[PossiblePool]) -> Filter:
        """Any node may lead the swarm: a pool of the global space has to be as this one decided on.
        The claims are not enough: one that rests has none, also after another node has used it."""
        documents = (self._codec.encode_pool(pool) for pool in possible if pool is not None)
        decisive = ("claims", "created", "released")
        return {"$or": [{name: document[name] for name in decisive} for document in documents]}

    # Leases

    def _of_lease(self, key: LeaseKey, change: Change) -> Iterator[KeyedOperation]:
        places = self._places_of_lease(key, change)
        if _OUTSIDE in places:
            yield _lease_operation(key, change, self._knowledge, self._codec)
        if _INSIDE in places:
            yield self._of_lease_in_aggregate(key, change)

    def _places_of_lease(self, key: LeaseKey, change: Change) -> set[_Place]:
        """Where a lease is to be put; or, if it is to be gone, where it may be."""
        if isinstance(change, Put) and key.subnet in self._aggregates_of_puts:
            return {_place(self._aggregates_of_puts[key.subnet])}
        found = {_place(aggregate) for aggregate in self._knowledge.aggregates_of(key.subnet)}
        # Where no pool is known, nobody knows where the lease is that is to be gone.
        is_anywhere = isinstance(change, Delete) and not is_global(key.subnet)
        return found or ({_OUTSIDE, _INSIDE} if is_anywhere else {_OUTSIDE})

    def _of_lease_in_aggregate(self, key: LeaseKey, change: Change) -> KeyedOperation:
        document = None
        if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
            document = self._codec.encode_lease_in_aggregate(change.record)
        stored: Filter = {"_id": self._codec.encode_lease_key(key)}
        return upsert(_INSIDE.leases, stored, document)

    # Everything else

    def _of_aggregate(self, key: AggregateKey, change: Change) -> KeyedOperation:
        document = None
        if isinstance(change, Put) and isinstance(change.record, AggregateRecord):
            document = self._codec.encode_aggregate(change.record)
            if is_local(key.id):
                document["process"] = self._process
        return upsert("aggregates", {"_id": self._codec.encode_aggregate_id(key.id)}, document)

    def _of_mark(self, key: NodeKey, change: Change) -> KeyedOperation:
        """Any node may say something of a node: what is replaced has to be what this one knows, or
        may have stored itself."""
        known, number = self._knowledge, self._knowledge.next_mark_number(key.name)
        stored = stored_mark(key.name, known)
        if key in known.doubtful:
            ours: Filter = {"_id": key.name, "writer": self._process}
            stored = {"$or": [stored, ours]}
        return upsert("marks", stored, encode_change_of_mark(change, self._process, number))

    def _of_driver(self, key: DriverKey, change: Change) -> KeyedOperation:
        document = None
        if isinstance(change, Put) and isinstance(change.record, DriverRecord):
            document = self._codec.encode_driver(change.record)
        return upsert("drivers", {"_id": self._codec.encode_driver_key(key)}, document)


def stored_mark(name: str, knowledge: Knowledge) -> Filter:
    """The document of what is known to be said of a node, or taken back; there is none if nothing
    ever was. Requires the lock of the store."""
    return {"_id": name, "number": knowledge.mark_number(name)}


def _lease_operation(
    key: LeaseKey, change: Change, knowledge: Knowledge, codec: RecordCodec
) -> KeyedOperation:
    stored: Filter = {"_id": codec.encode_lease_key(key)}
    document = None
    if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
        document = codec.encode_lease(change.record)
    if not is_global(key.subnet):
        return upsert("leases", stored, document)
    # In the global space a lease is replaced only if it is of this node, or is the one of another
    # node that this node knows.
    own: Filter = {"node": codec.node}
    of_other = knowledge.lease_of_other_node(key)
    if of_other is None:
        return upsert("leases", stored | own, document)
    if key not in knowledge.doubtful:
        return exact_replacement("leases", stored | _identity(of_other, codec), document)
    either: Filter = {"$or": [own, _identity(of_other, codec)]}
    if document is None or document["node"] == codec.node:
        return upsert("leases", stored | either, document)
    if document == codec.encode_lease(of_other):
        # This node may have taken the lease over from another node. If it has, it gives it back.
        return replacement("leases", stored | own, document)
    # It may have released the lease of another node, and does so again.
    return replacement("leases", stored | either, document)


def _identity(lease: LeaseRecord, codec: RecordCodec) -> Filter:
    """What differs once the address has been given to somebody else, or was claimed again."""
    document = codec.encode_lease(lease)
    return {name: document[name] for name in ("node", "driver", "epoch", "granted")}
