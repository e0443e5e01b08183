"""The blocks that nodes have claimed for themselves, and what operators said of nodes.

A node draws its pools in scopes with `node_prefix` from its own aggregates. It knows the aggregates
of all nodes that share the plan, and no pool in those of others. See "Aggregates" in
docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block
from pyipam.space.held_blocks import HeldBlocks
from pyipam.store.pool_id import (
    is_local,
    make_subnet_id,
    parse_subnet_id,
    space_of,
    split_node,
    subnet_of,
)
from pyipam.store.records import AggregateRecord

# For how long an aggregate rests at least: by then, whoever announces it has withdrawn it, and a
# node that does not know that it was forgotten has given out its last address (see "Sharing one
# plan between nodes" in docs/architecture.md).
AGGREGATE_REST_SECONDS = 300.0


def block_of_aggregate(record: AggregateRecord) -> Block:
    """The block of an aggregate."""
    return _block_of(record.id)


@lru_cache(maxsize=1 << 17)
def _block_of(aggregate_id: str) -> Block:
    return parse_subnet_id(aggregate_id)[1]


def cidr_of(record: AggregateRecord) -> str:
    """The block of an aggregate as a CIDR: `10.1.16.0/20`."""
    return subnet_of(record.id)


def node_of(record: AggregateRecord) -> str:
    """The node that has another node's aggregate; empty for one of this node."""
    return split_node(space_of(record.id))[1]


def id_of_own(block: Block) -> str:
    """The id that an aggregate of this node has."""
    return make_subnet_id("local", str(block))


def can_be_claimed(tree: ScopeTree, block: Block) -> bool:
    """Whether a node with these scopes in force could have a block as an aggregate."""
    scope = tree.containing(block)
    return (
        scope is not None
        and scope.node_prefix is not None
        and scope.child_prefix is not None
        and block.length < scope.child_prefix
        and tree.overlapped_by(block) == [scope]
    )


class _Places:
    """The ids of aggregates by their blocks, which may overlap. Two nodes have one block only while
    one of them has not learned that it lost it."""

    def __init__(self) -> None:
        # By IP version and prefix length: the ids by first address.
        self._ids: dict[tuple[int, int], dict[int, list[str]]] = {}
        self._blocks = {4: HeldBlocks(32), 6: HeldBlocks(128)}

    def add(self, aggregate_id: str) -> None:
        """Add an id that is not there yet."""
        version, start, length = _block_of(aggregate_id)
        ids = self._ids.setdefault((version, length), {})
        ids.setdefault(start, []).append(aggregate_id)
        self._blocks[version].hold(start, length)

    def remove(self, aggregate_id: str) -> None:
        """Undo `add`."""
        version, start, length = _block_of(aggregate_id)
        ids = self._ids[version, length]
        ids[start].remove(aggregate_id)
        if not ids[start]:
            del ids[start]
        if not ids:
            del self._ids[version, length]
        self._blocks[version].release(start, length)

    def around(self, block: Block) -> Iterator[str]:
        """The aggregates that contain a block."""
        for (version, length), ids in self._ids.items():
            if version == block.version and length <= block.length:
                shift = block.width - length
                yield from ids.get(block.start >> shift << shift, ())

    def inside(self, block: Block) -> Iterator[str]:
        """The aggregates that lie in a block, in the order of their first addresses."""
        for start, length, _ in self._blocks[block.version].inside(block.start, block.length):
            yield from self._ids[block.version, length][start]


