"""A batch of changes as writes to collections, with the conditions that keep nodes apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymongo import DeleteMany, DeleteOne, ReplaceOne

from pyipam.store.mongodb.documents import GLOBAL, Document, Names
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import (
    Change,
    Delete,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    key_of,
)

Operation = ReplaceOne[Document] | DeleteOne | DeleteMany


@dataclass(frozen=True)
class Write:
    """Operations on one collection. `strict`: each must find the document that it names."""

    collection: str
    operations: tuple[Operation, ...]
    strict: bool = False


class Batch:
    """The changes that take effect: the last one of each key."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self.changes: dict[Key, Change] = {}
        for change in changes:
            self.changes[key_of(change)] = change

    def plan_changes(self, knowledge: Knowledge) -> list[Change]:
        """The changes of pools, if they make a version of the plan: a pool begins or ends."""
        changes = [change for key, change in self.changes.items() if isinstance(key, PoolKey)]
        if any(isinstance(change, Delete) or _begins(change, knowledge) for change in changes):
            return changes
        return []

    def leases(self) -> list[LeaseRecord]:
        """Those that are put."""
        return [
            change.record
            for change in self.changes.values()
            if isinstance(change, Put) and isinstance(change.record, LeaseRecord)
        ]

    def writes(self, knowledge: Knowledge, names: Names) -> list[Write]:
        """What is to be written, deletions first: an address may go from one lease to another."""
        ended = self._ended_subnets(knowledge)
        strict: dict[str, list[Operation]] = {}
        plain: dict[str, list[Operation]] = {}
        # Deletions in front: what is exclusive may pass from one to another.
        for key, change in sorted(self.changes.items(), key=lambda item: isinstance(item[1], Put)):
            if isinstance(key, LeaseKey) and isinstance(change, Delete) and key.subnet in ended:
                continue
            collection, operation, is_strict = _operation(key, change, knowledge, names)
            (strict if is_strict else plain).setdefault(collection, []).append(operation)
            if isinstance(change, Delete) and isinstance(key, PoolKey):
                whole = subnet_id_of(key.id) in ended
                plain.setdefault("leases", []).append(_all_leases(key.id, whole, names))
        return [
            *(Write(name, tuple(operations), strict=True) for name, operations in strict.items()),
            *(Write(name, tuple(operations)) for name, operations in plain.items()),
        ]

    def _ended_subnets(self, knowledge: Knowledge) -> set[str]:
        """Those of which every pool ends with this batch: all leases there end too."""
        ended: dict[str, set[str]] = {}
        going_on: set[str] = set()
        for key, change in self.changes.items():
            if isinstance(key, PoolKey):
                if isinstance(change, Delete):
                    ended.setdefault(subnet_id_of(key.id), set()).add(key.id)
                else:
                    going_on.add(subnet_id_of(key.id))
        return {
            subnet
            for subnet, ids in ended.items()
            if subnet not in going_on and knowledge.pools_of(subnet) <= ids
        }


def _begins(change: Change, knowledge: Knowledge) -> bool:
    return (
        isinstance(change, Put)
        and isinstance(change.record, PoolRecord)
        and change.record.id not in knowledge.pools
    )


def _all_leases(pool_id: str, whole_subnet: bool, names: Names) -> DeleteMany:
    """The deletion of every lease of a pool; of its subnet, where the pool is the last there."""
    stored = names.stored_id(pool_id)
    leases = leases_in(subnet_id_of(stored))
    return DeleteMany(leases if whole_subnet else {**leases, "pool": stored})


def leases_in(stored_subnet: str) -> Document:
    """The filter of the leases in a subnet, named as it is stored."""
    # "0" is what follows "/" in ASCII.
    return {"_id": {"$gt": f"{stored_subnet}/", "$lt": f"{stored_subnet}0"}}


def _operation(
    key: Key, change: Change, knowledge: Knowledge, names: Names
) -> tuple[str, Operation, bool]:
    """The collection, what is done there, and whether it must find what it names."""
    match key:
        case LeaseKey():
            return ("leases", *_lease_operation(key, change, knowledge, names))
        case PoolKey():
            return ("pools", *_pool_operation(key, change, knowledge, names))
        case DriverKey():
            stored = {"_id": names.driver_id(key)}
            if isinstance(change, Put) and isinstance(change.record, DriverRecord):
                document = names.driver_document(change.record)
                return "drivers", ReplaceOne(stored, document, upsert=True), False
            return "drivers", DeleteOne(stored), False


def _pool_operation(
    key: PoolKey, change: Change, knowledge: Knowledge, names: Names
) -> tuple[Operation, bool]:
    stored: Document = {"_id": names.stored_id(key.id)}
    document = None
    if isinstance(change, Put) and isinstance(change.record, PoolRecord):
        document = names.pool_document(change.record)
    known = knowledge.pools.get(key.id)
    if known is None or not key.id.startswith(GLOBAL):
        return _replacement(stored, document, upsert=True), False
    # Any node may lead the swarm: its claims must be those that this one decided upon.
    stored["claims"] = names.claim_documents(known.claims)
    return _replacement(stored, document, upsert=False), True


def _lease_operation(
    key: LeaseKey, change: Change, knowledge: Knowledge, names: Names
) -> tuple[Operation, bool]:
    stored: Document = {"_id": names.lease_id(key)}
    document = None
    if isinstance(change, Put) and isinstance(change.record, LeaseRecord):
        document = names.lease_document(change.record)
    if not key.subnet.startswith(GLOBAL):
        return _replacement(stored, document, upsert=True), False
    # What this node holds, or what it knows another to hold: whatever else is there, stays there.
    own: Document = {"node": names.node}
    another = knowledge.lease_of_another(key)
    if another is None:
        return _replacement(stored | own, document, upsert=True), False
    if key not in knowledge.doubtful:
        return _replacement(stored | _identity(another, names), document, upsert=False), True
    if document is not None and document["node"] != names.node:
        # It was perhaps taken from another, and is given back, if it was.
        return _replacement(stored | own, document, upsert=False), False
    either = {"$or": [own, _identity(another, names)]}
    return _replacement(stored | either, document, upsert=True), False


def _replacement(wanted: Document, document: Document | None, *, upsert: bool) -> Operation:
    """What puts the document in the place of the one that is wanted, or deletes that one."""
    if document is None:
        return DeleteOne(wanted)
    return ReplaceOne(wanted, document, upsert=upsert)


def _identity(lease: LeaseRecord, names: Names) -> Document:
    """What is another, once the address was given to somebody else or claimed again."""
    document = names.lease_document(lease)
    return {name: document[name] for name in ("node", "driver", "epoch", "granted")}
