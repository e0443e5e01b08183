"""A TinyDB storage that is read and written line by line, and carries a checksum of itself.

    {
    "100.64.0.0/30":{"1":{...},"2":{...}},
    "100.64.0.0/20":{
     "1":{...},"2":{...}
    ,"51":{...}
    },
    "_pyipam":{"1":{"crc32":3735928559,"through":42}}}

A table is one line. One of many documents is several: how it begins, its documents some at a
time, how it ends. Nobody needs more of the file in memory than a line, and a line that did not
change is copied as it is. It is ordinary JSON all the same.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson
from tinydb import Storage

from pyipam.files import replace_file
from pyipam.store.documents import Document
from pyipam.store.tinydb.corruption import corrupted

# So that whoever has a call to answer never waits for a large table to be put into words.
DOCUMENTS_IN_A_LINE = 50
_SEAL = "_pyipam"
_SEAL_START = b'"_pyipam":'
_DISAGREES = "the file does not agree with its checksum"

# A table's name, and the JSON of some of its documents, without the braces around them.
Piece = tuple[str, bytes]


class SealedStorage(Storage):
    """The file of one TinyDB database.

    Its last table, _pyipam, holds the checksum of all that stands before it, and `through`: the
    number of the last committed batch that the file contains.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.through = 0

    def read(self) -> dict[str, dict[str, Any]] | None:
        """All tables, also of a file in which everything is one line; None when there is no file.
        Raises StateCorrupted naming file and byte."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            tables: dict[str, dict[str, Any]] = orjson.loads(content)
            seal = tables.pop(_SEAL)["1"]
            checksum, self.through = seal["crc32"], seal["through"]
        except orjson.JSONDecodeError as error:
            raise corrupted(
                self.path, error.pos, f"it is no whole TinyDB file ({error})"
            ) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise corrupted(self.path, 0, "it was not written by pyipam") from error
        position = content.rfind(_SEAL_START)
        # Where everything is one line, neither the comma nor the brace before the seal counts.
        sealed = content[: position - (content[position - 1 : position] != b"\n")]
        if checksum != zlib.crc32(sealed):
            raise corrupted(self.path, 0, _DISAGREES)
        return tables

    def pieces(self) -> Iterator[Piece]:
        """The tables, a line at a time. Raises StateCorrupted, also at the very end, when the file
        turns out to be another than its checksum says; and OSError."""
        name = ""
        for line in self._lines():
            match line[:1]:
                case b'"':
                    end = line.index(b'"', 1)
                    name = line[1:end].decode()
                    if not line.endswith(b":{\n"):
                        yield name, line[end + 3 : -3]
                case b" " | b",":
                    yield name, line[1:-1]

    def documents(self) -> Iterator[tuple[str, Iterable[Document]]]:
        """The same as documents. Raises as `pieces`."""
        for name, text in self.pieces():
            try:
                documents = from_text(text)
            except ValueError as error:
                raise corrupted(self.path, 0, f"table {name} cannot be read ({error})") from error
            yield name, documents.values()

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the file by these tables. Raises OSError; the old one is still there."""
        self.write_lines(
            line
            for name, table in data.items()
            for line in table_lines(name, map(to_text, _in_portions(table)))
        )

    def write_lines(self, lines: Iterable[bytes]) -> None:
        """The same from lines of `table_lines`. What the file contains may be read meanwhile."""
        replace_file(self.path, self._sealed(lines))

    def verify(self) -> None:
        """Read everything, so that it is known before any of it is used. Raises as `pieces`."""
        deque(self._lines(), maxlen=0)

    def _lines(self) -> Iterator[bytes]:
        """The lines before the seal."""
        checksum = 0
        with self.path.open("rb") as file:
            for line in file:
                if line.startswith(_SEAL_START):
                    expected, self.through = self._read_seal(line)
                    break
                checksum = zlib.crc32(line, checksum)
                yield line
            else:
                raise corrupted(self.path, 0, "it is no whole TinyDB file")
            if checksum != expected or file.read(1):
                raise corrupted(self.path, 0, _DISAGREES)

    def _read_seal(self, line: bytes) -> tuple[int, int]:
        try:
            seal = orjson.loads(b"{" + line)[_SEAL]["1"]
            return seal["crc32"], seal["through"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise corrupted(self.path, 0, f"its checksum cannot be read ({error})") from error

    def _sealed(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        checksum = 0
        for line in chain([b"{\n"], lines):
            checksum = zlib.crc32(line, checksum)
            yield line
        seal = orjson.dumps({"1": {"crc32": checksum, "through": self.through}})
        yield b"%b%b}" % (_SEAL_START, seal)


def table_lines(name: str, texts: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a table, whose documents stand in these pieces. None for an empty one."""
    pieces = iter(texts)
    first = next(pieces, None)
    if first is None:
        return
    second = next(pieces, None)
    if second is None:
        yield b'"%b":{%b},\n' % (name.encode(), first)
        return
    yield b'"%b":{\n' % name.encode()
    yield b" %b\n" % first
    for text in chain([second], pieces):
        yield b",%b\n" % text
    yield b"},\n"


def to_text(documents: Mapping[str, Any]) -> bytes:
    """Documents by their ids, as a piece."""
    return orjson.dumps(documents)[1:-1]


def from_text(text: bytes) -> dict[str, Document]:
    """The reverse. Raises ValueError when it is none."""
    documents: dict[str, Document] = orjson.loads(b"{%b}" % text)
    return documents


def _in_portions(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = iter(table.items())
    while some := dict(islice(rows, DOCUMENTS_IN_A_LINE)):
        yield some
