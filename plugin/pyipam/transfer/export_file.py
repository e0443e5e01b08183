"""The file of an export: everything that a store holds, and the schema that was remembered.

    {"title": "pyipam plan", "format": 1, "sha256": "...",
    "plan": {"schema": TEXT or null, "drivers": [...], "pools": [...], "leases": [...]},
    "history": [...]}

Where the plan has aggregates, or operators said something of nodes, the format is 2, and before
`drivers` there are the lists `aggregates` and `nodes`. Versions that do not know them refuse the
file for its format.

Each record is on a line of its own, as it is stored (store/documents.py), and the records are
sorted by their keys, so the same records give the same bytes. The checksum is that of `plan`
without line breaks. `history` may be left out. It has an entry on each line, the oldest first
(history/entries.py), and is not trusted: what is not an entry is left out.

In the export of one host, a pool in the space `local` and a plain driver name belong to that host.
In the export of a store that several nodes share, `local@NODE` and `driver@NODE` name the node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

import orjson

from pyipam.history.entries import from_document, to_line
from pyipam.plan.object_rules import DocumentError, shown
from pyipam.store.documents import to_document
from pyipam.store.records import (
    AggregateRecord,
    DriverRecord,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Record,
)
from pyipam.transfer.export_reader import ExportReader

FORMAT = 1
FORMAT_WITH_AGGREGATES = 2
_TITLE = "pyipam plan"
_MEMBERS = ("title", "format", "sha256", "plan")
_HISTORY = "history"
_LISTS_OF_FORMAT_2: dict[str, type[Record]] = {
    "aggregates": AggregateRecord,
    "nodes": NodeRecord,
}
_RECORD_LISTS: dict[str, type[Record]] = {
    "drivers": DriverRecord,
    "pools": PoolRecord,
    "leases": LeaseRecord,
}


@dataclass(frozen=True)
class Export:
    """What is exported: the records, pools before the leases in them, the text of the schema that
    was remembered, if there is one, and the lines of the history."""

    records: tuple[Record, ...]
    schema: str | None = None
    history: tuple[bytes, ...] = ()


def write_export(export: Export) -> bytes:
    """The content of the file."""
    plan = b"\n".join(_lines(export))
    file_format = FORMAT_WITH_AGGREGATES if _needs_format_2(export) else FORMAT
    checksum = _checksum(plan.replace(b"\n", b""))
    head = {"title": _TITLE, "format": file_format, "sha256": checksum}
    past = b',\n"history":[\n%s]' % b",\n".join(export.history) if export.history else b""
    return b'%s,\n"plan":%s%s}\n' % (orjson.dumps(head)[:-1], plan, past)


def read_export(content: bytes) -> Export | list[DocumentError]:
    """What a file of this content holds, or every error in it.

    If the file is not an export, is of another format, or was changed, that is the only error.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return [DocumentError("$", f"this cannot be read as JSON: {error}")]
    problem = _problem_of_file(document)
    if problem is not None:
        return [problem]
    reader = ExportReader()
    records = reader.read(document["plan"])
    if reader.errors:
        return reader.errors
    return Export(records, document["plan"]["schema"], _read_history(document.get(_HISTORY)))


def _read_history(entries: Any) -> tuple[bytes, ...]:
    found = map(from_document, entries if isinstance(entries, list) else ())
    return tuple(to_line(entry) for entry in found if entry is not None)


def _needs_format_2(export: Export) -> bool:
    return any(isinstance(record, AggregateRecord | NodeRecord) for record in export.records)


def _lines(export: Export) -> Iterator[bytes]:
    yield b'{"schema":%s,' % orjson.dumps(export.schema)
    lists = _RECORD_LISTS
    if _needs_format_2(export):
        lists = _LISTS_OF_FORMAT_2 | _RECORD_LISTS
    for name, kind in lists.items():
        records = (record for record in export.records if isinstance(record, kind))
        documents = [orjson.dumps(_without_kind(record)) for record in sorted(records, key=_order)]
        closing = b"]}" if name == "leases" else b"],"
        if not documents:
            yield b'"%s":[%s' % (name.encode(), closing)
            continue
        yield b'"%s":[' % name.encode()
        yield from (document + b"," for document in documents[:-1])
        yield documents[-1] + closing


def _without_kind(record: Record) -> dict[str, Any]:
    """The document of a record; its list says of which kind it is."""
    document = to_document(record)
    del document["kind"]
    return document


def _order(record: Record) -> tuple[str, int]:
    match record:
        case DriverRecord() | NodeRecord():
            return record.name, 0
        case PoolRecord() | AggregateRecord():
            return record.id, 0
        case LeaseRecord():
            return record.pool, int(ip_address(record.address))


def _checksum(text: bytes) -> str:
    return sha256(text).hexdigest()


def _problem_of_file(document: Any) -> DocumentError | None:
    """Why the plan in the file is not worth reading, or None."""
    if not isinstance(document, dict) or document.get("title") != _TITLE:
        return DocumentError("$.title", f"this is not an export of pyipam ({_TITLE!r})")
    if document.get("format") not in (FORMAT, FORMAT_WITH_AGGREGATES):
        return DocumentError(
            "$.format",
            f"the file has format {shown(document.get('format'))}, and this version of pyipam "
            f"reads formats {FORMAT} and {FORMAT_WITH_AGGREGATES}: use the version that wrote the "
            "file",
        )
    if set(document) - {_HISTORY} != set(_MEMBERS):
        return DocumentError(
            "$", f"the members must be {', '.join(_MEMBERS)}, not {', '.join(document)}"
        )
    try:
        is_unchanged = document["sha256"] == _checksum(orjson.dumps(document["plan"]))
    except TypeError:
        # orjson reads deeper nesting than it writes. pyipam wrote no such file.
        is_unchanged = False
    if is_unchanged:
        return None
    return DocumentError(
        "$.plan",
        "this does not match its checksum: it was changed or corrupted after it was exported",
    )
