"""What of a scope is given out on explicit request only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from pyipam.core.subnet import usable_range
from pyipam.errors import listed
from pyipam.plan.reserved import clip
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import to_text
from pyipam.space.block import AddressRange, Block, aligned_blocks, merge_ranges, text_of_range

# That of the gateway, and one for a container.
_LEAST_ADDRESSES = 2
_MOST_LISTED = 3


def unusable_ranges(scope: Scope, length: int | None) -> tuple[AddressRange, ...]:
    """The scope's reserved ranges, and the blocks of this length in which they leave no room for a
    gateway and a container."""
    if length is None:
        return scope.reserved
    reserved = list(merge_ranges(scope.reserved))
    return tuple(merge_ranges([*reserved, *_blocks_without_room(scope.block, length, reserved)]))


def _blocks_without_room(
    own: Block, length: int, reserved: Iterable[AddressRange]
) -> Iterator[AddressRange]:
    """The blocks of this length of which disjoint ranges leave fewer than two addresses that hosts
    may have. Only blocks in which a range begins or ends are looked at."""
    shift = own.width - length
    left: dict[int, int] = {}
    for item in reserved:
        for number in {item.first >> shift, item.last >> shift}:
            usable = usable_range(Block(own.version, number << shift, length))
            taken = min(item.last, usable.last) - max(item.first, usable.first) + 1
            left.setdefault(number, usable.last - usable.first + 1)
            left[number] -= max(taken, 0)
    for number, addresses in left.items():
        if addresses < _LEAST_ADDRESSES:
            yield AddressRange(number << shift, ((number + 1) << shift) - 1)


def named_entries(tree: ScopeTree, scope: Scope, blocks: Iterable[Block]) -> str:
    """The entries under `reserved` that have a part of these blocks of a scope, each with the scope
    of the schema that has it: `10.0.0.0/24 (scope 10.0.0.0/16)`. The blocks must be disjoint."""
    ordered = sorted((block.start, block.last) for block in blocks)
    starts = [start for start, _ in ordered]
    found = []
    for item, declaring in _entries(tree, scope):
        before = bisect_right(starts, item.last)
        if before and ordered[before - 1][1] >= item.first:
            found.append(f"{_as_written(scope.block, item)} (scope {declaring})")
    return listed(found, _MOST_LISTED)


def _entries(tree: ScopeTree, scope: Scope) -> Iterator[tuple[AddressRange, Scope]]:
    """The entries that count in a scope, and the scope that has each: itself, or one around it."""
    around: Scope | None = scope if scope.reserved else None
    while around is not None:
        parent = _parent(tree, around)
        inherited = () if parent is None else tuple(clip(parent.reserved, around.network))
        # Those of a scope itself come after those that it inherits.
        for item in around.reserved[len(inherited) :]:
            yield item, around
        around = parent


def _parent(tree: ScopeTree, scope: Scope) -> Scope | None:
    # A plan may have thousands of scopes, each of which asks.
    block = scope.block
    return tree.containing(block.widened_to(block.length - 1)) if block.length else None


def _as_written(own: Block, item: AddressRange) -> str:
    """An entry as an operator would write it: an address, a CIDR or a range."""
    if item.first == item.last:
        return to_text(own.version, item.first)
    (start, length), *more = aligned_blocks([item], own.width)
    return text_of_range(own.version, item) if more else str(Block(own.version, start, length))
