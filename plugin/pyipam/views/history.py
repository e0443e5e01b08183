"""What was held when, the latest first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyipam.errors import Unavailable
from pyipam.history.entries import Entry
from pyipam.history.reading import HistoryFilter, read_back
from pyipam.history.segments import Place, parse_place
from pyipam.views.order import Page, Part, Pause, no_such_page


@dataclass(frozen=True, slots=True)
class EntryView:
    """What became of a pool, or of an address in it. `time` is a UNIX time in seconds.

    `event` is one of: made, given, reused (given out though it was not free), rested, ended, freed
    (its rest is over); or lost, for the number of entries that could not be written. `address` is
    None where the entry is about the pool itself. Where the kind is aggregate, `pool` is the id of
    a block that a node has claimed, and the event may also be claimed or forgotten. Where `node` is
    not empty, the entry says that it was drained, undrained, forgotten or remembered. `imported`
    says that another host's plugin, or an earlier one of this host, has written it.
    """

    time: float
    event: str
    pool: str
    address: str | None
    kind: str | None
    driver: str
    epoch: int
    scope: str
    tags: str
    label: str
    named: bool
    imported: bool
    lost: int
    node: str = ""


def list_history(folder: Path, wanted: HistoryFilter, part: Part, pause: Pause) -> Page[EntryView]:
    """A part of the history in a folder. Raises InvalidRequest, or Unavailable where it cannot be
    read."""
    found: list[tuple[Place, Entry]] = []
    try:
        for item in read_back(folder, _read_cursor(part.after), wanted, pause):
            if len(found) == part.limit:
                return Page(_views(found), str(found[-1][0]))
            found.append(item)
    except OSError as error:
        raise Unavailable(
            f"the history in {folder} cannot be read ({error.strerror}); repair the disk, or "
            "remove that folder to start a new history"
        ) from None
    return Page(_views(found))


def _views(found: list[tuple[Place, Entry]]) -> tuple[EntryView, ...]:
    return tuple(_view(entry) for _, entry in found)


def _view(entry: Entry) -> EntryView:
    members = entry._asdict()
    members["address"] = entry.address or None
    members["kind"] = entry.kind or None
    return EntryView(**members)


def _read_cursor(after: str) -> Place | None:
    try:
        return parse_place(after) if after else None
    except ValueError:
        raise no_such_page(after) from None
