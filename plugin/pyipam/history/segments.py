"""Lines in files of a bounded size, of which the oldest is removed when there are too many.

Nothing is synced, so a power cut costs the latest lines. A line that was cut off ends before the
next one, and so costs nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from pyipam.files import write_all

# The folder of the plugin's history in its state folder.
HISTORY_NAME = "history"

MAX_SEGMENTS = 8
MAX_SEGMENT_BYTES = 8 * 1024 * 1024
# Much longer than any line.
MAX_LINE_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
# Only a regular file, not a link, is a segment; opening anything else must not wait.
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NO_SEGMENT = (errno.ENOENT, errno.ELOOP, errno.ENXIO)
_NAME = re.compile(r"(\d{8,15})\.jsonl", re.ASCII)


class Place(NamedTuple):
    """Where a line begins: the number of its segment, and the byte in it."""

    segment: int
    offset: int

    def __str__(self) -> str:
        return f"{self.segment}:{self.offset}"


def parse_place(text: str) -> Place:
    """Read what `str` writes. Raises ValueError."""
    segment, colon, offset = text.partition(":")
    if not (colon and segment.isdecimal() and offset.isdecimal() and len(text) < 40):
        raise ValueError(f"{text!r} is not a place in a segment")
    return Place(int(segment), int(offset))


def append_lines(folder: Path, lines: Sequence[bytes]) -> None:
    """Append lines, each without its end, to the latest segment, or to new ones where it is full. A
    line that is too long to be read again is left out.

    Raises OSError; then none of them was appended, or only the first of more than a segment takes.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for content in _contents(lines):
        _append_to_latest(folder, content)


def _contents(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines with their ends, in pieces that a segment has room for."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if len(line) > MAX_LINE_BYTES:
            continue
        if size + len(line) >= MAX_SEGMENT_BYTES and piece:
            yield b"".join(piece)
            piece, size = [], 0
        piece += (line, b"\n")
        size += len(line) + 1
    if piece:
        yield b"".join(piece)


def _append_to_latest(folder: Path, content: bytes) -> None:
    latest = max(segments_in(folder), default=1)
    path = folder / _name(latest)
    if path.exists() and path.stat().st_size + len(content) > MAX_SEGMENT_BYTES:
        latest += 1
        _remove_before(folder, latest - MAX_SEGMENTS + 1)
    _append(folder / _name(latest), content)


def segments_in(folder: Path) -> list[int]:
    """The numbers of the segments, the oldest first. Raises OSError, except if there is no
    folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)


def lines_back(
    folder: Path,
    before: Place | None,
    pause: Callable[[], None],
    is_wanted: Callable[[bytes], object] = bool,
) -> Iterator[tuple[Place, bytes]]:
    """Every wanted line before that place, or every one, the latest first. Calls `pause` again and
    again. Raises OSError; a segment that is removed meanwhile ends there."""
    for number in reversed(segments_in(folder)):
        if before is not None and number > before.segment:
            continue
        end = before.offset if before is not None and number == before.segment else None
        try:
            descriptor = os.open(folder / _name(number), _READING)
        except OSError as error:
            if error.errno in _NO_SEGMENT:
                continue
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                continue
            for offset, line in _lines_of(descriptor, end, pause, is_wanted):
                yield Place(number, offset), line
        finally:
            os.close(descriptor)


def _lines_of(
    descriptor: int,
    end: int | None,
    pause: Callable[[], None],
    is_wanted: Callable[[bytes], object],
) -> Iterator[tuple[int, bytes]]:
    """The wanted lines of a segment that begin before `end`, the last one first, with their
    offsets."""
    size = os.fstat(descriptor).st_size
    position = size if end is None else min(end, size)
    # The beginning of what follows, whose own beginning has not been read yet.
    rest = b""
    while position > 0:
        pause()
        first = max(position - _READ_BYTES, 0)
        content = os.pread(descriptor, position - first, first)
        whole = (content + rest).split(b"\n")
        rest = whole.pop(0)
        starts = accumulate((len(line) + 1 for line in whole), initial=first + len(rest) + 1)
        found = [
            (start, line)
            for start, line in zip(starts, whole, strict=False)
            if 0 < len(line) <= MAX_LINE_BYTES and is_wanted(line)
        ]
        yield from reversed(found)
        if len(rest) > MAX_LINE_BYTES:
            # No line is as long: it is damaged, whatever stands before.
            rest = b"\n"
        position = first
    if 0 < len(rest) <= MAX_LINE_BYTES and is_wanted(rest):
        yield 0, rest


def _append(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content
        try:
            write_all(descriptor, content)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _remove_before(folder: Path, first: int) -> None:
    for number in segments_in(folder):
        if number < first:
            (folder / _name(number)).unlink(missing_ok=True)


def _name(number: int) -> str:
    return f"{number:08}.jsonl"
