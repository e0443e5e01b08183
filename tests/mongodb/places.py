"""In which collection what a node holds is stored, read without a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pyipam.store.mongodb.documents import AGGREGATES, RecordCodec
from pyipam.store.mongodb.versions import POOL_IDS
from pyipam.store.records import AggregateRecord, LeaseRecord, PoolRecord, Record
from tests.mongodb.nodes import POOLS_IN_AGGREGATES, SharedPlan

# How often each record is stored in each collection.
Places = Counter[tuple[str, Record]]


def places(plan: SharedPlan, node: str = "nodea") -> Places:
    """Where pools, leases and aggregates are, as a node names them."""
    codec, database = RecordCodec(node), plan.majority
    found: Places = Counter()
    for collection, selected, decode in (
        ("pools", POOL_IDS, codec.decode_pool),
        ("aggregates", POOLS_IN_AGGREGATES["_id"], codec.decode_pool),
        ("aggregates", AGGREGATES["_id"], codec.decode_aggregate),
        ("leases", {"$exists": True}, codec.decode_lease),
        ("aggregate_leases", {"$exists": True}, codec.decode_lease),
    ):
        documents = database[collection].find({"_id": selected})
        found.update((collection, decode(document)) for document in documents)
    return found


def places_for(records: Iterable[Record]) -> Places:
    """Where these records have to be."""
    records = list(records)
    in_aggregates = {x.id for x in records if isinstance(x, PoolRecord) and x.aggregate}
    found: Places = Counter()
    for record in records:
        match record:
            case PoolRecord():
                found["aggregates" if record.aggregate else "pools", record] += 1
            case AggregateRecord():
                found["aggregates", record] += 1
            case LeaseRecord():
                inside = record.pool in in_aggregates
                found["aggregate_leases" if inside else "leases", record] += 1
    return found
