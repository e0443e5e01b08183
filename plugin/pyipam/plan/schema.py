"""Reading a schema: from the text of the file to the tree of its scopes.

All errors are found at once. Each has a JSON path and says what is wrong, with the value, and what
would be right. docs/schema.md describes the keys.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pyipam.plan.object_rules import DocumentError
from pyipam.plan.schema_reader import SchemaReader
from pyipam.plan.scope_tree import ScopeTree

_TOO_DEEP = DocumentError("$", "lists and objects are nested too deeply")


def read_schema(text: str) -> ScopeTree | list[DocumentError]:
    """The scopes that a schema describes, or every error in it."""
    try:
        document = json.loads(text, object_pairs_hook=_Object.of, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return [DocumentError("$", f"this is not valid JSON: {error.msg} at {place}")]
    except ValueError as error:
        return [DocumentError("$", f"this cannot be read as JSON: {error}")]
    except RecursionError:
        return [_TOO_DEEP]
    try:
        return SchemaReader().read(document)
    except RecursionError:
        return [_TOO_DEEP]


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys were given more than once."""

    repeated: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> _Object:
        found = cls(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            found.repeated = tuple(sorted(key for key, count in counts.items() if count > 1))
        return found


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
