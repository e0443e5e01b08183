"""Rules for the members of a JSON object, checked by Cerberus, and the errors in a document.

The rules are a Cerberus schema. `meta` says what else is known of a member: `description` is for
the JSON Schema that editors read, `wanted` replaces the words in which an error says what the
member must be.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cerberus import TypeDefinition, Validator
from cerberus.errors import BaseErrorHandler

Rules = dict[str, dict[str, Any]]

_TYPE_NAMES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
}
_MAX_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class DocumentError:
    """One thing that is wrong in a JSON document: where (a JSON path), and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class _Validator(Validator):  # type: ignore[misc]
    # To Python, and so to Cerberus, true and false are integers; to JSON they are not.
    types_mapping = Validator.types_mapping | {
        "integer": TypeDefinition("integer", (int,), (bool,))
    }


class _Leaves(BaseErrorHandler):  # type: ignore[misc]
    """Cerberus's errors as `Validator.errors`, with those in the items of a list in place of that
    of the list."""

    def __call__(self, errors: Iterable[Any]) -> Iterator[Any]:
        for error in errors:
            if error.child_errors:
                yield from self(error.child_errors)
            else:
                yield error

    def add(self, error: Any) -> None:
        """Nothing to note: Cerberus hands every error to `__call__`."""


class ObjectRules:
    """The rules for the members of one kind of object."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._validator = _Validator(rules, error_handler=_Leaves)

    def errors(self, path: str, entry: Mapping[str, Any]) -> dict[str, list[DocumentError]]:
        """What is wrong with the object at this path, by the member that it is wrong with.

        Members that are unknown or missing have errors, too.
        """
        if self._validator.validate(entry, normalize=False):
            return {}
        found: dict[str, dict[str, DocumentError]] = {}
        for error in self._validator.errors:
            key, *rest = error.document_path
            place = member_path(path, key) + "".join(f"[{index}]" for index in rest)
            # A value that breaks two rules is one mistake.
            found.setdefault(key, {})[place] = DocumentError(place, self._message(error, entry))
        in_order = [*entry, *(key for key in self._rules if key not in entry)]
        return {key: list(found[key].values()) for key in in_order if key in found}

    def _message(self, error: Any, entry: Mapping[str, Any]) -> str:
        key = error.document_path[0]
        if key not in self._rules:
            near = difflib.get_close_matches(key, self._rules, 1)
            keys = ", ".join(self._rules)
            return f"unknown key; {f'did you mean {near[0]}?' if near else f'the keys are {keys}'}"
        if key not in entry:
            return f"it is missing; it must be {_wanted(self._rules[key])}"
        rule: Any = self._rules
        for step in error.schema_path[:-1]:
            rule = rule[step]
        return f"it must be {_wanted(rule)}, not {shown(error.value)}"


def _wanted(rule: Mapping[str, Any]) -> str:
    """What a value must be, in words."""
    words = rule.get("meta", {}).get("wanted")
    if words is None:
        words = _wanted_by_constraints(rule)
    return f"{words} or null" if rule.get("nullable") else str(words)


def _wanted_by_constraints(rule: Mapping[str, Any]) -> str:
    if "allowed" in rule:
        *others, last = (json.dumps(item) for item in rule["allowed"])
        return f"{', '.join(others)} or {last}" if others else last
    if not rule.get("empty", True):
        return "a string that is not empty"
    name = _TYPE_NAMES[rule["type"]]
    if "max" in rule:
        return f"{name} from {rule['min']} to {rule['max']}"
    return f"{name} of at least {rule['min']}" if "min" in rule else name


def shown(value: Any) -> str:
    """A value as JSON, for a message; a long one is cut."""
    text = json.dumps(value, ensure_ascii=False)
    # JSON strings may have lone surrogates, which cannot be encoded.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= _MAX_SHOWN_CHARACTERS:
        return text
    return f"{text[: _MAX_SHOWN_CHARACTERS - 3]}..."


def member_path(path: str, key: str) -> str:
    """The JSON path of a member of the object at `path`."""
    return f"{path}.{key}" if re.fullmatch(r"\w+", key, re.ASCII) else f"{path}[{shown(key)}]"
