"""A TinyDB storage that is replaced whole and carries a checksum of itself."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from tinydb import Storage

from pyipam.store.damage import damaged
from pyipam.store.files import replace_file

_SEAL = "_pyipam"
# So that whoever has a call to answer never waits for a large table to be put into words.
_DOCUMENTS_IN_A_PIECE = 50
_SEAL_START = b'"_pyipam":'


class SealedStorage(Storage):
    """The file of one TinyDB database.

    Its last table, _pyipam, holds the checksum of all that stands before it, and `through`: the
    number of the last committed batch that the file contains.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.through = 0

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The tables; None when there is no file. Raises StateDamaged naming file and byte."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            tables: dict[str, dict[str, Any]] = orjson.loads(content)
            seal = tables.pop(_SEAL)["1"]
            checksum, self.through = seal["crc32"], seal["through"]
        except orjson.JSONDecodeError as error:
            raise damaged(self.path, error.pos, f"it is no whole TinyDB file ({error})") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise damaged(self.path, 0, "it was not written by pyipam") from error
        # What stands before the seal and the comma, or the brace where nothing does.
        position = content.rfind(_SEAL_START) - 1
        if checksum != zlib.crc32(content[:position]):
            raise damaged(self.path, 0, "the file does not agree with its checksum")
        return tables

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the file by these tables. Raises OSError; the old one is still there."""
        self.write_tables((name, iter(table.values())) for name, table in data.items())

    def write_tables(
        self, tables: Iterable[tuple[str, Iterator[Any]]], pause: Callable[[], None] | None = None
    ) -> None:
        """The same, a few documents at a time, numbered anew; with a pause after each piece."""
        replace_file(self.path, self._pieces(tables, pause or (lambda: None)))

    def _pieces(
        self, tables: Iterable[tuple[str, Iterator[Any]]], pause: Callable[[], None]
    ) -> Iterator[bytes]:
        checksum = 0
        for piece in _all_tables(tables):
            checksum = zlib.crc32(piece, checksum)
            yield piece
            pause()
        seal = orjson.dumps({"1": {"crc32": checksum, "through": self.through}})
        yield b'%s"%s":%s}' % (b"," if checksum else b"{", _SEAL.encode(), seal)


def _all_tables(tables: Iterable[tuple[str, Iterator[Any]]]) -> Iterator[bytes]:
    """The JSON of the tables, in pieces, without the brace that ends it."""
    opening = b"{"
    for name, documents in tables:
        start = b"%s%s:{" % (opening, orjson.dumps(name))
        number = 1
        while some := list(islice(documents, _DOCUMENTS_IN_A_PIECE)):
            lines = (b'"%d":%s' % (n, orjson.dumps(item)) for n, item in enumerate(some, number))
            yield start + b",".join(lines)
            start = b","
            number += len(some)
        yield b"}" if number > 1 else start + b"}"
        opening = b","
