"""What is in the database at one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from bson.timestamp import Timestamp
from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.errors import StateCorrupted
from pyipam.store.mongodb.documents import (
    AGGREGATES,
    NOTHING,
    Filter,
    RecordCodec,
    StoredDocument,
)
from pyipam.store.mongodb.marks import NumberedMark, decode_numbered_mark
from pyipam.store.mongodb.versions import POOL_IDS, Versions, read_newest_versions
from pyipam.store.pool_id import OTHER_NODE_PREFIX, split_node
from pyipam.store.records import (
    AggregateRecord,
    DriverRecord,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Put,
)

AnyRecord = TypeVar(
    "AnyRecord", PoolRecord, LeaseRecord, DriverRecord, AggregateRecord, NumberedMark
)


class Wanted(NamedTuple):
    """What a snapshot is to have besides everything that all nodes know: which leases outside of
    aggregates, and which pools and leases in aggregates."""

    leases: Filter
    in_aggregates: Filter = NOTHING


@dataclass(frozen=True)
class Snapshot:
    """The database at one moment.

    `versions` are those of the pool set, by stripe. `not_before` is a time of the database that the
    moment is not before: whoever follows the changes since then misses none.
    """

    not_before: Timestamp
    versions: Versions
    pools: list[PoolRecord]
    leases: list[LeaseRecord]
    drivers: list[DriverRecord]
    aggregates: list[AggregateRecord] = field(default_factory=list)
    said: list[NumberedMark] = field(default_factory=list)

    @property
    def marks(self) -> list[NodeRecord]:
        """What is said of nodes, without what was taken back."""
        puts = (each.change for each in self.said if isinstance(each.change, Put))
        return [put.record for put in puts if isinstance(put.record, NodeRecord)]


def read_snapshot(
    database: Database[StoredDocument],
    session: ClientSession,
    codec: RecordCodec,
    wanted: Wanted,
    not_before: Timestamp,
) -> Snapshot:
    """Every aggregate, driver name and pool outside of aggregates, and what is wanted besides,
    without leases whose pool has ended. The session is one that reads a snapshot.

    Raises StateCorrupted if a document cannot be read, or PyMongoError.
    """

    def read(
        collection: str, selected: Filter, decode: Callable[[StoredDocument], AnyRecord]
    ) -> list[AnyRecord]:
        found = database[collection].find(selected, session=session)
        return [_decoded(document, collection, database.name, decode) for document in found]

    pools = read("pools", {"_id": POOL_IDS}, codec.decode_pool)
    leases = read("leases", wanted.leases, codec.decode_lease)
    if wanted.in_aggregates is not NOTHING:
        pools += read("aggregates", wanted.in_aggregates, codec.decode_pool)
        leases += read("aggregate_leases", wanted.in_aggregates, codec.decode_lease)
    pool_ids = {pool.id for pool in pools}
    return Snapshot(
        not_before,
        read_newest_versions(database, session),
        pools,
        [lease for lease in leases if lease.pool in pool_ids],
        read("drivers", {}, codec.decode_driver),
        read("aggregates", AGGREGATES, codec.decode_aggregate),
        read("marks", {}, decode_numbered_mark),
    )


def pools_in_aggregates(database: Database[StoredDocument]) -> Mapping[str, int]:
    """How many pools each node has in its aggregates. Raises PyMongoError."""
    # It reads the index alone. The space of a pool is what its id begins with, up to the slash.
    stages: list[StoredDocument] = [
        {"$match": {"_id": {"$regex": f"^{OTHER_NODE_PREFIX}"}}},
        {"$project": {"_id": {"$arrayElemAt": [{"$split": ["$_id", "/"]}, 0]}}},
        {"$group": {"_id": "$_id", "pools": {"$sum": 1}}},
    ]
    found = database.aggregates.aggregate(stages)
    return {split_node(each["_id"])[1]: int(each["pools"]) for each in found}


def _decoded(
    document: StoredDocument,
    collection: str,
    database_name: str,
    decode: Callable[[StoredDocument], AnyRecord],
) -> AnyRecord:
    try:
        return decode(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateCorrupted(
            f"the store is corrupted: document {document['_id']!r} of {collection} in the "
            f"database {database_name} cannot be read ({error!r}). Nothing is given out from it. "
            "Restore the database from a backup; see docs/operations.md"
        ) from error
