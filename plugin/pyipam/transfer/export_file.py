"""The file of an export: everything that a store holds, and the schema that was remembered.

    {"title": "pyipam plan", "format": 1, "sha256": "...",
    "plan": {"schema": TEXT or null, "drivers": [...], "pools": [...], "leases": [...]}}

Each record is on a line of its own, as it is stored (store/documents.py), and the records are
sorted by their keys, so the same records give the same bytes. The checksum is that of `plan`
without line breaks.

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

from pyipam.plan.object_rules import DocumentError, shown
from pyipam.store.documents import to_document
from pyipam.store.records import DriverRecord, LeaseRecord, PoolRecord, Record
from pyipam.transfer.export_reader import ExportReader

FORMAT = 1
_TITLE = "pyipam plan"
_MEMBERS = ("title", "format", "sha256", "plan")
_RECORD_LISTS: dict[str, type[Record]] = {
    "drivers": DriverRecord,
    "pools": PoolRecord,
    "leases": LeaseRecord,
}


@dataclass(frozen=True)
class Export:
    """What is exported: the records, pools before the leases in them, and the text of the schema
    that was remembered, if there is one."""

    records: tuple[Record, ...]
    schema: str | None = None


def write_export(export: Export) -> bytes:
    """The content of the file."""
    plan = b"\n".join(_lines(export))
    head = {"title": _TITLE, "format": FORMAT, "sha256": _checksum(plan.replace(b"\n", b""))}
    return b'%s,\n"plan":%s}\n' % (orjson.dumps(head)[:-1], plan)


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
    return reader.errors or Export(records, document["plan"]["schema"])


def _lines(export: Export) -> Iterator[bytes]:
    yield b'{"schema":%s,' % orjson.dumps(export.schema)
    for name, kind in _RECORD_LISTS.items():
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
        case DriverRecord():
            return record.name, 0
        case PoolRecord():
            return record.id, 0
        case LeaseRecord():
            return record.pool, int(ip_address(record.address))


def _checksum(text: bytes) -> str:
    return sha256(text).hexdigest()


def _problem_of_file(document: Any) -> DocumentError | None:
    """Why the plan in the file is not worth reading, or None."""
    if not isinstance(document, dict) or document.get("title") != _TITLE:
        return DocumentError("$.title", f"this is not an export of pyipam ({_TITLE!r})")
    if document.get("format") != FORMAT:
        return DocumentError(
            "$.format",
            f"the file has format {shown(document.get('format'))}, and this version of pyipam "
            f"reads format {FORMAT}: use the version that wrote the file",
        )
    if set(document) != set(_MEMBERS):
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
