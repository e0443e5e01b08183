"""Blocks written as few blocks that have the same addresses: what a router has to be told."""

from __future__ import annotations

from collections.abc import Iterable

from pyipam.space.block import Block


def merge_blocks(blocks: Iterable[Block]) -> list[Block]:
    """The fewest blocks that have exactly the addresses of these, in ascending order.

    In this order a block comes right after the ones that it may be merged with: one that it lies
    in, or the first half of the block that both make up.
    """
    merged: list[Block] = []
    for block in sorted(blocks):
        if merged and block.is_inside(merged[-1]):
            continue
        merged.append(block)
        while len(merged) > 1 and _are_halves(merged[-2], merged[-1]):
            merged.pop()
            former = merged.pop()
            merged.append(Block(former.version, former.start, former.length - 1))
    return merged


def _are_halves(first: Block, second: Block) -> bool:
    """Whether two blocks, in ascending order, are the halves of one block."""
    is_first_half = not first.start >> (first.width - first.length) & 1
    return (
        (first.version, first.length) == (second.version, second.length)
        and is_first_half
        and second.start == first.last + 1
    )
