"""The names that `record` noted, joined with the history of the plugin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pyipam.cli.client import Answer
from pyipam.cli.messages import say
from pyipam.cli.recording.notes import Period, read_periods
from pyipam.store.pool_id import subnet_of

# What begins in the plugin's history: see views/history.py.
_BEGINNINGS = ("made", "given", "claimed", "reused")
# Docker may take a container off its network a moment after it has released the address.
_SECONDS_TO_LEAVE = 1.0


def read_noted(folder: Path) -> list[Period]:
    """What `record` noted; nothing where it never ran, or where that cannot be read, which is
    said."""
    try:
        return read_periods(folder)
    except OSError as error:
        say(f"without the names that record noted: {error.filename or folder}: {error.strerror}")
        return []


def with_names(
    entries: Sequence[Answer], periods: Iterable[Period], at: str | None = None
) -> list[Answer]:
    """The entries of the history, the oldest first, with the names of `networks` and `containers`
    that had the subnet or the address then. `at` is the UNIX time that was asked for."""
    known: dict[tuple[str, str], list[Period]] = {}
    for period in periods:
        known.setdefault((period.subnet, period.address), []).append(period)
    windows = _windows(entries) if at is None else [(float(at), float(at))] * len(entries)
    return [
        _with_names(entry, known, *window) for entry, window in zip(entries, windows, strict=True)
    ]


def _windows(entries: Sequence[Answer]) -> list[tuple[float, float | None]]:
    """From when to when each entry was so; where it is an end, what ended then."""
    found: list[tuple[float, float | None]] = []
    began: dict[str, int] = {}
    for position, entry in enumerate(entries):
        key, time = f"{entry['pool']} {entry['address']}", float(entry["time"])
        begin = began.pop(key, None)
        if begin is not None:
            found[begin] = found[begin][0], time
        if entry["event"] in _BEGINNINGS:
            began[key] = position
            found.append((time, None))
        else:
            found.append((time if begin is None else found[begin][0], time))
    return found


def _with_names(
    entry: Answer,
    known: dict[tuple[str, str], list[Period]],
    begin: float,
    end: float | None,
) -> Answer:
    subnet = subnet_of(entry["pool"])

    def during(address: str) -> list[Period]:
        found = [p for p in known.get((subnet, address), ()) if p.overlaps(begin, end)]
        stayed = [p for p in found if p.end is None or p.end > begin + _SECONDS_TO_LEAVE]
        return stayed or found

    holders = during(entry["address"]) if entry["address"] else []
    networks = [period.network for period in (*during(""), *holders)]
    return Answer(
        entry
        | {
            "networks": list(dict.fromkeys(networks)),
            "containers": list(dict.fromkeys(period.container for period in holders)),
        }
    )
