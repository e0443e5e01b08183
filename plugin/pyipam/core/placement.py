"""Which blocks are free in every scope, and which are held in each address space.

An automatic block must not overlap any known pool, in either address space. An explicit subnet
conflicts only with pools of its own address space. So what is held is entered twice: in the scopes
that it is in, and in its address space as a whole. Routes of the host are entered in the scopes
alone: they keep automatic blocks away, and nothing else. See "Carving blocks" in
docs/architecture.md.

The aggregates of nodes are taken out of their scopes as pools are. Those of this node have a free
space of their own: what is held inside one is entered there, and not in the scope around it. A
scope that lies inside an aggregate has a free space as well, which the aggregate's leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Literal

from pyipam.core.own_space import OwnSpace
from pyipam.core.reserved import is_unusable_in_parts, unusable_ranges
from pyipam.host.route import Route, RouteChange
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block
from pyipam.space.buddy import BuddyAllocator, ReservedBlocks
from pyipam.space.held_blocks import HeldBlocks

# The local spaces of other nodes count as one, in which blocks may overlap; so do the aggregates
# that they have.
Space = AddressSpace | Literal["elsewhere", "aggregates"]
SpaceKey = tuple[Space, int]


def _free_space_of(scope: Scope) -> BuddyAllocator:
    own = scope.block
    allocator = BuddyAllocator(
        own.start, own.length, own.width, unusable_ranges(scope, scope.child_prefix)
    )
    for child in scope.children:
        allocator.hold(child.block.start, child.block.length)
    return allocator


def _is_in_scope_inside(block: Block, aggregate: Block, scopes: Iterable[Scope]) -> bool:
    """Whether one of the scopes contains a block, and lies itself inside an aggregate."""
    return any(
        block.is_inside(scope.block) and scope.block.length > aggregate.length for scope in scopes
    )


class Placement:
    """The free blocks of every scope of a tree, and the held blocks of each address space. Needs
    the lock of the state.

    What is held is entered when the next question comes, or by `look_ahead`: what was asked is
    answered first.
    """

    def __init__(
        self,
        tree: ScopeTree,
        held: Iterable[tuple[Space, Block]] = (),
        routes: Mapping[Route, int] | None = None,
        aggregates: Iterable[Block] = (),
    ) -> None:
        """`held` are blocks by address space, `routes` how many times the host has each, and
        `aggregates` those of this node."""
        self.tree = tree
        self._scopes = {scope: _free_space_of(scope) for scope in tree if scope.can_be_drawn_from}
        self._reserved: dict[tuple[Scope, int], ReservedBlocks | None] = {}
        self._spaces: dict[SpaceKey, HeldBlocks] = {}
        # What `lowest` has found since the free space last changed, and what it looked for last.
        self._lowest: dict[tuple[Scope, int], Block | None] = {}
        self._asked: tuple[Scope, int] | None = None
        self._routed = {4: HeldBlocks(32), 6: HeldBlocks(128)}
        self.routes: Counter[Route] = Counter()
        self._not_entered: list[tuple[Space, Block]] = []
        self._own = OwnSpace()
        for block in aggregates:
            self.hold_own_aggregate(block)
        self._not_entered += held
        self._enter_held()
        for route, count in (routes or {}).items():
            self.take_route_change(RouteChange(route, count))

    def hold(self, space: Space, block: Block) -> None:
        """Take the block out of its address space and out of the scopes that it touches."""
        self._not_entered.append((space, block))

    def look_ahead(self) -> None:
        """Do now what the next question would have to: enter the blocks of `hold`, and find the
        next block of the kind that was asked for last."""
        self._enter_held()
        self._own.enter_changes()
        if self._asked is not None:
            self.lowest(*self._asked)
            self._asked = None

    def release(self, space: Space, block: Block) -> None:
        """Undo `hold`."""
        self._enter_held()
        self._space(space, block.version).release(block.start, block.length)
        self._return_to_scopes(block)

    def hold_own_aggregate(self, block: Block) -> None:
        """Take an aggregate of this node out of the scopes that it touches, and keep account of
        what is free in it."""
        moved = self._out_of_scopes(block)
        self._lowest.clear()
        for allocator in self._scopes_around(block):
            allocator.hold(block.start, block.length)
        scope = self.tree.containing(block)
        self._own.add(block, scope, self._free_space_in(block, scope))
        self._into_scopes(moved)

    def release_own_aggregate(self, block: Block) -> None:
        """Undo `hold_own_aggregate`. What is held inside is in the scopes then."""
        moved = self._out_of_scopes(block)
        self._own.remove(block)
        self._lowest.clear()
        for allocator in self._scopes_around(block):
            allocator.release(block.start, block.length)
        self._into_scopes(moved)

    def own_aggregate_around(self, scope: Scope) -> Block | None:
        """The aggregate of this node inside which a scope lies, being smaller; or None."""
        around = self._own.around(scope.block) if self._own else None
        return None if around is None or around == scope.block else around

    def rest_own_aggregate(self, block: Block) -> None:
        """Draw nothing from an aggregate of this node any more."""
        self._own.rest(block)

    def use_own_aggregate(self, block: Block) -> None:
        """Undo `rest_own_aggregate`."""
        self._own.use(block)

    def fullest_aggregates(self, scope: Scope, length: int) -> Iterator[Block]:
        """The aggregates of this node in a scope, in use and with a free block of this length,
        reserved or not: the fullest first."""
        self._enter_held()
        return self._own.fullest(scope, length)

    def aggregates_at_rest(self, scope: Scope) -> Iterator[Block]:
        """The aggregates of this node in a scope that rest, in order."""
        return self._own.at_rest(scope)

    def free_buddies(self, scope: Scope, length: int) -> Iterator[Block]:
        """The free blocks of a scope, of this length or larger, each of which makes up a larger
        block together with one that consists of aggregates of this node in use. The smallest come
        first, and of equal ones those beside the lowest aggregates."""
        self._enter_held()
        for of_length in range(length, scope.block.length, -1):
            free = self._scopes[scope].free_starts(of_length)
            half = 1 << (scope.block.width - of_length)
            found = self._own.buddies(scope, of_length) & free
            for start in sorted(found, key=lambda start: start ^ half):
                yield Block(scope.block.version, start, of_length)

    def lowest_in_aggregate(self, scope: Scope, aggregate: Block, length: int) -> Block | None:
        """The lowest free block of this length in an aggregate of this node, which lies in the
        scope; or None."""
        self._enter_held()
        start = self._own.free_in(aggregate).lowest(length, self._reserved_for(scope, length))
        return None if start is None else Block(aggregate.version, start, length)

    def count_free_in_aggregate(self, aggregate: Block, length: int) -> int:
        """How many blocks of this length are free in an aggregate of this node, including reserved
        ones."""
        self._enter_held()
        return self._own.free_in(aggregate).count_free(length)

    def free_blocks_in_aggregate(self, aggregate: Block, longest: int) -> dict[int, list[int]]:
        """What `free_blocks` says of a scope, of an aggregate of this node."""
        self._enter_held()
        return self._own.free_in(aggregate).free_blocks(longest)

    def held_inside(self, space: Space, block: Block) -> Iterator[Block]:
        """The blocks of an address space that are held inside a block, in order."""
        self._enter_held()
        for start, length, _ in self._space(space, block.version).inside(block.start, block.length):
            yield Block(block.version, start, length)

    def take_route_change(self, change: RouteChange) -> None:
        """Keep automatic blocks away from a route that came, or no longer from one that went."""
        # A network comes before the route to its bridge: equal blocks are counted, others that
        # overlap are more work.
        self._enter_held()
        route, times = change
        self.routes[route] += times
        if not self.routes[route]:
            del self.routes[route]
        start, length = route.block.start, route.block.length
        routed = self._routed[route.block.version]
        for _ in range(times):
            routed.hold(start, length)
            self._take_from_scopes(route.block)
        for _ in range(-times):
            routed.release(start, length)
            self._return_to_scopes(route.block)

    def is_on_route(self, block: Block) -> bool:
        """Whether a route of the host overlaps the block."""
        return not self._routed[block.version].is_free(block.start, block.length)

    def first_route_on(self, block: Block) -> Block | None:
        """The lowest of the routes of the host that overlap a block, and of several the largest; or
        None."""
        found = self._routed[block.version].first_over(block.start, block.length)
        return None if found is None else Block(block.version, *found)

    def routes_by_scope(self) -> dict[Scope, list[Route]]:
        """The routes of the host that keep automatic blocks out of a part of a scope's own space,
        in order. Visits every route."""
        found: dict[Scope, list[Route]] = {}
        for route in sorted(self.routes):
            for scope in self.scopes_under(route):
                found.setdefault(scope, []).append(route)
        return found

    def scopes_under(self, route: Route) -> list[Scope]:
        """The scopes that can be drawn from and that the route covers a part of; none if it leads
        to a network that holds its block."""
        self._enter_held()
        if self._leads_to_pool(route):
            return []
        return [scope for scope in self.tree.overlapped_by(route.block) if scope.can_be_drawn_from]

    def _leads_to_pool(self, route: Route) -> bool:
        """Whether a pool of this node holds all of the route, as its bridge has it."""
        version, start, length = route.block
        spaces: tuple[Space, ...] = ("local", "global")
        return any(self._space(space, version).has_container_of(start, length) for space in spaces)

    def is_free(self, space: Space, block: Block) -> bool:
        """Whether no pool of the address space overlaps the block."""
        self._enter_held()
        return self._space(space, block.version).is_free(block.start, block.length)

    def is_free_everywhere(self, block: Block) -> bool:
        """Whether no pool of any address space of any node overlaps the block."""
        self._enter_held()
        return all(
            held.is_free(block.start, block.length)
            for (_, version), held in self._spaces.items()
            if version == block.version
        )

    def lowest(self, scope: Scope, length: int) -> Block | None:
        """The lowest free block of this length in the scope's own space, or None."""
        self._enter_held()
        self._asked = asked = (scope, length)
        if asked not in self._lowest:
            self._lowest[asked] = self._find_lowest(scope, length)
        return self._lowest[asked]

    def lowest_from(self, scope: Scope, length: int, address: int) -> Block | None:
        """The same of the blocks that begin at an address or after it."""
        self._enter_held()
        reserved = self._reserved_for(scope, length)
        start = self._scopes[scope].lowest_from(address, length, reserved)
        return None if start is None else Block(scope.block.version, start, length)

    def unreserved_in(self, scope: Scope, block: Block, length: int) -> Block | None:
        """The lowest part of a block, of this length and in the scope's own space, that is not
        reserved; it need not be free. None if there is none."""
        reserved = self._reserved_for(scope, length)
        start = self._scopes[scope].unreserved_in(block.start, block.length, length, reserved)
        return None if start is None else Block(block.version, start, length)

    def free_blocks(self, scope: Scope, longest: int) -> dict[int, list[int]]:
        """The first addresses of what is free in the scope's own space, in no order, by the prefix
        lengths of the largest free blocks, up to this length."""
        self._enter_held()
        return self._scopes[scope].free_blocks(longest)

    def free_starts(self, scope: Scope, length: int) -> Set[int]:
        """The first addresses of the free blocks of this length in the scope's own space that are
        not part of larger ones, reserved or not. To be read at once."""
        self._enter_held()
        return self._scopes[scope].free_starts(length)

    def count_free(self, scope: Scope, length: int) -> int:
        """How many blocks of this length are free in the scope's own space."""
        self._enter_held()
        return self._scopes[scope].count_free(length)

    def _find_lowest(self, scope: Scope, length: int) -> Block | None:
        allocator = self._scopes[scope]
        start = allocator.lowest(length)
        if start is not None or not is_unusable_in_parts(scope, length):
            start = allocator.lowest(length, self._reserved_for(scope, length))
        return None if start is None else Block(scope.block.version, start, length)

    def _reserved_for(self, scope: Scope, length: int) -> ReservedBlocks | None:
        """What is unusable for blocks of this length, where that differs from what it is for those
        of `child_prefix`; or None."""
        if length == scope.child_prefix or not scope.reserved:
            return None
        key = (scope, length)
        if key not in self._reserved:
            ranges = unusable_ranges(scope, length)
            differs = ranges != unusable_ranges(scope, scope.child_prefix)
            self._reserved[key] = ReservedBlocks(ranges, scope.block.width) if differs else None
        return self._reserved[key]

    def _space(self, space: Space, version: int) -> HeldBlocks:
        found = self._spaces.get((space, version))
        if found is None:
            found = self._spaces[space, version] = HeldBlocks(32 if version == 4 else 128)
        return found

    def _enter_held(self) -> None:
        """Enter the blocks of `hold`."""
        if not self._not_entered:
            return
        for space, block in self._not_entered:
            self._space(space, block.version).hold(block.start, block.length)
            self._take_from_scopes(block)
        self._not_entered.clear()

    def _take_from_scopes(self, block: Block) -> None:
        self._lowest.clear()
        for allocator, part in self._touched(block):
            allocator.hold(part.start, part.length)

    def _return_to_scopes(self, block: Block) -> None:
        self._lowest.clear()
        for allocator, part in self._touched(block):
            allocator.release(part.start, part.length)

    def _touched(self, block: Block) -> Iterator[tuple[BuddyAllocator, Block]]:
        """The scopes whose own space the block touches, each with the part that it takes there;
        and so the aggregates of this node. Of an aggregate around the block, the scopes around it
        are not touched."""
        around = self._own.around(block) if self._own else None
        scopes = self.tree.overlapped_by(block)
        if around is not None:
            if not _is_in_scope_inside(block, around, scopes):
                yield self._own.change(around), block
        elif self._own:
            for inside in self._own.inside(block):
                yield self._own.change(inside), inside
        for scope in scopes:
            if around is not None and around.is_inside(scope.block):
                continue
            allocator = self._scopes.get(scope)
            if allocator is not None:
                yield allocator, block if block.length >= allocator.length else scope.block

    def _scopes_around(self, aggregate: Block) -> Iterator[BuddyAllocator]:
        """The own spaces of the scopes that contain an aggregate."""
        for scope in self.tree.overlapped_by(aggregate):
            if scope in self._scopes and aggregate.is_inside(scope.block):
                yield self._scopes[scope]

    def _free_space_in(self, aggregate: Block, scope: Scope | None) -> BuddyAllocator:
        """The free space of an aggregate in which nothing of what is inside it is held yet: all but
        the scopes below its own, and nothing if a larger block is held around it."""
        version, start, length = aggregate
        reserved = () if scope is None else unusable_ranges(scope, scope.child_prefix)
        allocator = BuddyAllocator(start, length, aggregate.width, reserved)
        for below in self.tree.overlapped_by(aggregate):
            if below is not scope and below.block.is_inside(aggregate):
                allocator.hold(below.block.start, below.block.length)
        held = (each for (_, of), each in self._spaces.items() if of == version)
        for blocks in (*held, self._routed[version]):
            for _ in range(blocks.around(start, length)):
                allocator.hold(start, length)
        return allocator

    def _out_of_scopes(self, aggregate: Block) -> list[tuple[Block, int]]:
        """Release what is held inside an aggregate in the scopes, or in the aggregate; returns it,
        with how many times it was held."""
        self._enter_held()
        version, start, length = aggregate
        held = (each for (_, of), each in self._spaces.items() if of == version)
        moved = [
            (Block(version, part, part_length), times)
            for blocks in (*held, self._routed[version])
            for part, part_length, times in blocks.inside(start, length)
        ]
        for block, times in moved:
            for _ in range(times):
                self._return_to_scopes(block)
        return moved

    def _into_scopes(self, moved: Iterable[tuple[Block, int]]) -> None:
        """Hold again what `_out_of_scopes` has released."""
        for block, times in moved:
            for _ in range(times):
                self._take_from_scopes(block)
