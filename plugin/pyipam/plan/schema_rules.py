"""The rules for each key of the schema, and the JSON Schema that editors read."""

from __future__ import annotations

from typing import Any

from pyipam.plan.object_rules import Rules
from pyipam.plan.tag_filter import TAG
from pyipam.plan.unusable import UNUSABLE_NETWORKS

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
        "meta": {"description": "The scopes of the plan. A scope contains the scopes below it."},
    },
}
SCOPE_RULES: Rules = {
    "network": {
        "type": "string",
        "required": True,
        "meta": {"description": "The first address of the scope."},
    },
    "prefix": {
        "type": "integer",
        "min": 0,
        "max": 128,
        "meta": {
            "description": "The prefix length of the scope. Default: the parent's child_prefix."
        },
    },
    "child_prefix": {
        "type": "integer",
        "min": 0,
        "max": 128,
        "meta": {
            "description": "The prefix length of the subnets that networks get from it. A scope "
            f"with it overlaps none of {', '.join(UNUSABLE_NETWORKS.values())}."
        },
    },
    "tcp_ip_version": {
        "type": "integer",
        "allowed": [4, 6],
        "meta": {"description": "4 or 6. Default: the version of network."},
    },
    "tags": {
        "type": "list",
        "meta": {"description": "Names to select the scope by."},
    },
    "propagate_tags": {
        "type": "boolean",
        "meta": {"description": "Whether the scopes below also carry these tags. Default: true."},
    },
    "lock_down": {
        "type": "boolean",
        "meta": {"description": "Whether its own space is closed to networks. Default: false."},
    },
    "pre_seed_children": {
        "type": "boolean",
        "meta": {"description": "Whether every child block is listed in advance. Default: false."},
    },
    "scopes": {
        "type": "list",
        "meta": {"description": "The scopes below this one."},
    },
    "reserved": {
        "type": "list",
        "meta": {
            "description": "Addresses, ranges a-b and CIDRs given out only on explicit request."
        },
    },
    "reuse_delay": {
        "type": "number",
        "min": 0,
        "meta": {"description": "Seconds until something released is given out again. Default: 0."},
    },
    "address_space": {
        "type": "string",
        "allowed": ["local", "global"],
        "meta": {"description": "Give automatic blocks only to networks in this address space."},
    },
    "description": {
        "type": "string",
        "meta": {"description": "A comment."},
    },
    "node_prefix": {
        "type": "integer",
        "min": 0,
        "max": 128,
        "meta": {
            "description": "The prefix length of the blocks that each node claims for itself, to "
            "draw the subnets of its networks from. Default: none are claimed."
        },
    },
}


def json_schema() -> dict[str, Any]:
    """The same rules as a JSON Schema, draft 2020-12, for editors."""
    scope = _json_schema_object(SCOPE_RULES)
    scope["properties"]["tags"]["items"] = {"type": "string", "pattern": f"^{TAG.pattern}$"}
    scope["properties"]["reserved"]["items"] = {"type": "string"}
    scope["properties"]["scopes"]["items"] = {"$ref": "#/$defs/scope"}
    root = _json_schema_object(ROOT_RULES)
    root["properties"]["scopes"]["items"] = {"$ref": "#/$defs/scope"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pyipam address plan",
        **root,
        "$defs": {"scope": scope},
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
