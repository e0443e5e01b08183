"""The rules of the schema, key by key: what the reader checks, editors check, and errors say."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from cerberus import TypeDefinition, Validator

from pyipam.plan.tag_filter import TAG

Rules = dict[str, dict[str, Any]]

# One rule for each key. The descriptions are for the JSON Schema that editors read.
ROOT_RULES: Rules = {
    "schema_version": {
        "type": "integer",
        "allowed": [1],
        "required": True,
        "meta": {"description": "The version of this format: 1."},
    },
    "scopes": {
        "type": "list",
        "required": True,
        "meta": {"description": "The scopes of the plan, each with those below it inside."},
    },
}
SCOPE_RULES: Rules = {
    "network": {
        "type": "string",
        "required": True,
        "meta": {"description": "First address of the scope."},
    },
    "prefix": {
        "type": "integer",
        "min": 0,
        "max": 128,
        "meta": {"description": "Its length; by default the parent's child_prefix."},
    },
    "child_prefix": {
        "type": "integer",
        "min": 0,
        "max": 128,
        "meta": {"description": "Length of the blocks drawn from it, the subnets of networks."},
    },
    "tcp_ip_version": {
        "type": "integer",
        "allowed": [4, 6],
        "meta": {"description": "4 or 6; by default what network is."},
    },
    "tags": {
        "type": "list",
        "meta": {"description": "Names to select the scope by."},
    },
    "propagate_tags": {
        "type": "boolean",
        "meta": {"description": "Scopes below carry these tags too. Default true."},
    },
    "lock_down": {
        "type": "boolean",
        "meta": {"description": "Draw nothing from the scope's own space. Default false."},
    },
    "pre_seed_children": {
        "type": "boolean",
        "meta": {"description": "Make every child block known beforehand. Default false."},
    },
    "scopes": {
        "type": "list",
        "meta": {"description": "Scopes below this one."},
    },
    "reserved": {
        "type": "list",
        "meta": {"description": "Addresses, ranges a-b and CIDRs never given out unasked."},
    },
    "reuse_delay": {
        "type": "number",
        "min": 0,
        "meta": {"description": "Seconds that what was released rests. Default 0."},
    },
    "address_space": {
        "type": "string",
        "allowed": ["local", "global"],
        "meta": {"description": "Automatic blocks only for networks of that kind."},
    },
    "description": {
        "type": "string",
        "meta": {"description": "For people."},
    },
}
_TYPE_NAMES = {
    "integer": "a whole number",
    "list": "a list",
    "string": "a text",
    "boolean": "true or false",
    "number": "a number",
}


class _Validator(Validator):  # type: ignore[misc]
    # To Python, and so to cerberus, true and false are whole numbers; to JSON they are not.
    types_mapping = Validator.types_mapping | {
        "integer": TypeDefinition("integer", (int,), (bool,))
    }


class KeyRules:
    """The rules for the members of one kind of object."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._validator = _Validator(rules)

    def wrong(self, entry: Mapping[str, Any]) -> list[str]:
        """The keys that are not known, missing, or whose values do not keep to their rule."""
        self._validator.validate(dict(entry), normalize=False)
        errors = self._validator._errors
        return list(dict.fromkeys(str(error.document_path[0]) for error in errors))

    def explain(self, key: str, entry: Mapping[str, Any]) -> str:
        """What is wrong with this member."""
        rule = self._rules.get(key)
        if rule is None:
            near = difflib.get_close_matches(key, self._rules, 1)
            keys = ", ".join(self._rules)
            advice = f"did you mean {near[0]}?" if near else f"the keys here are {keys}"
            return f"this key is not known; {advice}"
        wanted = _wanted(rule)
        if key not in entry:
            return f"it is missing; it must be {wanted}"
        return f"it must be {wanted}, not {shown(entry[key])}"


def _wanted(rule: Mapping[str, Any]) -> str:
    if "allowed" in rule:
        return " or ".join(json.dumps(item) for item in rule["allowed"])
    name = _TYPE_NAMES[rule["type"]]
    if "max" in rule:
        return f"{name}, {rule['min']} to {rule['max']}"
    return f"{name}, {rule['min']} or more" if "min" in rule else name


def json_schema() -> dict[str, Any]:
    """The same rules as a JSON Schema, for editors."""
    scope = _json_schema_object(SCOPE_RULES)
    scope["properties"]["tags"]["items"] = {"type": "string", "pattern": f"^{TAG.pattern}$"}
    scope["properties"]["reserved"]["items"] = {"type": "string"}
    scope["properties"]["scopes"]["items"] = {"$ref": "#/definitions/scope"}
    root = _json_schema_object(ROOT_RULES)
    root["properties"]["scopes"]["items"] = {"$ref": "#/definitions/scope"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "pyipam address plan",
        **root,
        "definitions": {"scope": scope},
    }


def _json_schema_object(rules: Rules) -> dict[str, Any]:
    types = {"list": "array"}
    words = {"allowed": "enum", "min": "minimum", "max": "maximum"}
    properties = {}
    for key, rule in rules.items():
        kind = rule["type"]
        properties[key] = {
            "description": rule["meta"]["description"],
            "type": types.get(kind, kind),
            **{word: rule[name] for name, word in words.items() if name in rule},
        }
    return {
        "type": "object",
        "properties": properties,
        "required": [key for key, rule in rules.items() if rule.get("required")],
        "additionalProperties": False,
    }


def shown(value: Any) -> str:
    """A value as the file has it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    # A lone surrogate is a text to JSON, but none that can be written out.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 60 else f"{text[:57]}..."


def member_path(path: str, key: str) -> str:
    """The JSON path of a member of the object at `path`."""
    return f"{path}.{key}" if re.fullmatch(r"\w+", key, re.ASCII) else f"{path}[{shown(key)}]"
