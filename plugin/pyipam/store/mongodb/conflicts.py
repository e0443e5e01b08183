"""What has to be learned from a collision: the records of other nodes that are in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.store.mongodb.documents import (
    Filter,
    RecordCodec,
    StoredDocument,
    ids_in,
)
from pyipam.store.mongodb.knowledge import Knowledge
from pyipam.store.mongodb.marks import NumberedMark, decode_numbered_mark
from pyipam.store.mongodb.orphans import without_orphans
from pyipam.store.mongodb.writes import ChangesByKey, aggregates_concerned
from pyipam.store.pool_id import is_global, is_local, parse_lease_id, subnet_of
from pyipam.store.records import (
    Delete,
    Key,
    LeaseKey,
    LeaseRecord,
    NodeKey,
    PoolKey,
    Put,
)

# More of them would not help the next attempt much, and would take longer to read.
_MAX_LEASES_LEARNED = 4096


@dataclass(frozen=True)
class CollisionSearch:
    """The search for what stopped changes from being written.

    The session is the one in which they were to be written, so that it sees what the failed write
    saw. Every method requires the lock of the store, and raises PyMongoError.
    """

    database: Database[StoredDocument]
    session: ClientSession
    codec: RecordCodec
    process: str
    knowledge: Knowledge
    changes: ChangesByKey

    def leases(self) -> list[Put | Delete]:
        """The leases to learn before the changes are decided again; none if what was in the way is
        gone already."""
        learned: dict[Key, Put | Delete] = {
            lease.key: Put(lease)
            for lease in map(self.codec.decode_lease, self._with_neighbours(self._holders()))
            if self.knowledge.lease_of_other_node(lease.key) != lease
        }
        learned |= self._changed_global_leases()
        return list(learned.values())

    def marks(self) -> list[NumberedMark]:
        """What others said of the nodes of which something was to be said, where it is no longer
        what is known."""
        names = [key.name for key in self.changes if isinstance(key, NodeKey)]
        if not names:
            return []
        of_others: Filter = {"_id": {"$in": names}, "writer": {"$ne": self.process}}
        found = self.database.marks.find(of_others, session=self.session)
        stored = map(decode_numbered_mark, found)
        return [said for said in stored if said.number != self.knowledge.mark_number(said.name)]

    def pools(self) -> list[Put | Delete]:
        """The pools of the global space that were to be changed, and are no longer as they are
        known, nor as this node may have stored them."""
        decided_upon = {
            key: possible
            for key in self.changes
            if isinstance(key, PoolKey) and is_global(key.id)
            for possible in [self.knowledge.possible_pools(key.id)]
            if possible != {None}
        }
        if not decided_upon:
            return []
        found = self.database.pools.find(
            {"_id": {"$in": [key.id for key in decided_upon]}}, session=self.session
        )
        stored = {pool.key: pool for pool in map(self.codec.decode_pool, found)}
        return [
            Put(stored[key]) if key in stored else Delete(key)
            for key, possible in decided_upon.items()
            if stored.get(key) not in possible
        ]

    def lost(self) -> str | None:
        """What this process has in its node's aggregates by what it knows, and what is not stored
        as its own, where the changes depend on that: an aggregate, or a pool that is to end. None
        if there is nothing. Whoever claims, releases or forgets makes versions, or removes the
        document of the node, so where that was looked at before, nobody else has done it."""
        in_doubt = self.knowledge.doubtful
        for aggregate in aggregates_concerned(self.changes, self.knowledge) - in_doubt:
            stored_id = self.codec.encode_aggregate_id(aggregate.id)
            if not self._is_stored({"_id": stored_id, "process": self.process}):
                return f"aggregate {subnet_of(aggregate.id)}"
        for key, change in self.changes.items():
            if isinstance(change, Delete) and isinstance(key, PoolKey) and key not in in_doubt:
                pool = self.knowledge.pools.get(key.id)
                drawn = pool is not None and pool.aggregate and is_local(key.id)
                if drawn and not self._is_stored({"_id": self.codec.encode_id(key.id)}):
                    return f"pool {key.id}"
        return None

    def _is_stored(self, selected: Filter) -> bool:
        return self.database.aggregates.find_one(selected, session=self.session) is not None

    def _holders(self) -> list[StoredDocument]:
        """The leases that hold the exclusive addresses that were to be leased."""
        wanted = {
            document["exclusive"]: document["_id"]
            for change in self.changes.values()
            if isinstance(change, Put) and isinstance(change.record, LeaseRecord)
            for document in [self.codec.encode_lease(change.record)]
            if "exclusive" in document
        }
        if not wanted:
            return []
        held = self.database.leases.find({"exclusive": {"$in": list(wanted)}}, session=self.session)
        of_others = [
            lease
            for lease in held
            if lease["node"] != self.codec.node or wanted[lease["exclusive"]] != lease["_id"]
        ]
        return without_orphans(of_others, self.database, self.session)

    def _with_neighbours(self, leases: Sequence[StoredDocument]) -> list[StoredDocument]:
        """The leases with others of other nodes in the same subnets, so that the next attempt does
        not collide with those."""
        if not leases:
            return []
        subnet_ids = {parse_lease_id(lease["_id"])[0] for lease in leases}
        of_others: Filter = {"node": {"$ne": self.codec.node}}
        of_others["$or"] = [ids_in(subnet_id) for subnet_id in subnet_ids]
        found = self.database.leases.find(of_others, session=self.session)
        return [*found.limit(_MAX_LEASES_LEARNED), *leases]

    def _changed_global_leases(self) -> dict[Key, Put | Delete]:
        """The leases of other nodes in the global space that were to be changed, and are no longer
        as they are known."""
        known: dict[LeaseKey, LeaseRecord] = {
            key: lease
            for key in self.changes
            if isinstance(key, LeaseKey)
            for lease in [self.knowledge.lease_of_other_node(key)]
            if lease is not None
        }
        if not known:
            return {}
        ids = [self.codec.encode_lease_key(key) for key in known]
        found = self.database.leases.find({"_id": {"$in": ids}}, session=self.session)
        stored = {lease.key: lease for lease in map(self.codec.decode_lease, found)}
        return {
            key: Put(stored[key]) if key in stored else Delete(key)
            for key, lease in known.items()
            if stored.get(key) != lease
        }
