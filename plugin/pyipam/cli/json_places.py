"""Where each value of a JSON text is, by the JSON path that errors name it with."""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import NamedTuple

from pyipam.plan.object_rules import member_path

_STRINGS = JSONDecoder(strict=False)
_BLANKS = re.compile(r"[ \t\r\n]*")
# A number, true, false or null: the text is known to be JSON.
_WORD = re.compile(r"[^\s,\]}]+")
_LAST_STEP = re.compile(r"(\.\w+|\[[^\[\]]*\])$")


class Place(NamedTuple):
    """A place in a text, as editors count: both from 1."""

    line: int
    column: int


def offsets_in(text: str) -> dict[str, int]:
    """The offset of each value by its path: of a member that of its key, of an item its own. The
    text must be JSON. Raises RecursionError if it is nested too deeply."""
    found: dict[str, int] = {}
    _scan(text, _skip(text, 0), "$", found)
    return found


def place_of(text: str, offsets: dict[str, int], path: str) -> Place:
    """Where the value of this path is; of what is missing, where the value around it is."""
    while path not in offsets and _LAST_STEP.search(path):
        path = _LAST_STEP.sub("", path)
    offset = offsets.get(path, 0)
    line_begin = text.rfind("\n", 0, offset) + 1
    return Place(text.count("\n", 0, offset) + 1, offset - line_begin + 1)


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    assert blanks is not None
    return blanks.end()


def _scan(text: str, at: int, path: str, found: dict[str, int]) -> int:
    """Note the places in the value that begins there; where it ends."""
    found.setdefault(path, at)
    letter = text[at]
    if letter == "{":
        return _scan_object(text, at, path, found)
    if letter == "[":
        return _scan_list(text, at, path, found)
    if letter == '"':
        return _STRINGS.raw_decode(text, at)[1]
    word = _WORD.match(text, at)
    assert word is not None
    return word.end()


def _scan_object(text: str, at: int, path: str, found: dict[str, int]) -> int:
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, end = _STRINGS.raw_decode(text, at)
        member = member_path(path, key)
        # Of a key that is given twice, the last one counts.
        found[member] = at
        colon = _skip(text, end)
        at = _skip(text, _scan(text, _skip(text, colon + 1), member, found))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _scan_list(text: str, at: int, path: str, found: dict[str, int]) -> int:
    at, index = _skip(text, at + 1), 0
    while text[at] != "]":
        at = _skip(text, _scan(text, at, f"{path}[{index}]", found))
        index += 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1
