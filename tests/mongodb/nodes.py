"""Stores over one replica set: each database is an empty plan, each store a node of it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.session import end_sessions
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Record
from tests.support.mongodb.replica_set import Client, ReplicaSet

_numbers = count()


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
        """Everything that is stored, as a node names it, read behind the back of every store."""
        codec = RecordCodec(node)
        stored = self.client.get_database(self.name, read_concern=ReadConcern("majority"))
        return {
            *(codec.decode_pool(document) for document in stored.pools.find()),
            *(codec.decode_lease(document) for document in stored.leases.find()),
            *(codec.decode_driver(document) for document in stored.drivers.find()),
        }

    def close(self) -> None:
        self._stopping.set()
        for store in self._stores:
            store.close()
        # A process that was killed may have left a transaction, which a drop would wait for.
        end_sessions(self.database, self.database.nodes.distinct("session"))
        self.client.drop_database(self.name)
        self.client.close()


@contextmanager
def shared_plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """A plan that nothing is in."""
    with tempfile.TemporaryDirectory() as folder:
        plan = SharedPlan(replica_set, f"plan{next(_numbers)}", Path(folder))
        try:
            yield plan
        finally:
            plan.close()
