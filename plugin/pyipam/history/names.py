"""The names that Docker has for what is held, as `pyipam record` hands them to the plugin.

The plugin cannot ask Docker. So a file in its state folder says which networks and containers there
were at a time: lines of JSON, the time first. It is replaced as a whole, bounded, and read as what
anybody may have written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from pyipam.history.entries import LATEST_TIME
from pyipam.space.address import parse_address
from pyipam.space.block import Block, block_of, parse_network

NAMES_NAME = "names.jsonl"
MAX_NAMES_BYTES = 4 * 1024 * 1024
# Docker's names are not longer.
_MAX_NAME_LENGTH = 255
_LINES_AT_A_TIME = 50


class Name(NamedTuple):
    """The name of a network on a subnet, or of a container that has an address there. `container`
    and `address` are empty for the network itself."""

    subnet: str
    network: str
    address: str = ""
    container: str = ""


class Names(NamedTuple):
    """The names that there were at a UNIX time, in seconds; with the block of each subnet."""

    time: float
    names: tuple[tuple[Block, Name], ...]


def to_names_file(time: float, names: Iterable[Name]) -> bytes:
    """The content of the file, with as many of the names as fit into it."""
    lines = [orjson.dumps({"time": time})]
    size = len(lines[0]) + 1
    for name in names:
        line = orjson.dumps({key: value for key, value in name._asdict().items() if value})
        size += len(line) + 1
        if size > MAX_NAMES_BYTES:
            break
        lines.append(line)
    return b"\n".join(lines) + b"\n"


def read_names(path: Path, pause: Callable[[], None]) -> Names | None:
    """What the file says; None if there is none, or nothing that could be a file of names."""
    try:
        lines = _read_bounded(path).split(b"\n")
    except OSError:
        return None
    head = _object(lines[0])
    time = head.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time <= LATEST_TIME:
        return None
    return Names(time, tuple(_sound_names(lines[1:], pause)))


def _read_bounded(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.pread(descriptor, MAX_NAMES_BYTES, 0)
    finally:
        os.close(descriptor)


def _sound_names(lines: Iterable[bytes], pause: Callable[[], None]) -> Iterator[tuple[Block, Name]]:
    for position, line in enumerate(lines):
        if position % _LINES_AT_A_TIME == 0:
            pause()
        found = _sound(_object(line))
        if found is not None:
            yield found


def _sound(document: dict[str, Any]) -> tuple[Block, Name] | None:
    name = Name(*(document.get(member, "") for member in Name._fields))
    texts = all(isinstance(text, str) and len(text) <= _MAX_NAME_LENGTH for text in name)
    if not texts or not name.network or bool(name.address) != bool(name.container):
        return None
    try:
        block = block_of(parse_network(name.subnet))
        is_inside = not name.address or block.contains(parse_address(name.address))
    except ValueError:
        return None
    return (block, name) if is_inside else None


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
