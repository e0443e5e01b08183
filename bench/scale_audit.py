"""What the database holds, against what the nodes were told, and against each other.

It reads the documents by itself, without the plugin's store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from pymongo.database import Database

from bench.scale_nodes import Networks, differences
from pyipam.space.block import Block
from pyipam.store.pool_id import parse_subnet_id, split_node, subnet_id_of

_AGGREGATE = "aggregate@"
_LOCAL = "local@"

Document = dict[str, Any]


def audit(
    database: Database[Document], told: Mapping[str, Networks], forgotten: Collection[str]
) -> list[str]:
    """Everything that is wrong, in words; empty if nothing is."""
    pools = [*database.pools.find({"_id": {"$type": "string"}})]
    pools += database.aggregates.find({"_id": {"$regex": f"^{_LOCAL}"}})
    leases = [*database.leases.find(), *database.aggregate_leases.find()]
    aggregates = [*database.aggregates.find({"_id": {"$regex": f"^{_AGGREGATE}"}})]
    return [
        *_overlaps("networks", [_block(pool["_id"]) for pool in pools]),
        *_overlaps("aggregates", [_block(_LOCAL + _after(each)) for each in aggregates]),
        *_outside(pools, aggregates),
        *_doubles(leases),
        *_differences(pools, leases, told, forgotten),
    ]


def _after(aggregate: Document) -> str:
    return str(aggregate["_id"]).removeprefix(_AGGREGATE)


def _block(stored_id: str) -> Block:
    return parse_subnet_id(subnet_id_of(stored_id))[1]


def _overlaps(what: str, blocks: Iterable[Block]) -> Iterator[str]:
    for first, second in pairwise(sorted(blocks)):
        if second.start <= first.last:
            yield f"two {what} overlap: {first} and {second}"


def _outside(pools: Iterable[Document], aggregates: Iterable[Document]) -> Iterator[str]:
    """Pools that are not in an aggregate of their node."""
    known = {_after(each) for each in aggregates if not each.get("forgotten")}
    for pool in pools:
        space = str(pool["_id"]).removeprefix(_LOCAL).split("/")[0]
        if f"{space}/{pool.get('aggregate')}" not in known:
            yield f"{pool['_id']} is not in an aggregate of its node"


def _doubles(leases: Iterable[Document]) -> Iterator[str]:
    addresses = Counter(str(lease["_id"]).rsplit("/", 1)[1] for lease in leases)
    for address, count in addresses.items():
        if count > 1:
            yield f"{address} was given out {count} times"


def _differences(
    pools: Iterable[Document],
    leases: Iterable[Document],
    told: Mapping[str, Networks],
    forgotten: Collection[str],
) -> Iterator[str]:
    held: dict[str, Networks] = {}
    for pool in pools:
        name, node = split_node(pool["_id"].split("/")[0])
        if pool["released"] is None:
            known = f"{name}/{pool['_id'].split('/', 1)[1]}"
            held.setdefault(node, {})[known] = set()
    for lease in leases:
        name, node = split_node(lease["pool"].split("/")[0])
        known = f"{name}/{lease['pool'].split('/', 1)[1]}"
        if known not in held.get(node, {}):
            yield f"{lease['_id']} is in no network"
        elif lease["released"] is None:
            held[node][known].add(lease["_id"].rsplit("/", 1)[1])
    for node in forgotten:
        if node in held:
            yield f"{node} was forgotten, and holds {len(held[node])} networks"
    for node, networks in told.items():
        yield from differences(node, networks, held.get(node, {}))
