"""Scopes, as the views show them: what they give, to whom, and how much of it is left."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from pyipam.core.drawing import would_be_drawn
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import InvalidRequest, NotHeld
from pyipam.plan.scope import Scope, seeded_children
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block, block_of, parse_subnet, text_of_range
from pyipam.views.census import Census, Censuses, ClaimedOfScope
from pyipam.views.drawable import (
    claimed_prefix,
    count_claimable,
    count_drawable,
    drawable,
    free_blocks,
)
from pyipam.views.order import (
    Page,
    Part,
    Pause,
    in_parts,
    no_such_page,
    of_one_schema,
    reading_scopes_of,
)

# Above this a scope counts as nearly full.
NEARLY_FULL_PERCENT = 80


@dataclass(frozen=True, slots=True)
class ScopeAggregatesView:
    """How many blocks of `node_prefix` in the own space of a scope are claimed: by this node
    (`own`) and by `others`; how many were given back, or are of nodes that were forgotten, and are
    `resting`; and how many are `free`, a string."""

    own: int
    others: int
    resting: int
    free: str


@dataclass(frozen=True, slots=True)
class ScopeView:
    """A scope of the schema in force, with its keys (docs/schema.md).

    `blocks` is how many blocks of `child_prefix` its own space has, `free` how many of them are
    free, `first_free` the one that is given next; `blocks` and `free` are strings, as an IPv6
    scope may have more than a JSON number holds exactly. `pools` counts the pools of all nodes
    that lie in it and in no scope below it. `reuse_delay` is in seconds. `first_free_by_length`
    are the first free blocks of the lengths up to `child_prefix`, the largest block first: one for
    each length at which another address comes first, which goes for the lengths after it, too.

    Where nodes claim blocks of a scope, what is free and comes first is what this node would get:
    in its own `aggregates`, or in one that it would claim.
    """

    network: str
    depth: int
    parent: str | None
    child_prefix: int | None
    tags: tuple[str, ...]
    lock_down: bool
    pre_seed_children: bool
    can_be_drawn_from: bool
    address_space: AddressSpace | None
    reuse_delay: float
    description: str
    reserved: tuple[str, ...]
    blocks: str
    free: str
    first_free: str | None
    pools: int
    first_free_by_length: tuple[str, ...] = ()
    node_prefix: int | None = None
    aggregates: ScopeAggregatesView | None = None


@dataclass(frozen=True, slots=True)
class ChildView:
    """A pre-seeded child of a scope."""

    subnet: str
    tags: tuple[str, ...]
    free: bool


@dataclass(frozen=True, slots=True)
class FreeBlockView:
    """A free block that is not part of a larger one, and how many blocks of the length that was
    asked for it holds, as a string."""

    subnet: str
    blocks: str


@dataclass(frozen=True, slots=True)
class ScopeFullness:
    """How many blocks of `child_prefix` the own space of a scope has, and how many are free; where
    nodes claim blocks of it, of those that this node has or could get, at least of one aggregate.
    """

    network: str
    blocks: int
    free: int


@dataclass(frozen=True, slots=True)
class FullScopeView:
    """A scope that is nearly full."""

    network: str
    used_percent: int


@of_one_schema
def list_scopes(
    ipam: Ipam, censuses: Censuses, part: Part, pause: Pause, tag: str = "", subnet: str = ""
) -> Page[ScopeView]:
    """A part of the scopes in the order of the schema, all, or those with a tag or of a subnet.
    Raises InvalidRequest."""
    tree = ipam.tree
    parents = tree.parents()
    begin = _read_position(part.after)
    block = _read_block(subnet) if subnet else None
    wanted = [
        scope
        for scope in tree
        if scope.position > begin
        and (not tag or tag in scope.tags)
        and (block is None or scope.block == block)
    ]
    shown = wanted[: part.limit]
    census = censuses.latest(pause)
    views = [view_of_scope(ipam, tree, scope, parents.get(scope), census, pause) for scope in shown]
    return Page(tuple(views), str(shown[-1].position) if len(wanted) > len(shown) else None)


def list_children(ipam: Ipam, subnet: str, part: Part, pause: Pause) -> Page[ChildView]:
    """A part of the pre-seeded children of a scope. Raises NotHeld or InvalidRequest."""
    scope = scope_of(ipam.tree, subnet)
    tags = tuple(sorted(scope.tags)) if scope.propagate_tags else ()
    after = _read_block(part.after).start if part.after else -1
    found: list[ChildView] = []
    for children in in_parts(seeded_children(scope)):
        pause()
        with ipam.reading() as state:
            for child in children:
                block = block_of(child)
                if block.start <= after:
                    continue
                if len(found) == part.limit:
                    return Page(tuple(found), found[-1].subnet)
                free = state.placement.is_free_everywhere(block)
                found.append(ChildView(str(child), tags, free))
    return Page(tuple(found))


@of_one_schema
def list_free_blocks(
    ipam: Ipam, subnet: str, length: int | None, part: Part, pause: Pause
) -> Page[FreeBlockView]:
    """A part of what is free in the own space of a scope: the largest blocks, in order, that hold
    one of this prefix length; `child_prefix` if it is None. Where nodes claim blocks, of what this
    node could claim or has. Raises NotHeld or InvalidRequest."""
    tree = ipam.tree
    scope = scope_of(tree, subnet)
    wanted = length or scope.child_prefix or scope.block.width
    if not scope.block.length <= wanted <= scope.block.width:
        raise InvalidRequest(
            f"prefix={wanted} is not a length in scope {scope}: choose one from "
            f"{scope.block.length} to {scope.block.width}"
        )
    after = _read_block(part.after).start if part.after else -1
    with reading_scopes_of(ipam, tree) as state:
        by_length = free_blocks(state, scope, wanted)
    lowest: list[tuple[int, int]] = []
    for free_length, starts in by_length.items():
        for some in in_parts(starts, 2000):
            candidates = ((start, free_length) for start in some if start > after)
            lowest = heapq.nsmallest(part.limit + 1, (*lowest, *candidates))
            pause()
    views = [
        FreeBlockView(str(Block(scope.block.version, start, free)), str(1 << (wanted - free)))
        for start, free in lowest[: part.limit]
    ]
    return Page(tuple(views), views[-1].subnet if len(lowest) > part.limit else None)


@of_one_schema
def fullness_of_scopes(ipam: Ipam, pause: Pause) -> list[ScopeFullness]:
    """How full each scope is that gives blocks, in the order of the schema."""
    found = []
    tree = ipam.tree
    for scope in tree:
        if scope.blocks and scope.child_prefix is not None:
            with reading_scopes_of(ipam, tree) as state:
                found.append(_fullness_of(state, scope, scope.child_prefix))
            pause()
    return found


def _fullness_of(state: State, scope: Scope, child_prefix: int) -> ScopeFullness:
    node_prefix = claimed_prefix(state, scope)
    if node_prefix is None:
        blocks = scope.blocks - _blocks_of_children(scope, child_prefix)
        return ScopeFullness(str(scope), blocks, count_drawable(state, scope, child_prefix))
    blocks, free = drawable(state, scope, node_prefix, child_prefix)
    # A node that can get nothing has a full scope, not one without blocks.
    return ScopeFullness(str(scope), blocks or 1 << (child_prefix - node_prefix), free)


def _blocks_of_children(scope: Scope, length: int) -> int:
    """How many blocks of this length the scopes below take out of the own space of a scope."""
    whole = sum(
        1 << (length - child.block.length)
        for child in scope.children
        if child.block.length <= length
    )
    shift = scope.block.width - length
    return whole + len(
        {child.block.start >> shift for child in scope.children if child.block.length > length}
    )


def nearly_full(scopes: Iterable[ScopeFullness]) -> list[FullScopeView]:
    """The scopes of whose blocks more than 80 % are taken. A scope of one block is none of them: it
    is there for one network, such as a LAN, and has no more to run out of."""
    found = []
    for scope in scopes:
        used = 100 * (scope.blocks - scope.free) // scope.blocks if scope.blocks > 1 else 0
        if used > NEARLY_FULL_PERCENT:
            found.append(FullScopeView(scope.network, used))
    return found


def view_of_scope(
    ipam: Ipam, tree: ScopeTree, scope: Scope, parent: Scope | None, census: Census, pause: Pause
) -> ScopeView:
    """A scope, with what is free of it. Raises SchemaChanged."""
    drawn = scope.child_prefix if scope.can_be_drawn_from else None
    with reading_scopes_of(ipam, tree) as state:
        first = None if drawn is None else would_be_drawn(state, scope, drawn, _space_of(scope))
        free = 0 if drawn is None else count_drawable(state, scope, drawn)
    return ScopeView(
        network=str(scope),
        depth=scope.depth,
        parent=None if parent is None else str(parent),
        child_prefix=scope.child_prefix,
        tags=tuple(sorted(scope.tags)),
        lock_down=scope.lock_down,
        pre_seed_children=scope.pre_seed_children,
        can_be_drawn_from=scope.can_be_drawn_from,
        address_space=scope.address_space,
        node_prefix=scope.node_prefix,
        reuse_delay=scope.reuse_delay,
        description=scope.description,
        reserved=tuple(text_of_range(scope.block.version, item) for item in scope.reserved),
        blocks=str(scope.blocks),
        free=str(free),
        first_free=None if first is None else str(first.block),
        pools=census.by_scope.get(scope, 0),
        first_free_by_length=_first_free_by_length(ipam, tree, scope, pause),
        aggregates=_aggregates_of(ipam, tree, scope, census),
    )


def _aggregates_of(
    ipam: Ipam, tree: ScopeTree, scope: Scope, census: Census
) -> ScopeAggregatesView | None:
    if scope.node_prefix is None:
        return None
    claimed = census.aggregates.get(scope, ClaimedOfScope())
    with reading_scopes_of(ipam, tree) as state:
        free = count_claimable(state, scope, scope.node_prefix)
    return ScopeAggregatesView(claimed.own, claimed.others, claimed.resting, str(free))


def _first_free_by_length(
    ipam: Ipam, tree: ScopeTree, scope: Scope, pause: Pause
) -> tuple[str, ...]:
    if not scope.can_be_drawn_from or scope.child_prefix is None:
        return ()
    found: list[Block] = []
    shortest = scope.block.length if scope.node_prefix is None else scope.node_prefix + 1
    for length in range(shortest, scope.child_prefix + 1):
        with reading_scopes_of(ipam, tree) as state:
            first = would_be_drawn(state, scope, length, _space_of(scope))
        if first is not None and (not found or first.block.start != found[-1].start):
            found.append(first.block)
        pause()
    return tuple(map(str, found))


def _space_of(scope: Scope) -> AddressSpace:
    """The address space for which is shown what a scope gives: that of networks of single hosts,
    unless none of them gets anything."""
    return scope.address_space or "local"


def scope_of(tree: ScopeTree, subnet: str) -> Scope:
    """The deepest scope of this subnet. Raises InvalidRequest or NotHeld."""
    block = _read_block(subnet)
    found = [scope for scope in tree if scope.block == block]
    if not found:
        raise NotHeld(f"the schema has no scope {subnet}; /v1/scopes lists those that it has")
    return found[-1]


def _read_position(after: str) -> int:
    if after and not after.isdecimal():
        raise no_such_page(after)
    return int(after or 0)


def _read_block(text: str) -> Block:
    try:
        return parse_subnet(text)
    except ValueError as error:
        raise InvalidRequest(f"{text!r} {error}") from None
