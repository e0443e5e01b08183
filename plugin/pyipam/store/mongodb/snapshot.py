"""What is in the database at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bson.timestamp import Timestamp
from pymongo.client_session import ClientSession
from pymongo.database import Database

from pyipam.errors import StateCorrupted
from pyipam.store.mongodb.documents import Filter, RecordCodec, StoredDocument
from pyipam.store.mongodb.versions import POOL_IDS, Versions, read_newest_versions
from pyipam.store.records import DriverRecord, LeaseRecord, PoolRecord

AnyRecord = TypeVar("AnyRecord", PoolRecord, LeaseRecord, DriverRecord)


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


def read_snapshot(
    database: Database[StoredDocument],
    session: ClientSession,
    codec: RecordCodec,
    leases: Filter,
    not_before: Timestamp,
) -> Snapshot:
    """Every pool and driver name, and the leases that the filter selects, without those whose pool
    has ended. The session is one that reads a snapshot.

    Raises StateCorrupted if a document cannot be read, or PyMongoError.
    """

    def read(
        collection: str, selected: Filter, decode: Callable[[StoredDocument], AnyRecord]
    ) -> list[AnyRecord]:
        found = database[collection].find(selected, session=session)
        return [_decoded(document, collection, database.name, decode) for document in found]

    pools = read("pools", {"_id": POOL_IDS}, codec.decode_pool)
    pool_ids = {pool.id for pool in pools}
    return Snapshot(
        not_before,
        read_newest_versions(database, session),
        pools,
        [lease for lease in read("leases", leases, codec.decode_lease) if lease.pool in pool_ids],
        read("drivers", {}, codec.decode_driver),
    )


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
