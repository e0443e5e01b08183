"""What a view answers, as JSON.

To write a long list takes a millisecond, in which Python runs no other thread. So it is written in
pieces, between which the calls of Docker are answered first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import orjson

from pyipam.views.order import Pause, in_parts

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# About a tenth of a millisecond.
_ITEMS_AT_A_TIME = 40


def to_json(answer: DataclassInstance, pause: Pause) -> bytes:
    """A dataclass as a JSON object, by its fields."""
    members = [
        orjson.dumps(field.name) + b":" + _value(getattr(answer, field.name), pause)
        for field in fields(answer)
    ]
    return b"{" + b",".join(members) + b"}"


def _value(value: object, pause: Pause) -> bytes:
    if not isinstance(value, tuple) or len(value) <= _ITEMS_AT_A_TIME:
        return orjson.dumps(value)
    return b"[" + b",".join(_pieces(value, pause)) + b"]"


def _pieces(items: Sequence[object], pause: Pause) -> Iterator[bytes]:
    for some in in_parts(items, _ITEMS_AT_A_TIME):
        pause()
        yield orjson.dumps(some)[1:-1]
