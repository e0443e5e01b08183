"""The history, read from its end: the latest entry comes first."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pyipam.history.entries import BEGINNINGS, LOST, Entry, block_of_pool, from_line
from pyipam.history.segments import Place, lines_back
from pyipam.space.address import Address, parse_address
from pyipam.space.block import Block

# About a third of a millisecond.
_LINES_AT_A_TIME = 50
# As the plugin writes it. Where it is written otherwise, the line is read.
_POOL = re.compile(rb'"pool":"([^"\\]*)"')


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which entries are wanted; None leaves a question open.

    `address` asks for the entries about that address and about the pools that it lies in, `block`
    for all in subnets that overlap it, `pool` for those of the pool with that id, `node` for what
    was said of a node. `at`, a UNIX time, asks for what was given out then: the entry that each
    began with. It is infinite for what is given out now, whatever the clock said when it was.
    """

    address: Address | None = None
    block: Block | None = None
    pool: str | None = None
    at: float | None = None
    node: str | None = None

    def has(self, entry: Entry) -> bool:
        """Whether an entry is about what is asked for. All are about what was lost."""
        if entry.event == LOST:
            return self.at is None
        if entry.node or self.node is not None:
            others = (self.address, self.block, self.pool, self.at)
            return bool(entry.node) and others == (None,) * 4 and self.node in (None, entry.node)
        block = entry.block
        if block is None or self.pool not in (None, entry.pool) or not self.touches(block):
            return False
        if self.address is None or not entry.address:
            return True
        return parse_address(entry.address) == self.address

    def touches(self, block: Block) -> bool:
        """Whether entries about a subnet may be wanted."""
        if self.address is not None and not block.contains(self.address):
            return False
        return self.block is None or block.overlaps(self.block)


def read_back(
    folder: Path, before: Place | None, wanted: HistoryFilter, pause: Callable[[], None]
) -> Iterator[tuple[Place, Entry]]:
    """The wanted entries before that place, or all, the latest first, each with its place. Raises
    OSError."""
    if wanted.at is not None:
        for place, entry in _given_out_at(folder, wanted, wanted.at, pause):
            if before is None or place < before:
                yield place, entry
        return
    yield from _entries(folder, before, wanted, pause)


def _given_out_at(
    folder: Path, wanted: HistoryFilter, time: float, pause: Callable[[], None]
) -> Iterator[tuple[Place, Entry]]:
    # When it was over what an entry began: at the time of the next one about the same. Nothing is
    # told of a time in between by a clock that was set back in between.
    ends: dict[str, float] = {}
    for place, entry in _entries(folder, None, wanted, pause):
        end = ends.get(entry.key, math.inf)
        if entry.event in BEGINNINGS and entry.time <= time and (time < end or end == math.inf):
            yield place, entry
        ends[entry.key] = entry.time


def _entries(
    folder: Path, before: Place | None, wanted: HistoryFilter, pause: Callable[[], None]
) -> Iterator[tuple[Place, Entry]]:
    lines = lines_back(folder, before, pause, _chooser(wanted))
    for looked_at, (place, line) in enumerate(lines, start=1):
        if looked_at % _LINES_AT_A_TIME == 0:
            pause()
        entry = from_line(line)
        if entry is not None and wanted.has(entry):
            yield place, entry


def _chooser(wanted: HistoryFilter) -> Callable[[bytes], bool]:
    """Whether a line may be wanted, as far as its bytes say: to read a line takes twenty times as
    long as that."""
    pool = (wanted.pool or "").encode()
    address = None if wanted.address is None else f'"{wanted.address}"'.encode()

    @lru_cache(maxsize=4096)
    def may_touch(pool_id: bytes) -> bool:
        block = block_of_pool(pool_id.decode(errors="replace"))
        return block is None or wanted.touches(block)

    def may_be(line: bytes) -> bool:
        if pool not in line:
            return False
        if address is not None and b'"address"' in line:
            return address in line
        found = _POOL.search(line)
        return found is None or may_touch(found[1])

    return may_be
