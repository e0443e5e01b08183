"""A TinyDB storage that is read and written line by line, and ends with its own checksum.

    {
    "100.64.0.0/30":{"1":{...},"2":{...}},
    "100.64.0.0/20":{
     "1":{...},"2":{...}
    ,"51":{...}
    },
    "_pyipam":{"1":{"crc32":3735928559,"through":42}}}

A table is one line or, if it has many documents, several: its beginning, its documents in portions,
and its end. So only one line of the file has to be in memory at a time, and a line that has not
changed can be copied as it is. The whole file is ordinary JSON.
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

# Few enough that a call does not wait long while a checkpoint encodes a line.
DOCUMENTS_PER_LINE = 50
_SEAL = "_pyipam"
_SEAL_START = b'"_pyipam":'
_CHECKSUM_DIFFERS = "the checksum of the file does not match"

# Some documents of a table, by their ids: a JSON object without the braces around it.
Portion = bytes


class SealedStorage(Storage):
    """The file of one TinyDB database.

    The last table, _pyipam, holds the checksum of everything before it, and `through`: the number
    of the last committed batch that the file contains. `through` is known after the file has been
    read, and must be set before the file is written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.through = 0

    def read(self) -> dict[str, dict[str, Any]] | None:
        """All tables by name, each a mapping from document ids to documents; None if there is no
        file. Also reads files of format 1. Raises StateCorrupted or OSError."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            tables: dict[str, dict[str, Any]] = orjson.loads(content)
            seal = tables.pop(_SEAL)["1"]
            checksum, self.through = seal["crc32"], seal["through"]
        except orjson.JSONDecodeError as error:
            what = f"it is not a complete TinyDB file ({error})"
            raise corrupted(self.path, error.pos, what) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise corrupted(self.path, 0, "it was not written by pyipam") from error
        position = content.rfind(_SEAL_START)
        # In format 1 the checksum covers neither the comma nor the brace before the seal.
        sealed = content[: position - (content[position - 1 : position] != b"\n")]
        if checksum != zlib.crc32(sealed):
            raise corrupted(self.path, 0, _CHECKSUM_DIFFERS)
        return tables

    def portions(self) -> Iterator[tuple[str, Portion]]:
        """Every portion with the name of its table, in order.

        Raises OSError, or StateCorrupted; also at the very end, if the checksum does not match.
        """
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
        """The documents of every portion, with the name of their table. Raises like `portions`."""
        for name, portion in self.portions():
            try:
                documents = decode_portion(portion)
            except ValueError as error:
                raise corrupted(self.path, 0, f"table {name} cannot be read ({error})") from error
            yield name, documents.values()

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the file with these tables, given as `read` returns them. Raises OSError as
        replace_file does."""
        self.write_lines(
            line
            for name, table in data.items()
            for line in table_lines(name, map(encode_portion, _in_portions(table)))
        )

    def write_lines(self, lines: Iterable[bytes]) -> None:
        """Replace the file with tables that are given as lines (see `table_lines`), which may be
        read from the file meanwhile. Raises OSError as replace_file does."""
        replace_file(self.path, self._sealed(lines))

    def verify(self) -> None:
        """Read the file to its end, before anything in it is used. Raises like `portions`."""
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
                raise corrupted(self.path, 0, "it is not a complete TinyDB file")
            if checksum != expected or file.read(1):
                raise corrupted(self.path, 0, _CHECKSUM_DIFFERS)

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


def table_lines(name: str, portions: Iterable[Portion]) -> Iterator[bytes]:
    """The lines of a table that consists of these portions; no lines if there are none."""
    rest = iter(portions)
    first = next(rest, None)
    if first is None:
        return
    second = next(rest, None)
    if second is None:
        yield b'"%b":{%b},\n' % (name.encode(), first)
        return
    yield b'"%b":{\n' % name.encode()
    yield b" %b\n" % first
    for portion in chain([second], rest):
        yield b",%b\n" % portion
    yield b"},\n"


def encode_portion(documents: Mapping[str, Any]) -> Portion:
    """Documents by their ids, as a portion."""
    return orjson.dumps(documents)[1:-1]


def decode_portion(portion: Portion) -> dict[str, Document]:
    """The documents of a portion by their ids. Raises ValueError if it is not one."""
    documents: dict[str, Document] = orjson.loads(b"{%b}" % portion)
    return documents


def _in_portions(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    documents = iter(table.items())
    while some := dict(islice(documents, DOCUMENTS_PER_LINE)):
        yield some
