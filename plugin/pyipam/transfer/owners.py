"""Whose records they are: those of one host, or of each of the nodes that share a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter

from pyipam.store.pool_id import space_of, split_node, with_node, with_space
from pyipam.store.records import (
    AggregateRecord,
    Claim,
    DriverRecord,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Record,
    Sharer,
)
from pyipam.transfer.export_file import Export


def nodes_in(export: Export) -> set[str]:
    """The nodes that are named in an export; none if it is that of one host."""
    return {node for record in export.records for node in _nodes_named_by(record)} - {""}


def records_of_node(export: Export, node: str) -> Export:
    """What a host gets that was this node and shares its plan with nobody from now on.

    That is what the node has and the global space, with names that do not name the node. What
    other nodes claim in the global space counts as claimed by this one, before its first epoch:
    Docker will claim it again here when this host leads the swarm. It may be drained, but it is not
    forgotten: that keeps a node out of a plan that others share.
    """
    export = _under_new_name(export, node)
    records = (record for record in export.records if _goes_to(record, node))
    return replace(export, records=tuple(_without_node(record, node) for record in records))


def records_left_out(export: Export, node: str) -> dict[str, list[Record]]:
    """The records that `records_of_node` does not take, by the name of their node, sorted; without
    what was said of nodes."""
    found: dict[str, list[Record]] = {}
    for record in export.records:
        if not (isinstance(record, NodeRecord) or _goes_to(record, node)):
            found.setdefault(_node_of(record), []).append(record)
    return dict(sorted(found.items()))


def marks_left_out(export: Export, node: str) -> list[NodeRecord]:
    """What was said of nodes and `records_of_node` does not take, at least not all of it, by the
    names of the nodes."""
    marks = _marks_in(_under_new_name(export, node))
    found = (mark for mark in marks if mark.forgotten is not None or not _is_mark_of(mark, node))
    return sorted(found, key=attrgetter("name"))


def _marks_in(export: Export) -> list[NodeRecord]:
    return [record for record in export.records if isinstance(record, NodeRecord)]


def _under_new_name(export: Export, node: str) -> Export:
    """The export of one host, with the name that the host gets in what was said of it. Where that
    was said of several names, it is not known which one the host had."""
    marks = _marks_in(export)
    if not node or nodes_in(export) or len(marks) != 1 or marks[0].forgotten is not None:
        return export
    others = [record for record in export.records if not isinstance(record, NodeRecord)]
    return replace(export, records=(*others, marks[0]._replace(name=node)))


def _goes_to(record: Record, node: str) -> bool:
    """Whether a host that was this node takes the record; that of one host, if `node` is empty."""
    if isinstance(record, NodeRecord):
        return record.draining is not None and _is_mark_of(record, node)
    return _node_of(record) in ("", node)


def _is_mark_of(mark: NodeRecord, node: str) -> bool:
    """Whether a mark may be of the host that was this node, or of one whose name is not known."""
    return node in ("", mark.name)


def space_of_owner(record: Record) -> str:
    """The space that a record belongs to, with its node; for a driver name, its local space, and
    for what was said of a node, the local space of that node."""
    match record:
        case PoolRecord() | AggregateRecord():
            return space_of(record.id)
        case LeaseRecord():
            return space_of(record.pool)
        case DriverRecord():
            return with_node("local", split_node(record.name)[1])
        case NodeRecord():
            return with_node("local", record.name)


def _node_of(record: Record) -> str:
    """The node that has the record; empty for the global space and where no node is named."""
    return split_node(space_of_owner(record))[1]


def _nodes_named_by(record: Record) -> Iterator[str]:
    # A host that shares its plan with nobody may have been drained under its name.
    if not isinstance(record, NodeRecord):
        yield _node_of(record)
    match record:
        case PoolRecord():
            yield from (split_node(claim.driver)[1] for claim in record.claims)
        case LeaseRecord():
            yield split_node(record.driver)[1]


def _without_node(record: Record, node: str) -> Record:
    """The record as this node itself has it when it is alone."""
    match record:
        case PoolRecord():
            claims = _claims_without_node(record.claims, node)
            return record._replace(id=_plain_pool_id(record.id), claims=claims)
        case LeaseRecord():
            driver, owner = split_node(record.driver)
            epoch = record.epoch if owner in ("", node) else 0
            return record._replace(
                pool=_plain_pool_id(record.pool),
                driver=driver,
                epoch=epoch,
                sharers=tuple(_sharer_without_node(item, node) for item in record.sharers),
            )
        case DriverRecord():
            return record._replace(name=split_node(record.name)[0])
        case AggregateRecord():
            return record._replace(id=_plain_pool_id(record.id), forgotten=False)
        case NodeRecord():
            return record._replace(forgotten=None)


def _sharer_without_node(sharer: Sharer, node: str) -> Sharer:
    driver, owner = split_node(sharer.driver)
    epoch = sharer.epoch if owner in ("", node) else 0
    return Sharer(_plain_pool_id(sharer.pool), driver, epoch)


def _plain_pool_id(pool_id: str) -> str:
    return with_space(pool_id, split_node(space_of(pool_id))[0])


def _claims_without_node(claims: Iterable[Claim], node: str) -> tuple[Claim, ...]:
    """One claim for each driver name: the node's own, or else that of another node."""
    own: dict[str, Claim] = {}
    others: dict[str, Claim] = {}
    for claim in claims:
        driver, owner = split_node(claim.driver)
        if owner in ("", node):
            own[driver] = claim._replace(driver=driver)
        else:
            others[driver] = Claim(driver, 0, claim.references)
    return tuple((others | own).values())
