"""What is free in the aggregates of this node, and from which of them a block is drawn first.

The order in which they are drawn from is kept, so that nobody has to visit all of them. What has
changed in one is entered when the next question comes.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass

from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.space.buddy import BuddyAllocator
from pyipam.space.in_order import InOrder


@dataclass(slots=True)
class _Own:
    """An aggregate, the scope that it lies in, if any, and what is free in it. `room` is the length
    of the largest free block, and `rank` its number in the order of those with as much room; None
    where it is in no order."""

    block: Block
    scope: Scope | None
    free: BuddyAllocator
    is_at_rest: bool = False
    room: int = 0
    rank: int | None = None


class OwnSpace:
    """The aggregates of this node, each with what is free in it. They overlap each other nowhere.
    Needs the lock of the state."""

    def __init__(self) -> None:
        # By IP version and prefix length, and first address.
        self._own: dict[tuple[int, int], dict[int, _Own]] = {}
        # Their first addresses by IP version.
        self._starts = {4: InOrder(), 6: InOrder()}
        # In use, by scope and by the length of their largest free block, the fullest first.
        self._by_room: defaultdict[Scope, defaultdict[int, InOrder]] = defaultdict(_in_orders)
        # At rest, by scope.
        self._at_rest: defaultdict[Scope, InOrder] = defaultdict(InOrder)
        # The first addresses of the buddies of blocks that consist of those in use, by scope and
        # prefix length.
        self._buddies: defaultdict[Scope, defaultdict[int, set[int]]] = defaultdict(_sets)
        # What may have another place in the order by now.
        self._changed: dict[Block, _Own] = {}

    def __bool__(self) -> bool:
        return bool(self._own)

    def add(self, block: Block, scope: Scope | None, free: BuddyAllocator) -> None:
        """Add an aggregate that is in use."""
        own = _Own(block, scope, free)
        self._own.setdefault((block.version, block.length), {})[block.start] = own
        self._starts[block.version].add(block.start)
        self._use(own)

    def remove(self, block: Block) -> None:
        """Remove an aggregate."""
        places = self._own[block.version, block.length]
        own = places.pop(block.start)
        if not places:
            del self._own[block.version, block.length]
        self._starts[block.version].remove(block.start)
        self._leave(own)

    def rest(self, block: Block) -> None:
        """Draw nothing from an aggregate any more."""
        own = self._find(block)
        if not own.is_at_rest:
            self._leave(own)
            own.is_at_rest = True
            if own.scope is not None:
                self._at_rest[own.scope].add(block.start)

    def use(self, block: Block) -> None:
        """Undo `rest`."""
        own = self._find(block)
        if own.is_at_rest:
            self._leave(own)
            own.is_at_rest = False
            self._use(own)

    def around(self, block: Block) -> Block | None:
        """The aggregate that contains the whole block, or None."""
        for (version, length), places in self._own.items():
            if version == block.version and length <= block.length:
                shift = block.width - length
                own = places.get(block.start >> shift << shift)
                if own is not None:
                    return own.block
        return None

    def inside(self, block: Block) -> Iterator[Block]:
        """The aggregates inside a block, the block itself included, in order."""
        starts = self._starts[block.version]
        found = starts.first_from(block.start)
        while found is not None and found <= block.last:
            own = self._at(block.version, found)
            if own.block.length >= block.length:
                yield own.block
            found = starts.first_from(found + 1)

    def free_in(self, aggregate: Block) -> BuddyAllocator:
        """What is free in an aggregate, to be read."""
        return self._find(aggregate).free

    def change(self, aggregate: Block) -> BuddyAllocator:
        """What is free in an aggregate, to be changed."""
        own = self._find(aggregate)
        if not own.is_at_rest:
            self._changed[aggregate] = own
        return own.free

    def fullest(self, scope: Scope, length: int) -> Iterator[Block]:
        """The aggregates in use of a scope that have a free block of this length, reserved or not:
        those with the fewest free addresses first, and of equal ones the lowest."""
        self.enter_changes()
        orders: dict[int, InOrder] = self._by_room.get(scope, {})
        ranks = [_numbers(order) for room, order in orders.items() if room <= length]
        mask = (1 << scope.block.width) - 1
        for rank in heapq.merge(*ranks):
            own = self._at(scope.block.version, rank & mask)
            if own.block.length < length:
                yield own.block

    def enter_changes(self) -> None:
        """Do now what the next `fullest` would have to."""
        for own in self._changed.values():
            if own.scope is None:
                continue
            room, rank = own.free.largest(), None
            if room is not None:
                rank = own.free.count_free(own.block.width) << own.block.width | own.block.start
            if own.rank is not None:
                self._by_room[own.scope][own.room].remove(own.rank)
            own.room, own.rank = room or 0, rank
            if rank is not None:
                self._by_room[own.scope][own.room].add(rank)
        self._changed.clear()

    def at_rest(self, scope: Scope) -> Iterator[Block]:
        """The aggregates of a scope that rest, in order."""
        if scope in self._at_rest:
            for start in _numbers(self._at_rest[scope]):
                yield self._at(scope.block.version, start).block

    def buddies(self, scope: Scope, length: int) -> Set[int]:
        """The first addresses of the buddies, whoever has them, of the blocks of this length that
        are as a whole aggregates in use of a scope: one of them, or several beside each other."""
        return self._buddies[scope][length] if scope in self._buddies else set()

    def _find(self, block: Block) -> _Own:
        return self._own[block.version, block.length][block.start]

    def _at(self, version: int, start: int) -> _Own:
        """The aggregate that begins at an address."""
        return next(
            places[start]
            for (of, _), places in self._own.items()
            if of == version and start in places
        )

    def _use(self, own: _Own) -> None:
        self._changed[own.block] = own
        if own.scope is not None:
            self._join(own.scope, own.block)

    def _leave(self, own: _Own) -> None:
        """Take an aggregate out of every order."""
        self._changed.pop(own.block, None)
        if own.scope is None:
            return
        if own.is_at_rest:
            self._at_rest[own.scope].remove(own.block.start)
        else:
            self._part(own.scope, own.block)
        if own.rank is not None:
            self._by_room[own.scope][own.room].remove(own.rank)
            own.rank = None

    def _join(self, scope: Scope, block: Block) -> None:
        """Note that a block is in use, and the larger ones that are so as a whole with it."""
        buddies = self._buddies[scope]
        while True:
            buddies[block.length].add(_buddy_of(block))
            # Of two buddies, each has the first address of the other one there.
            if block.start not in buddies[block.length]:
                return
            block = _around(block)

    def _part(self, scope: Scope, block: Block) -> None:
        """Undo `_join`."""
        buddies = self._buddies[scope]
        while _buddy_of(block) in buddies[block.length]:
            buddies[block.length].remove(_buddy_of(block))
            block = _around(block)


def _in_orders() -> defaultdict[int, InOrder]:
    return defaultdict(InOrder)


def _sets() -> defaultdict[int, set[int]]:
    return defaultdict(set)


def _buddy_of(block: Block) -> int:
    return block.start ^ (1 << (block.width - block.length))


def _around(block: Block) -> Block:
    """The block that consists of a block and its buddy."""
    return block.widened_to(block.length - 1)


def _numbers(order: InOrder) -> Iterator[int]:
    found = order.first_from(0)
    while found is not None:
        yield found
        found = order.first_from(found + 1)
