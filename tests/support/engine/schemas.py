"""Schemas for the plugin of an engine."""

import json
from pathlib import Path
from typing import Any, Protocol

from tests.support.engine.plugin import Plugin

Scope = dict[str, Any]

# The schema file on the host of the engine. The plugin sees edits in place through its mount.
SCHEMA_PATH = "/etc/pyipam/schema.json"


class UseSchema(Protocol):
    """Restarts the plugin with a schema of these root scopes."""

    def __call__(self, *scopes: Scope) -> None: ...


def default_schema() -> str:
    """The default schema, which is built in."""
    return (Path(__file__).parents[3] / "schema.json").read_text()


def schema_text(*scopes: Scope) -> str:
    """A schema of these root scopes."""
    return json.dumps({"schema_version": 1, "scopes": scopes}, indent=2)


def scope(cidr: str, child_prefix: int | None = None, **keys: Any) -> Scope:
    """A scope, from its network in CIDR notation (`100.64.0.0/24`)."""
    network, prefix = cidr.split("/")
    drawn = {} if child_prefix is None else {"child_prefix": child_prefix}
    return {"network": network, "prefix": int(prefix), **drawn, **keys}


def write_schema(plugin: Plugin, text: str) -> None:
    """Write the file on the host of the engine, in place if it exists."""
    path = plugin.engine.root / SCHEMA_PATH.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mount_schema(plugin: Plugin, text: str) -> None:
    """Restart the plugin with this schema mounted."""
    write_schema(plugin, text)
    plugin.restart_with(SCHEMA_PATH=SCHEMA_PATH)
