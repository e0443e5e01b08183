"""The history, read from its end: the latest entry comes first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyipam.history.entries import BEGINNINGS, LOST, Entry, from_line
from pyipam.history.segments import Place, lines_back
from pyipam.space.address import Address, parse_address
from pyipam.space.block import Block

# About a third of a millisecond.
_LINES_AT_A_TIME = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted; None leaves a question open.

    `address` asks for the entries about that address and about the pools that it lies in, `block`
    for all in subnets that overlap it, `pool` for those of the pool with that id. `at`, a UNIX
    time, asks for what was given out then: the entry that each began with. It is infinite for what
    is given out now, whatever the clock said when it was.
    """

    address: Address | None = None
    block: Block | None = None
    pool: str | None = None
    at: float | None = None

    def may_be(self, line: bytes) -> bool:
        """Whether a line may be wanted, before it is read."""
        if self.pool is not None and self.pool.encode() not in line:
            return False
        if self.address is None or b'"address"' not in line:
            return True
        return f'"{self.address}"'.encode() in line

    def has(self, entry: Entry) -> bool:
        """Whether an entry is about what is asked for. All are about what was lost."""
        if entry.event == LOST:
            return self.at is None
        block = entry.block
        if block is None or self.pool not in (None, entry.pool):
            return False
        if self.block is not None and not block.overlaps(self.block):
            return False
        if self.address is None:
            return True
        if not entry.address:
            return block.contains(self.address)
        return parse_address(entry.address) == self.address


def read_back(
    folder: Path, before: Place | None, wanted: Wanted, pause: Callable[[], None]
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
    folder: Path, wanted: Wanted, time: float, pause: Callable[[], None]
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
    folder: Path, before: Place | None, wanted: Wanted, pause: Callable[[], None]
) -> Iterator[tuple[Place, Entry]]:
    looked_at = 0
    for place, line in lines_back(folder, before, pause):
        if not wanted.may_be(line):
            continue
        looked_at += 1
        if looked_at % _LINES_AT_A_TIME == 0:
            pause()
        entry = from_line(line)
        if entry is not None and wanted.has(entry):
            yield place, entry
