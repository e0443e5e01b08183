"""What a call decides, before any of it takes effect.

The modules that decide only read the state. What they decide is applied by the transaction, as a
whole: a call that is refused has changed nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from pyipam.core.announcements import Announcements
from pyipam.log import Line
from pyipam.store.records import Change

Answer = TypeVar("Answer")


class Decision(NamedTuple, Generic[Answer]):
    """The answer of a call, the changes of records that must be durable before it is given, the
    lines to be logged then, and what is known about the engines from now on, if that changes."""

    answer: Answer
    changes: Sequence[Change] = ()
    events: Sequence[Line] = ()
    announcements: Announcements | None = None


def info(event: str, **fields: object) -> Line:
    """A line about a change."""
    return Line(logging.INFO, event, fields)


def warning(event: str, **fields: object) -> Line:
    """A line about something that an operator may have to act on."""
    return Line(logging.WARNING, event, fields)
