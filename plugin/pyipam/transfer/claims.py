"""What nodes have claimed, in an import into a store that they share: two have no block in common,
and nobody else has a network in one."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from pyipam.errors import TransferRefused, listed
from pyipam.space.block import find_overlaps
from pyipam.store.pool_id import (
    is_global,
    parse_subnet_id,
    space_of,
    split_node,
    subnet_id_of,
    subnet_of,
)
from pyipam.store.records import AggregateRecord, PoolRecord, Record
from pyipam.transfer.export_file import Export
from pyipam.transfer.owners import nodes_in

_MOST_LISTED = 3
_EMPTY_HERE = (
    "remove the networks in it here, release it (pyipam claims release), and export again when it "
    "has rested"
)


def check_claimed(export: Export, others: Iterable[Record]) -> None:
    """Raise TransferRefused if the others have claimed what the export has claimed."""
    theirs = list(_aggregates_in(others))
    claimed = [*theirs, *_aggregates_in(export.records)]
    pairs = find_overlaps((parse_subnet_id(each.id)[1], each) for each in claimed)
    found = [other if other in theirs else record for other, record in pairs]
    if found:
        ways = [*_ways_out(found, export), _EMPTY_HERE]
        raise TransferRefused(
            "two nodes of a shared plan cannot have claimed the same block, and other nodes have "
            f"claimed {_listed(found)}: {', or '.join(ways)}"
        )


def check_beside_claims(export: Export, others: Sequence[Record]) -> None:
    """Raise TransferRefused if the others have claimed a block over a pool of the export, or the
    other way round: which addresses are in use in such a block, its node alone knows."""
    swarm = {subnet_of(x.id) for x in _pools_in((*export.records, *others)) if is_global(x.id)}
    for claimers, holders in ((others, export.records), (export.records, others)):
        pools = [pool for pool in _pools_in(holders) if _is_beside_claims(pool, swarm)]
        beside: list[AggregateRecord | PoolRecord] = [*_aggregates_in(claimers), *pools]
        pairs = find_overlaps((parse_subnet_id(subnet_id_of(each.id))[1], each) for each in beside)
        found = [(one, other) for one, other in pairs if type(one) is not type(other)]
        if found:
            claimed = list(_aggregates_in(record for pair in found for record in pair))
            ways = _ways_out(claimed, export) if claimers is others else [_EMPTY_HERE]
            overlaps = listed([f"{one.id} and {other.id}" for one, other in found], _MOST_LISTED)
            raise TransferRefused(
                "a node of a shared plan cannot have a network in a block that another one has "
                f"claimed, and these overlap: {overlaps}. Create the network again with another "
                f"subnet, and export again, or {', or '.join(ways)}"
            )


def _ways_out(theirs: Iterable[AggregateRecord], export: Export) -> list[str]:
    """What helps against the claims of other nodes that are in the way of an export."""
    forgotten = [each for each in theirs if each.forgotten]
    if forgotten:
        return _ways_out_of_forgotten(forgotten, export)
    resting = [each for each in theirs if each.released is not None]
    active = [each for each in theirs if each.released is None]
    release = f"release {_listed(active)} there (pyipam claims release)" if active else ""
    wait = f"wait for the rest of {_listed(resting)} to end (pyipam claims says when)"
    return [" and ".join(filter(None, (release, wait if resting else "")))]


def _ways_out_of_forgotten(theirs: Sequence[AggregateRecord], export: Export) -> list[str]:
    """The same of claims of nodes that were forgotten: nobody is left to release them, and they
    stay until a network of another node needs them."""
    node = split_node(space_of(theirs[0].id))[1]
    gone = f"as node {node} was forgotten, nobody can release {_listed(theirs)}: "
    take_in = (
        "leave the import out, and let pyipam reconcile take in the networks on their host when "
        "that block has rested (pyipam claims says when)"
    )
    if nodes_in(export):
        return [f"{gone}{take_in}"]
    undo = (
        f"if this host was that node, undo that (pyipam nodes forget --undo {node}) and import it "
        f"under its name (--node {node})"
    )
    return [f"{gone}{undo}", take_in]


def _listed(aggregates: Iterable[AggregateRecord]) -> str:
    return listed(list(dict.fromkeys(each.id for each in aggregates)), _MOST_LISTED)


def _pools_in(records: Iterable[Record]) -> Iterator[PoolRecord]:
    return (record for record in records if isinstance(record, PoolRecord))


def _is_beside_claims(pool: PoolRecord, swarm: Container[str]) -> bool:
    """Whether a pool was drawn from no aggregate, and is no node's part of a network of a swarm."""
    is_part = not is_global(pool.id) and subnet_of(pool.id) in swarm
    return not pool.aggregate and not is_part


def _aggregates_in(records: Iterable[Record]) -> Iterator[AggregateRecord]:
    return (record for record in records if isinstance(record, AggregateRecord))
