"""Reading a journal back: every commit that returned, and nothing else (see journal)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from pyipam.store.documents import change_from_json
from pyipam.store.records import Change
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.journal import JOURNAL_FORMAT, JOURNAL_TITLE

_SECTOR_BYTES = 512
# Eight hexadecimal digits and a blank.
_CHECKSUM_BYTES = 9


@dataclass(frozen=True)
class JournalEntry:
    """A committed batch: its number, and its changes in order."""

    sequence: int
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class JournalContent:
    """What a journal holds. `after` is the number of the last batch before it, `size` how many of
    its bytes are complete lines, `next_number` the number of the journal after it, if any."""

    after: int
    entries: tuple[JournalEntry, ...]
    size: int
    next_number: int | None


class _Line(NamedTuple):
    """A complete line: its offset, its content, and the offset after it."""

    offset: int
    content: Any
    end: int


def read_journal(path: Path, number: int) -> JournalContent:
    """Read journal `number`. Raises StateCorrupted, which names the file and the byte, or
    OSError."""
    lines = _whole_lines(path, _without_room(path))
    head = next(lines, None)
    if head is None or head.content[:3] != [JOURNAL_TITLE, JOURNAL_FORMAT, number]:
        what = f"it does not begin as journal {number} of format {JOURNAL_FORMAT}"
        raise corrupted(path, 0, what)
    after = sequence = head.content[3]
    entries: list[JournalEntry] = []
    next_number = None
    size = head.end
    for offset, content, end in lines:
        size = end
        if next_number is not None:
            raise corrupted(path, offset, "another line follows the last one of the journal")
        if content[0] == "next":
            next_number = content[1]
            continue
        sequence += 1
        if content[0] != sequence:
            raise corrupted(path, offset, f"batch {content[0]} is in the place of batch {sequence}")
        entries.append(JournalEntry(sequence, _changes(path, offset, content)))
    return JournalContent(after, tuple(entries), size, next_number)


def holds_batches(path: Path) -> bool:
    """Whether anything follows the first line. A journal whose creation was interrupted has one
    line, part of one, or only room. Raises OSError."""
    return b"\n" in _without_room(path)[:-1]


def _without_room(path: Path) -> bytes:
    # No line contains a zero byte: zeros at the end are room, or sectors that were never written.
    return path.read_bytes().rstrip(b"\0")


def _changes(path: Path, offset: int, content: Any) -> tuple[Change, ...]:
    try:
        return tuple(change_from_json(change) for change in content[1])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise corrupted(path, offset, f"a change cannot be read ({error})") from error


def _whole_lines(path: Path, content: bytes) -> Iterator[_Line]:
    """Every line. A torn last line is left out."""
    offset = 0
    while offset < len(content):
        end = content.find(b"\n", offset) + 1
        if end == 0:
            if _lost_only_its_end(content, offset):
                raise corrupted(path, len(content) - 1, "the line does not end here")
            return
        text = content[offset + _CHECKSUM_BYTES : end - 1]
        if not _matches(content, offset, text):
            if end == len(content) and _has_unwritten_sector(content, offset):
                return
            raise corrupted(path, offset, "the checksum of the line does not match")
        yield _Line(offset, orjson.loads(text), end)
        offset = end


def _matches(content: bytes, offset: int, text: bytes) -> bool:
    """Whether the checksum at the offset matches the text."""
    return content[offset : offset + _CHECKSUM_BYTES] == b"%08x " % zlib.crc32(text)


def _lost_only_its_end(content: bytes, offset: int) -> bool:
    """Whether the last line is complete except that its last byte is something else. An interrupted
    write would have left nothing there."""
    return _matches(content, offset, content[offset + _CHECKSUM_BYTES : -1])


def _has_unwritten_sector(content: bytes, offset: int) -> bool:
    """Whether a sector of the last line reads as zeros: the line never reached the disk completely.
    (An interrupted write does not leave zeros in any other line.)"""
    for sector in range(offset - offset % _SECTOR_BYTES, len(content), _SECTOR_BYTES):
        if not content[max(sector, offset) : sector + _SECTOR_BYTES].strip(b"\0"):
            return True
    return False
