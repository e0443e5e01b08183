"""A TinyDB file as a checkpoint writes it: the previous file, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from pyipam.store.documents import DOCUMENT_START, Document, names_in, to_document
from pyipam.store.tinydb.file_index import FileIndex
from pyipam.store.tinydb.sealed_storage import (
    DOCUMENTS_PER_LINE,
    Portion,
    decode_portion,
    encode_portion,
    table_lines,
)


def merged_lines(
    file: str, previous: Iterable[tuple[str, Portion]], index: FileIndex
) -> Iterator[bytes]:
    """The lines of a file that contains every change of the index.

    `previous` are the portions of the present file, each with the name of its table. A portion in
    which nothing has changed is copied without being decoded. Raises KeyError or ValueError if one
    cannot be decoded.
    """
    changed = index.changed_tables()
    for name, items in groupby(previous, itemgetter(0)):
        portions: Iterator[Portion] = (portion for _, portion in items)
        if name in changed:
            del changed[name]
            portions = _merged_portions(file, name, portions, index)
        yield from table_lines(name, portions)
    for name in changed:
        yield from table_lines(name, _merged_portions(file, name, (), index))


def _merged_portions(
    file: str, table: str, previous: Iterable[Portion], index: FileIndex
) -> Iterator[Portion]:
    dropped, changed = index.has_dropped(table), index.changed_names(table)
    last = b""
    waiting: dict[str, Document] = {}
    for portion in previous:
        last = portion
        # What is pending is joined to the next portion, so that ids ascend within a table.
        if not (dropped or waiting) and _is_full(portion) and changed.isdisjoint(names_in(portion)):
            yield portion
            continue
        documents = decode_portion(portion).items()
        waiting |= {id: document for id, document in documents if index.is_current(document)}
        if len(waiting) >= DOCUMENTS_PER_LINE:
            yield from _split(waiting)
            waiting = {}
    last_id = max(map(int, decode_portion(last)), default=0)
    for id, record in enumerate(index.changed_records(file, table), start=last_id + 1):
        waiting[str(id)] = to_document(record)
        if len(waiting) >= DOCUMENTS_PER_LINE:
            yield encode_portion(waiting)
            waiting = {}
    if waiting:
        yield encode_portion(waiting)


def _split(documents: dict[str, Document]) -> Iterator[Portion]:
    """Portions of at least DOCUMENTS_PER_LINE documents, and less than twice as many."""
    items = list(documents.items())
    count = len(items) // DOCUMENTS_PER_LINE
    for number in range(count):
        first, end = (len(items) * edge // count for edge in (number, number + 1))
        yield encode_portion(dict(items[first:end]))


def _is_full(portion: Portion) -> bool:
    return portion.count(DOCUMENT_START) >= DOCUMENTS_PER_LINE
