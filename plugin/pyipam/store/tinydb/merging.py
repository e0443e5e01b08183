"""A TinyDB file as it must be after a checkpoint: the former one, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from pyipam.store.documents import DOCUMENT_START, Document, names_in, to_document
from pyipam.store.tinydb.contents import Contents
from pyipam.store.tinydb.sealed_storage import (
    DOCUMENTS_IN_A_LINE,
    Piece,
    from_text,
    table_lines,
    to_text,
)


def merged_lines(file: str, former: Iterable[Piece], contents: Contents) -> Iterator[bytes]:
    """The lines of the file, from the pieces that it consisted of. What has not changed is copied
    without being read. Raises ValueError or KeyError when a piece cannot be read."""
    changed = contents.changed_tables()
    for name, pieces in groupby(former, itemgetter(0)):
        texts: Iterator[bytes] = (text for _, text in pieces)
        if name in changed:
            del changed[name]
            texts = _merged_texts(file, name, texts, contents)
        yield from table_lines(name, texts)
    for name in changed:
        yield from table_lines(name, _merged_texts(file, name, (), contents))


def _merged_texts(
    file: str, table: str, texts: Iterable[bytes], contents: Contents
) -> Iterator[bytes]:
    dropped, changed = contents.has_dropped(table), contents.changed_names(table)
    last = b""
    waiting: dict[str, Document] = {}
    for text in texts:
        last = text
        # What waits goes on with the next line, so that the ids in a table always ascend.
        if not (dropped or waiting) and _is_full(text) and changed.isdisjoint(names_in(text)):
            yield text
            continue
        documents = from_text(text).items()
        waiting |= {id: item for id, item in documents if contents.contains_still(item)}
        if len(waiting) >= DOCUMENTS_IN_A_LINE:
            yield from _texts(waiting)
            waiting = {}
    number = max(map(int, from_text(last)), default=0)
    for record in contents.added(file, table):
        number += 1
        waiting[str(number)] = to_document(record)
        if len(waiting) >= DOCUMENTS_IN_A_LINE:
            yield to_text(waiting)
            waiting = {}
    if waiting:
        yield to_text(waiting)


def _texts(documents: dict[str, Document]) -> Iterator[bytes]:
    """Pieces of at least DOCUMENTS_IN_A_LINE documents, and less than twice as many."""
    rows = list(documents.items())
    count = len(rows) // DOCUMENTS_IN_A_LINE
    for number in range(count):
        first, end = (len(rows) * edge // count for edge in (number, number + 1))
        yield to_text(dict(rows[first:end]))


def _is_full(text: bytes) -> bool:
    return text.count(DOCUMENT_START) >= DOCUMENTS_IN_A_LINE
