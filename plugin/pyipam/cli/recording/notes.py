"""The notes of `pyipam record`: lines of JSON in files of a bounded size (history/segments.py).

They are read like anything else that others may have written: what is not a note is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pyipam.history.entries import LATEST_TIME
from pyipam.history.segments import append_lines, lines_back

# A network was created or removed; a container was put on a network, or taken off it. With `began`,
# record has begun to look.
EVENTS = ("created", "removed", "connected", "disconnected", "began")


class Note(NamedTuple):
    """What happened to a network, or to a container on it. `time` is a UNIX time in seconds.

    `network` and `container` are names. A note is about one `subnet` of the network, and one
    `address` of the container. `found` says that it had happened when record looked, at some time
    since the note before.
    """

    time: float
    event: str
    network: str = ""
    network_id: str = ""
    subnet: str = ""
    container: str = ""
    container_id: str = ""
    address: str = ""
    found: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What begins and ends: a network's subnet, or a container's address."""
        return self.network_id, self.container_id, self.subnet, self.address


class Period(NamedTuple):
    """From when to when a container had an address, or a network a subnet. `end` is None while it
    has. With `began_before` it may have begun earlier, but not before the note that preceded."""

    network: str
    container: str
    subnet: str
    address: str
    begin: float
    end: float | None
    began_before: bool

    def overlaps(self, begin: float, end: float | None) -> bool:
        """Whether it has a moment between these times."""
        return (end is None or self.begin <= end) and (self.end is None or self.end >= begin)


def write_notes(folder: Path, notes: Iterable[Note]) -> None:
    """Append notes to the files. Raises OSError."""
    lines = [
        json.dumps(
            {name: value for name, value in note._asdict().items() if value}, ensure_ascii=False
        ).encode(errors="replace")
        for note in notes
    ]
    if lines:
        append_lines(folder, lines)


def read_notes(folder: Path) -> list[Note]:
    """Every note, the oldest first. Raises OSError."""
    found = [_note(line) for _, line in lines_back(folder, None, lambda: None)]
    return [note for note in reversed(found) if note is not None]


def read_periods(folder: Path, subnet: str = "") -> list[Period]:
    """What the notes tell, by the beginning; with `subnet`, of that one alone. Raises OSError."""
    return sorted(_periods(read_notes(folder), subnet), key=lambda period: period.begin)


def _periods(notes: Iterable[Note], subnet: str) -> Iterator[Period]:
    opened: dict[tuple[str, str, str, str], Note] = {}
    for note in notes:
        if note.event == "began" or subnet not in ("", note.subnet):
            continue
        former = opened.pop(note.key, None)
        if former is not None:
            yield _period(former, note.time)
        if note.event in ("created", "connected"):
            opened[note.key] = note
    for note in opened.values():
        yield _period(note, None)


def _period(note: Note, end: float | None) -> Period:
    return Period(
        note.network, note.container, note.subnet, note.address, note.time, end, note.found
    )


def _note(line: bytes) -> Note | None:
    try:
        document = json.loads(line)
        note = Note(**{name: document[name] for name in Note._fields if name in document})
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (getattr(note, name) for name in Note._fields if name not in ("time", "found"))
    is_sound = (
        all(isinstance(text, str) for text in texts)
        and isinstance(note.time, int | float)
        and 0 <= note.time <= LATEST_TIME
        and isinstance(note.found, bool)
        and note.event in EVENTS
    )
    return note if is_sound else None
