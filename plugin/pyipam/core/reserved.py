"""What of a scope is given out on explicit request only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from pyipam.core.subnet import usable_range
from pyipam.errors import listed
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import AddressRange, Block, merge_ranges

# That of the gateway, and one for a container.
_LEAST_ADDRESSES = 2
_MOST_LISTED = 3


def unusable_ranges(scope: Scope, length: int | None) -> tuple[AddressRange, ...]:
    """The scope's reserved ranges, and the blocks of this length in which they leave no room for a
    gateway and a container."""
    reserved = merge_ranges(scope.reserved)
    if length is None or not reserved:
        return reserved
    return merge_ranges([*reserved, *_blocks_without_room(scope.block, length, reserved)])


def is_unusable_in_parts(scope: Scope, length: int) -> bool:
    """Whether what is unusable for blocks of `child_prefix` is so for blocks of this length, too: a
    part of a block has no more room than all of it. Only in a block of one or two addresses, hosts
    may have what is the network address of a larger one."""
    longest = scope.block.width - 2
    return scope.child_prefix is not None and scope.child_prefix <= length <= longest


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
    if not scope.reserved:
        return ""
    ordered = sorted((block.start, block.last) for block in blocks)
    starts = [start for start, _ in ordered]
    found = []
    for entry in tree.reserved_entries(scope):
        before = bisect_right(starts, entry.addresses.last)
        if before and ordered[before - 1][1] >= entry.addresses.first:
            found.append(entry)
    return listed(found, _MOST_LISTED)
