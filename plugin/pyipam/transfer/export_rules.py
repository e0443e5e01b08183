"""The rules for each member of an export (see plan/object_rules.py)."""

from __future__ import annotations

from pyipam.plan.object_rules import Rules
from pyipam.store.documents import LEASE_KIND
from pyipam.store.records import LEASE_KINDS

# The largest number that every store and every reader of JSON keeps exactly (RFC 8259, section 6).
_MAX_NUMBER = 2**53 - 1

_NAME = {"type": "string", "required": True, "empty": False}
_TEXT = {"type": "string", "required": True}
_EPOCH = {"type": "integer", "required": True, "min": 0, "max": _MAX_NUMBER}
_TIME = {
    "type": "number",
    "required": True,
    "min": 0,
    "max": _MAX_NUMBER,
    "meta": {"wanted": "a time in seconds"},
}
_RELEASED = {**_TIME, "nullable": True}
_CLAIM = {
    "type": "list",
    "items": [
        {"type": "string", "empty": False},
        {"type": "integer", "min": 0, "max": _MAX_NUMBER},
        {"type": "integer", "min": 1, "max": _MAX_NUMBER},
    ],
    "meta": {"wanted": "[driver, epoch, references]"},
}
_RUN = {
    "type": "list",
    "items": [
        {"type": "string"},
        {"type": "integer", "min": 0, "max": _MAX_NUMBER},
        {"type": "integer", "min": 0, "max": _MAX_NUMBER},
    ],
    "meta": {"wanted": "[engine, local epoch, global epoch]"},
}

_SHARER = {
    "type": "list",
    "items": [
        {"type": "string", "empty": False},
        {"type": "string", "empty": False},
        {"type": "integer", "min": 0, "max": _MAX_NUMBER},
    ],
    "meta": {"wanted": "[pool, driver, epoch]"},
}

PLAN_RULES: Rules = {
    "schema": {"type": "string", "required": True, "nullable": True},
    "drivers": {"type": "list", "required": True},
    "pools": {"type": "list", "required": True},
    "leases": {"type": "list", "required": True},
    "aggregates": {"type": "list"},
    "nodes": {"type": "list"},
}
AGGREGATE_RULES: Rules = {
    "id": _NAME,
    "scope": _NAME,
    "since": _TIME,
    "released": _RELEASED,
    "forgotten": {"type": "boolean"},
}
NODE_RULES: Rules = {
    "name": _NAME,
    "draining": _RELEASED,
    "forgotten": _RELEASED,
}
DRIVER_RULES: Rules = {
    "name": _NAME,
    "engine": _TEXT,
    "local_epoch": _EPOCH,
    "global_epoch": _EPOCH,
    "runs": {"type": "list", "schema": _RUN},
}
POOL_RULES: Rules = {
    "id": _NAME,
    "scope": _TEXT,
    "label": _TEXT,
    "tags": _TEXT,
    "claims": {"type": "list", "required": True, "schema": _CLAIM},
    "created": _TIME,
    "released": _RELEASED,
    "shared": {"type": "boolean"},
    "aggregate": {"type": "string"},
    "follows_swarm": {"type": "boolean"},
}
LEASE_RULES: Rules = {
    "pool": _NAME,
    "address": _NAME,
    LEASE_KIND: {"type": "string", "required": True, "allowed": [*LEASE_KINDS]},
    "driver": _NAME,
    "epoch": _EPOCH,
    "granted": _TIME,
    "released": _RELEASED,
    "named": {"type": "boolean"},
    "sharers": {"type": "list", "schema": _SHARER},
}