class Aggregates:
    """Every aggregate that is known, active or at rest. Needs the lock of the state."""

    def __init__(self) -> None:
        self._records: dict[str, AggregateRecord] = {}
        self._places = _Places()
        self._own: dict[str, AggregateRecord] = {}
        self._own_places = _Places()
        # Those of other nodes that rest because their node was forgotten.
        self._forgotten: dict[str, AggregateRecord] = {}
        self._forgotten_places = _Places()
        # The ids of those of this node in use in which there may be no pool.
        self._may_be_empty: set[str] = set()
        # The ids of those of this node whose scope has no node_prefix any more: they are released
        # as soon as no pool is held in them. In some of them, none may be by now.
        self._ending: frozenset[str] = frozenset()
        self._may_end: set[str] = set()
        # Grows with each aggregate that comes, goes or changes.
        self.version = 0

    def __bool__(self) -> bool:
        return bool(self._records)

    def __iter__(self) -> Iterator[AggregateRecord]:
        return iter(self._records.values())

    def own(self) -> Iterable[AggregateRecord]:
        """The aggregates of this node, in the order in which they came; also those at rest."""
        return self._own.values()

    def elsewhere(self) -> Iterator[AggregateRecord]:
        """The aggregates of other nodes; also those at rest."""
        return (record for record in self._records.values() if record.id not in self._own)

    def forgotten(self) -> Iterable[AggregateRecord]:
        """The aggregates of other nodes that rest because those were forgotten."""
        return self._forgotten.values()

    def forgotten_in(self, block: Block) -> Iterator[AggregateRecord]:
        """Those of them that lie in a block, in the order of their addresses."""
        return (self._forgotten[key] for key in self._forgotten_places.inside(block))

    def find(self, aggregate_id: str) -> AggregateRecord | None:
        """The aggregate of an id, or None."""
        return self._records.get(aggregate_id)

    def around(self, block: Block) -> AggregateRecord | None:
        """The aggregate that contains the whole block, or None; rather one of this node."""
        found = [self._records[key] for key in self._places.around(block)]
        return min(found, key=lambda record: not is_local(record.id), default=None)

    def own_around(self, block: Block) -> AggregateRecord | None:
        """The aggregate of this node, active or at rest, that contains the whole block; or None."""
        own = (self._own[key] for key in self._own_places.around(block))
        return next(own, None)

    def active_around(self, block: Block) -> AggregateRecord | None:
        """The aggregate of this node, not at rest, that contains the whole block; or None."""
        found = self.own_around(block)
        return None if found is None or found.released is not None else found

    def own_in(self, block: Block) -> Iterator[AggregateRecord]:
        """The aggregates of this node that lie in a block, in the order of their addresses."""
        return (self._own[key] for key in self._own_places.inside(block))

    def all_in(self, block: Block) -> Iterator[AggregateRecord]:
        """The aggregates of all nodes that lie in a block, in the order of their addresses."""
        return (self._records[key] for key in self._places.inside(block))

    def may_be_empty(self) -> list[AggregateRecord]:
        """The aggregates of this node in use in which no pool may be held; in all others one is."""
        return [self._own[key] for key in self._may_be_empty]

    def has_pool(self, aggregate: AggregateRecord) -> None:
        """Note that a pool is held in an aggregate of this node."""
        self._may_be_empty.discard(aggregate.id)

    def pool_ended(self, block: Block) -> None:
        """Note that a pool is held no longer, or has rested."""
        aggregate = self.own_around(block)
        if aggregate is not None:
            if aggregate.released is None:
                self._may_be_empty.add(aggregate.id)
            if aggregate.id in self._ending:
                self._may_end.add(aggregate.id)

    def let_end(self, ids: Iterable[str]) -> None:
        """Let these aggregates of this node, and no others, be released once no pool is held in
        them."""
        self._ending = frozenset(ids)
        self._may_end = set(self._ending)

    def may_end(self) -> list[AggregateRecord]:
        """Those of them in which no pool may be held; in all others in use, one is."""
        return [self._own[key] for key in self._may_end]

    def cannot_end(self, aggregate: AggregateRecord) -> None:
        """Note that a pool is held in one of them, or that it rests."""
        self._may_end.discard(aggregate.id)

    def overlapping(self, block: Block) -> list[AggregateRecord]:
        """Every aggregate that has an address in common with a block: those around it first, then
        those inside it in the order of their addresses."""
        ids = dict.fromkeys(chain(self._places.around(block), self._places.inside(block)))
        return [self._records[key] for key in ids]

    def put(self, record: AggregateRecord) -> AggregateRecord | None:
        """Put an aggregate in the place of the one with the same id; returns that one."""
        self.version += 1
        before = self._records.get(record.id)
        self._records[record.id] = record
        if is_local(record.id):
            self._own[record.id] = record
            if record.released is not None:
                self._may_be_empty.discard(record.id)
            else:
                self._may_be_empty.add(record.id)
                if record.id in self._ending:
                    self._may_end.add(record.id)
        elif record.forgotten:
            self._put_forgotten(record)
        else:
            self._drop_forgotten(record.id)
        if before is None:
            self._places.add(record.id)
            if is_local(record.id):
                self._own_places.add(record.id)
        return before

    def delete(self, aggregate_id: str) -> AggregateRecord | None:
        """Delete an aggregate, and return it."""
        before = self._records.pop(aggregate_id, None)
        if before is None:
            return None
        self.version += 1
        self._drop_forgotten(aggregate_id)
        if self._own.pop(aggregate_id, None) is not None:
            self._own_places.remove(aggregate_id)
            self._may_be_empty.discard(aggregate_id)
            self._may_end.discard(aggregate_id)
        self._places.remove(aggregate_id)
        return before

    def _put_forgotten(self, record: AggregateRecord) -> None:
        if record.id not in self._forgotten:
            self._forgotten_places.add(record.id)
        self._forgotten[record.id] = record

    def _drop_forgotten(self, aggregate_id: str) -> None:
        if self._forgotten.pop(aggregate_id, None) is not None:
            self._forgotten_places.remove(aggregate_id)
