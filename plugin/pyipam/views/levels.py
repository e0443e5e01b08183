"""The levels of the map of an address plan: how a block is cut into cells, each of which is the
next map, down to single addresses.

A map has at most 256 cells, 16 by 16. The blocks that a scope gives out are the cells of some
level, and so are those that nodes claim of it; the levels above it end where a part of the written
address does, as far as possible, so that the cells of a map differ in one number or in one or two
digits.
"""

from __future__ import annotations

from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block

# 256 cells.
_MOST_BITS = 8
_BITS_OF_PART = {4: 8, 6: 4}
# A map of fewer cells than 16 would only be one more step.
_FEWEST_BITS = 4


def cell_length(block: Block, scope: Scope | None) -> int:
    """The prefix length of the cells of a block, which lies in this scope."""
    ends = () if scope is None else (scope.node_prefix, scope.child_prefix)
    end = next((each for each in ends if each and block.length < each), block.width)
    most = block.length + _MOST_BITS
    if end <= most:
        return end
    of_part = most - most % _BITS_OF_PART[block.version]
    return of_part if of_part - block.length >= _FEWEST_BITS else most - most % _FEWEST_BITS


def cells_of(block: Block, length: int) -> list[Block]:
    """The blocks of this length that a block consists of, in order."""
    size = 1 << (block.width - length)
    return [
        Block(block.version, start, length) for start in range(block.start, block.last + 1, size)
    ]


def path_to(tree: ScopeTree, block: Block) -> list[Block]:
    """The blocks whose maps lead to the one of a block: its root scope, a cell of that, and so on,
    and the block itself."""
    around = next((scope.block for scope in tree.roots if block.is_inside(scope.block)), block)
    path: list[Block] = []
    while around.length < block.length:
        path.append(around)
        length = min(cell_length(around, tree.containing(around)), block.length)
        around = block.widened_to(length)
    return [*path, block]
