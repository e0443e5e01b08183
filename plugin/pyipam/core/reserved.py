"""What of a scope is given out on explicit request only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyipam.core.subnet import usable_range
from pyipam.plan.scope import Scope
from pyipam.space.block import AddressRange, Block, merge_ranges

# That of the gateway, and one for a container.
_LEAST_ADDRESSES = 2


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
