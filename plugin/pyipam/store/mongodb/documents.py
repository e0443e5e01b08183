"""Records as documents of MongoDB, and back.

The database is shared, so every id in a local space and every driver name in it is qualified (see
pool_id). A node's own ids and names are qualified here when a record is stored, and unqualified
when it is read.

    pools             _id "global/10.0.0.0/24" or "local@nodea/10.0.0.0/24"
    leases            _id is the lease id, so that the deletion of a lease says which one it was;
                      `exclusive` is in a unique index, and absent from leases that several nodes
                      may hold at once; `named` is absent where it is false
    drivers           _id "driver@nodea"
    marks             see marks
    aggregates        _id "aggregate@nodea/10.1.16.0/20" for an aggregate; `process` is the process
                      that serves its node, and absent once the node is forgotten. The pools in
                      aggregates are here as well, as in `pools`, so that a pool and the condition
                      that its node still has the aggregate are one round trip
    aggregate_leases  the leases of those pools, as in `leases`, but never exclusive: no other node
                      has an address there
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any

from pyipam.store.pool_id import (
    GLOBAL_PREFIX,
    LOCAL_PREFIX,
    NO_NODE,
    OTHER_NODE_PREFIX,
    is_global,
    make_lease_id,
    parse_lease_id,
    qualify_pool_id,
    split_node,
    subnet_id_of,
    unqualify_pool_id,
    with_node,
)
from pyipam.store.records import (
    LEASE_KINDS,
    AggregateRecord,
    Claim,
    DriverKey,
    DriverRecord,
    LeaseKey,
    LeaseRecord,
    PoolRecord,
    Run,
    Sharer,
)

# A document of one of the collections.
StoredDocument = dict[str, Any]
# A query filter: which documents of a collection are meant.
Filter = dict[str, Any]

# The filter that no document passes.
NOTHING: Filter = {"_id": {"$in": []}}

# How the ids of aggregates are stored: those of the pools beside them begin with OTHER_NODE_PREFIX.
_AGGREGATE_PREFIX = "aggregate@"
AGGREGATES: Filter = {"_id": {"$gt": _AGGREGATE_PREFIX, "$lt": "aggregateA"}}


def ids_in(stored_id: str) -> Filter:
    """What is in a subnet, or in a whole space, whose id is given as it is stored."""
    # "0" follows "/" in ASCII, so these are exactly the ids that begin with stored_id and "/".
    return {"_id": {"$gt": f"{stored_id}/", "$lt": f"{stored_id}0"}}


def ids_of_node(node: str) -> Filter:
    """What is in the local space of a node."""
    return ids_in(f"{OTHER_NODE_PREFIX}{node}")


def aggregates_of_node(node: str) -> Filter:
    """The aggregates of a node."""
    return ids_in(f"{_AGGREGATE_PREFIX}{node}")


class RecordCodec:
    """Encodes the records of one node as documents, and decodes the documents of every node as
    that node names them.

    The decoding methods raise KeyError, TypeError or AttributeError if the document is malformed.
    """

    def __init__(self, node: str) -> None:
        self.node = node

    @property
    def leases_of_other_nodes(self) -> Filter:
        """The leases in the local spaces of other nodes."""
        own = re.compile(f"^{re.escape(self.encode_id(LOCAL_PREFIX))}")
        return {"_id": {"$regex": f"^{OTHER_NODE_PREFIX}", "$not": own}}

    @property
    def in_own_aggregates(self) -> Filter:
        """The pools, or leases, in aggregates that this node may know: its own; of whoever opens
        the store as no node, all of them."""
        if self.node == NO_NODE:
            return {"_id": {"$regex": f"^{OTHER_NODE_PREFIX}"}}
        return ids_of_node(self.node)

    # Ids and names

    def encode_id(self, known_id: str) -> str:
        """The id of a pool or of a subnet as it is stored."""
        return qualify_pool_id(known_id, self.node)

    def decode_id(self, stored_id: str) -> str:
        """The id of a pool or of a subnet as this node writes it."""
        return unqualify_pool_id(stored_id, self.node)

    def encode_lease_key(self, key: LeaseKey) -> str:
        """The `_id` of a lease."""
        return make_lease_id(self.encode_id(key.subnet), key.address)

    def decode_lease_key(self, stored_id: str) -> LeaseKey:
        """The key of the lease with this `_id`."""
        subnet_id, address = parse_lease_id(stored_id)
        return LeaseKey(self.decode_id(subnet_id), address)

    def encode_aggregate_id(self, known_id: str) -> str:
        """The `_id` of an aggregate."""
        return _AGGREGATE_PREFIX + self.encode_id(known_id).removeprefix(OTHER_NODE_PREFIX)

    def decode_aggregate_id(self, stored_id: str) -> str:
        """The id of an aggregate as this node writes it."""
        return self.decode_id(OTHER_NODE_PREFIX + stored_id.removeprefix(_AGGREGATE_PREFIX))

    def encode_driver_key(self, key: DriverKey) -> str:
        """The `_id` of a driver name."""
        return with_node(*self._split_driver(key.name))

    def is_own_driver(self, driver: str) -> bool:
        """Whether a driver name is one of this node."""
        return self._split_driver(driver)[1] == self.node

    def _split_driver(self, driver: str) -> tuple[str, str]:
        """A driver name without its node, and the node."""
        name, node = split_node(driver)
        return name, node or self.node

    def _decode_driver_name(self, name: str, node: str) -> str:
        return intern(name if node == self.node else with_node(name, node))

    # Records

    def encode_lease(self, record: LeaseRecord) -> StoredDocument:
        """The document of a lease."""
        document = self.encode_lease_in_aggregate(record)
        if is_global(record.pool):
            document["exclusive"] = GLOBAL_PREFIX + record.address
        elif record.kind == "container" and record.released is None:
            document["exclusive"] = LOCAL_PREFIX + record.address
        return document

    def encode_lease_in_aggregate(self, record: LeaseRecord) -> StoredDocument:
        """The document of a lease in an aggregate."""
        pool_id = self.encode_id(record.pool)
        driver, node = self._split_driver(record.driver)
        document = {
            "_id": make_lease_id(subnet_id_of(pool_id), record.address),
            "pool": pool_id,
            "kind": record.kind,
            "driver": driver,
            "node": node,
            "epoch": record.epoch,
            "granted": record.granted,
            "released": record.released,
        }
        if record.named:
            document["named"] = True
        if record.sharers:
            document["sharers"] = [self._encode_sharer(sharer) for sharer in record.sharers]
        return document

    def decode_lease(self, document: StoredDocument) -> LeaseRecord:
        """The lease in a document."""
        return LeaseRecord(
            # Interned: many leases name few pools.
            intern(self.decode_id(document["pool"])),
            parse_lease_id(document["_id"])[1],
            LEASE_KINDS[document["kind"]],
            self._decode_driver_name(document["driver"], document["node"]),
            document["epoch"],
            document["granted"],
            document["released"],
            document.get("named", False),
            sharers=tuple(map(self._decode_sharer, document.get("sharers", ()))),
        )

    def _encode_sharer(self, sharer: Sharer) -> StoredDocument:
        driver, node = self._split_driver(sharer.driver)
        pool = self.encode_id(sharer.pool)
        return {"pool": pool, "driver": driver, "node": node, "epoch": sharer.epoch}

    def _decode_sharer(self, document: StoredDocument) -> Sharer:
        driver = self._decode_driver_name(document["driver"], document["node"])
        return Sharer(self.decode_id(document["pool"]), driver, document["epoch"])

    def encode_pool(self, record: PoolRecord) -> StoredDocument:
        """The document of a pool."""
        document = {
            "_id": self.encode_id(record.id),
            "scope": record.scope,
            "label": record.label,
            "tags": record.tags,
            "claims": self._encode_claims(record.claims),
            "created": record.created,
            "released": record.released,
        }
        if record.shared:
            document["shared"] = True
        if record.aggregate:
            document["aggregate"] = record.aggregate
        if record.follows_swarm:
            document["follows_swarm"] = True
        return document

    def _encode_claims(self, claims: tuple[Claim, ...]) -> list[StoredDocument]:
        """The claims of a pool, as in its document."""
        return [
            {"driver": driver, "node": node, "epoch": claim.epoch, "references": claim.references}
            for claim in claims
            for driver, node in [self._split_driver(claim.driver)]
        ]

    def decode_pool(self, document: StoredDocument) -> PoolRecord:
        """The pool in a document."""
        return PoolRecord(
            intern(self.decode_id(document["_id"])),
            document["scope"],
            document["label"],
            document["tags"],
            tuple(self._decode_claim(claim) for claim in document["claims"]),
            document["created"],
            document["released"],
            document.get("shared", False),
            # Interned: many pools name few aggregates.
            intern(document.get("aggregate", "")),
            document.get("follows_swarm", False),
        )

    def _decode_claim(self, document: StoredDocument) -> Claim:
        driver = self._decode_driver_name(document["driver"], document["node"])
        return Claim(driver, document["epoch"], document["references"])

    def encode_driver(self, record: DriverRecord) -> StoredDocument:
        """The document of a driver name."""
        driver, node = self._split_driver(record.name)
        document: StoredDocument = {
            "_id": self.encode_driver_key(record.key),
            "driver": driver,
            "node": node,
            "engine": record.engine,
            "local_epoch": record.local_epoch,
            "global_epoch": record.global_epoch,
        }
        if record.runs:
            document["runs"] = [list(run) for run in record.runs]
        return document

    def decode_driver(self, document: StoredDocument) -> DriverRecord:
        """The driver name in a document."""
        return DriverRecord(
            self._decode_driver_name(document["driver"], document["node"]),
            document["engine"],
            document["local_epoch"],
            document["global_epoch"],
            tuple(Run(*run) for run in document.get("runs", ())),
        )

    def encode_aggregate(self, record: AggregateRecord) -> StoredDocument:
        """The document of an aggregate, without the process that serves its node."""
        document: StoredDocument = {
            "_id": self.encode_aggregate_id(record.id),
            "scope": record.scope,
            "since": record.since,
            "released": record.released,
        }
        if record.forgotten:
            document["forgotten"] = True
        return document

    def decode_aggregate(self, document: StoredDocument) -> AggregateRecord:
        """The aggregate in a document."""
        return AggregateRecord(
            self.decode_aggregate_id(document["_id"]),
            document["scope"],
            document["since"],
            document["released"],
            document.get("forgotten", False),
        )
