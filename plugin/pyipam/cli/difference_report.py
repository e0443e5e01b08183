"""The file of `reconcile`: what was found, and the state that it was found in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pyipam.cli.comparing import Comparison
from pyipam.cli.differences import Difference
from pyipam.cli.refusal import CommandRefused

_FORMAT = "pyipam-differences"
_VERSION = 1
_STATE = {
    "leaked pool": ("created", "claims", "fingerprint"),
    "leaked address": ("driver", "epoch", "granted"),
    "unclaimed pool": ("driver", "created", "claims"),
    "unclaimed address": ("driver", "epoch", "granted"),
    "missing pool": ("driver", "networks", "options", "addresses"),
    "missing address": ("driver", "addresses"),
}


@dataclass(frozen=True)
class Reported:
    """What a report says of one difference: whether it was sure, and the state, as in the file."""

    sure: bool
    entry: dict[str, Any]

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is about: kind, pool and address."""
        return self.entry["kind"], self.entry["pool"], self.entry["address"]

    def is_of(self, entry: dict[str, Any]) -> bool:
        """Whether it was seen in the state of this entry."""
        names = _STATE[self.entry["kind"]]
        return all(self.entry[name] == entry[name] for name in names)


def report_of(comparison: Comparison, plugin_id: str, time: float) -> dict[str, Any]:
    """A report, to be written as JSON. `time` is a UNIX time in seconds."""
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "plugin": plugin_id,
        "time": time,
        "unsettled": comparison.unsettled,
        "differences": [entry_of(each) for each in comparison.differences],
    }


def entry_of(difference: Difference) -> dict[str, Any]:
    """A difference as it is written."""
    members = asdict(difference)
    names = ("kind", "pool", "address", "sure", "why", *_STATE[difference.kind])
    # As it reads from a file: lists, not tuples.
    entry: dict[str, Any] = json.loads(json.dumps({name: members[name] for name in names}))
    return entry


def read_report(text: str, name: str, plugin_id: str) -> list[Reported]:
    """The differences in a report on this plugin. Raises CommandRefused."""
    try:
        report = json.loads(text)
        if report["format"] != _FORMAT or report["version"] != _VERSION:
            raise ValueError
        found = [_read_entry(entry) for entry in report["differences"]]
        made_of = str(report["plugin"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CommandRefused(
            f"{name} is not a report of this version of pyipam reconcile; make one with pyipam "
            "reconcile --report FILE"
        ) from None
    if made_of != plugin_id:
        raise CommandRefused(
            f"{name} was made for plugin {made_of[:12]}, but this is {plugin_id[:12]}: make a new "
            "report"
        )
    return found


def _read_entry(entry: dict[str, Any]) -> Reported:
    names = ("kind", "pool", "address", "sure", "why", *_STATE[entry["kind"]])
    if not isinstance(entry["sure"], bool):
        raise TypeError
    return Reported(entry["sure"], {name: entry[name] for name in names})
