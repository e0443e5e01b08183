"""Scopes, as the views show them: what they give, to whom, and how much of it is left."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import InvalidRequest, NotHeld
from pyipam.plan.scope import Scope, seeded_children
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block, block_of, parse_subnet, text_of_range
from pyipam.views.census import Censuses
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
class ScopeView:
    """A scope of the schema in force, with its keys (docs/schema.md).

    `blocks` is how many blocks of `child_prefix` its own space has, `free` how many of them are
    free, `first_free` the one that is given next; `blocks` and `free` are strings, as an IPv6
    scope may have more than a JSON number holds exactly. `pools` counts the pools of all nodes
    that lie in it and in no scope below it. `reuse_delay` is in seconds. `first_free_by_length`
    are the first free blocks of the lengths up to `child_prefix`, the largest block first: one for
    each length at which another address comes first, which goes for the lengths after it, too.
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
    """How many blocks of `child_prefix` the own space of a scope has, and how many are free."""

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
    pools = censuses.latest(pause).by_scope
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
    views = []
    for scope in shown:
        with reading_scopes_of(ipam, tree) as state:
            view = view_of_scope(state, scope, parents.get(scope), pools.get(scope, 0))
        views.append(with_first_free_by_length(ipam, tree, view, scope, pause))
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
    one of this prefix length; `child_prefix` if it is None. Raises NotHeld or InvalidRequest."""
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
        by_length = state.placement.free_blocks(scope, wanted)
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
                free = state.placement.count_free(scope, scope.child_prefix)
            blocks = scope.blocks - _blocks_of_children(scope, scope.child_prefix)
            found.append(ScopeFullness(str(scope), blocks, free))
            pause()
    return found


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


def view_of_scope(state: State, scope: Scope, parent: Scope | None, pools: int) -> ScopeView:
    """A scope, with what is free of it. Needs the lock."""
    drawn = scope.child_prefix if scope.can_be_drawn_from else None
    first = None if drawn is None else state.placement.lowest(scope, drawn)
    free = 0 if drawn is None else state.placement.count_free(scope, drawn)
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
        first_free=None if first is None else str(first),
        pools=pools,
    )


def with_first_free_by_length(
    ipam: Ipam, tree: ScopeTree, view: ScopeView, scope: Scope, pause: Pause
) -> ScopeView:
    """The view of a scope, with its first free blocks by length. Raises SchemaChanged."""
    if not scope.can_be_drawn_from or scope.child_prefix is None:
        return view
    found: list[Block] = []
    for length in range(scope.block.length, scope.child_prefix + 1):
        with reading_scopes_of(ipam, tree) as state:
            first = state.placement.lowest(scope, length)
        if first is not None and (not found or first.start != found[-1].start):
            found.append(first)
        pause()
    return replace(view, first_free_by_length=tuple(map(str, found)))


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
