"""Stores over one replica set: each database is an empty plan, each store is a node of it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from pyipam.errors import StoreFailure
from pyipam.store.errors import Conflict
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.documents import AGGREGATES, RecordCodec
from pyipam.store.mongodb.marks import MARKS, decode_mark
from pyipam.store.mongodb.session import end_sessions
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.mongodb.versions import POOL_IDS
from pyipam.store.records import (
    AggregateRecord,
    Change,
    DriverRecord,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Record,
)
from tests.support.mongodb.replica_set import Client, Document, ReplicaSet, wait_for
from tests.support.stored_records import GLOBAL_POOL, LEASE, POOL, replace

_numbers = count()
POOLS_IN_AGGREGATES = {"_id": {"$regex": "^local@"}}


class SharedPlan:
    """A database of its own, and the stores that were opened over it."""

    def __init__(self, replica_set: ReplicaSet, name: str, folder: Path) -> None:
        self.replica_set = replica_set
        self.name = name
        self.client: Client = MongoClient(replica_set.url, w="majority")
        self.database = self.client[name]
        self.folder = folder
        self._stopping = threading.Event()
        self._stores: list[MongoDbStore] = []

    @property
    def address(self) -> StoreAddress:
        return StoreAddress(self.replica_set.url.replace("/?", f"/{self.name}?"))

    @property
    def majority(self) -> Database[Document]:
        """The database as a majority of the members has it."""
        return self.client.get_database(self.name, read_concern=ReadConcern("majority"))

    def open(self, node: str = "nodea") -> MongoDbStore:
        """The store of a node, before `load`."""
        store = MongoDbStore(self.address, node, self.folder)
        self._stores.append(store)
        return store

    def loaded(self, node: str = "nodea") -> MongoDbStore:
        """The store of a node that has loaded, and does not follow the others."""
        store = self.open(node)
        list(store.load())
        return store

    def following(self, node: str = "nodea") -> MongoDbStore:
        """The store of a node that has loaded, and follows the others."""
        store = self.loaded(node)
        self.follow(store)
        return store

    def follow(self, store: MongoDbStore) -> None:
        """Let a store that has loaded follow the others from now on."""
        threading.Thread(
            target=store.run_background_work, args=[self._stopping], daemon=True
        ).start()

    def records(self, node: str = "nodea") -> set[Record]:
        """Everything that is stored, as a node names it, read without a store."""
        codec, stored = RecordCodec(node), self.majority
        return {
            *(codec.decode_pool(document) for document in stored.pools.find({"_id": POOL_IDS})),
            *(codec.decode_lease(document) for document in stored.leases.find()),
            *(codec.decode_driver(document) for document in stored.drivers.find()),
            *(codec.decode_aggregate(found) for found in stored.aggregates.find(AGGREGATES)),
            *(codec.decode_pool(found) for found in stored.aggregates.find(POOLS_IN_AGGREGATES)),
            *(codec.decode_lease(document) for document in stored.aggregate_leases.find()),
            *map(decode_mark, stored.marks.find(MARKS)),
        }

    def close(self) -> None:
        self._stopping.set()
        for store in self._stores:
            store.close()
        # A drop would wait for transactions that killed processes have left open.
        end_sessions(self.database, self.database.nodes.distinct("session"))
        self.client.drop_database(self.name)
        self.client.close()


@contextmanager
def shared_plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """An empty plan."""
    with tempfile.TemporaryDirectory() as folder:
        plan = SharedPlan(replica_set, f"plan{next(_numbers)}", Path(folder))
        try:
            yield plan
        finally:
            plan.close()


# What nodes hold, and how other nodes see it

GLOBAL_LEASE = replace(LEASE, pool=GLOBAL_POOL.id)
OTHER_POOL = replace(POOL, id="local/100.64.0.4/30")


def on(node: str, record: Record) -> Record:
    """A record of a node, as the other nodes see it."""
    match record:
        case PoolRecord():
            claims = [claim._replace(driver=f"{claim.driver}@{node}") for claim in record.claims]
            return replace(record, id=_id_on(node, record.id), claims=tuple(claims))
        case LeaseRecord():
            pool_id = _id_on(node, record.pool)
            return replace(record, pool=pool_id, driver=f"{record.driver}@{node}")
        case DriverRecord():
            return replace(record, name=f"{record.name}@{node}")
        case AggregateRecord():
            return replace(record, id=_id_on(node, record.id))
        case NodeRecord():
            return record


def _id_on(node: str, pool_id: str) -> str:
    return pool_id.replace("local/", f"local@{node}/")


def on_a(record: Record) -> Record:
    """A record of nodea, as the other nodes see it."""
    return on("nodea", record)


def conflict_of(store: MongoDbStore, changes: Sequence[Change]) -> tuple[Change, ...]:
    """What the store learns from a conflict, instead of committing the changes."""
    with pytest.raises(Conflict) as conflict:
        store.commit(changes)
    return conflict.value.learned


def wait_until_refused(store: MongoDbStore, changes: Sequence[Change], words: str) -> None:
    """Commit the changes again and again, until they are refused with these words."""

    def is_refused() -> bool:
        try:
            store.commit(changes)
        except StoreFailure as failure:
            return words in str(failure)
        return False

    wait_for(is_refused, f"a refusal: {words}")


def changes_until(store: MongoDbStore, *last: Change) -> list[Change]:
    """The changes of other nodes up to these, once all of them have arrived."""
    found: list[Change] = []

    def have_arrived() -> bool:
        found.extend(store.take_remote_changes())
        return all(change in found for change in last)

    wait_for(have_arrived, f"{last} to arrive")
    return found


def next_changes(store: MongoDbStore, count: int) -> list[Change]:
    """This many changes of other nodes, once they have arrived."""
    found: list[Change] = []

    def has_arrived() -> bool:
        found.extend(store.take_remote_changes())
        return len(found) >= count

    wait_for(has_arrived, f"{count} remote changes")
    assert len(found) == count, found
    return found
