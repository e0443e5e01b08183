"""The history out of a state folder, and into one, while no plugin writes it."""

from __future__ import annotations

import heapq
import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pyipam.history.entries import Entry, from_line, to_line
from pyipam.history.segments import append_lines, lines_back

_LINES_AT_A_TIME = 1000


def read_lines(folder: Path) -> tuple[bytes, ...]:
    """The entries of a history as lines, the oldest first; none where it cannot be read."""
    try:
        found = [to_line(entry) for entry in _entries(folder)]
    except OSError:
        return ()
    return tuple(reversed(found))


def bring_in(folder: Path, lines: Iterable[bytes]) -> int:
    """Add entries that another plugin has written to a history, in the order of their times, and
    say of each where it comes from; how many more there are then. The history stays bounded: of
    more than it has room for, the earliest are left out.

    Raises OSError; then the history is as before.
    """
    own = list(_entries(folder))
    known = {to_line(entry._replace(imported=False)) for entry in own}
    found = (from_line(line) for line in lines)
    new = [
        entry._replace(imported=True)
        for entry in found
        if entry is not None and to_line(entry._replace(imported=False)) not in known
    ]
    # Each history keeps its own order, even where its clock was set back.
    merged = heapq.merge(reversed(own), new, key=lambda entry: entry.time)
    _replace(folder, map(to_line, merged))
    return _count_imported(_entries(folder)) - _count_imported(own)


def _count_imported(entries: Iterable[Entry]) -> int:
    return sum(entry.imported for entry in entries)


def _entries(folder: Path) -> Iterator[Entry]:
    for _, line in lines_back(folder, None, lambda: None):
        entry = from_line(line)
        if entry is not None:
            yield entry


def _replace(folder: Path, lines: Iterable[bytes]) -> None:
    beside = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        source = iter(lines)
        while part := list(islice(source, _LINES_AT_A_TIME)):
            append_lines(beside, part)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    if beside.exists():
        os.rename(beside, folder)
