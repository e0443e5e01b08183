"""Address plans for the plugin of an engine."""

import json
from pathlib import Path
from typing import Any, Protocol

from tests.support.engine.plugin import Plugin

Scope = dict[str, Any]

# Where the plan is on the engine's host; edits in place are seen through the plugin's mount.
SCHEMA_PATH = "/etc/pyipam/schema.json"


class UseSchema(Protocol):
    """Restarts the plugin with a schema of these root scopes."""

    def __call__(self, *scopes: Scope) -> None: ...


def default_schema() -> str:
    """The schema that is built in: the example of the user's document."""
    return (Path(__file__).parents[3] / "schema.json").read_text()


def schema_text(*scopes: Scope) -> str:
    """A schema of these root scopes."""
    return json.dumps({"schema_version": 1, "scopes": scopes}, indent=2)


def scope(cidr: str, child_prefix: int | None = None, **keys: Any) -> Scope:
    """A scope with its network as people write it (`100.64.0.0/24`)."""
    network, prefix = cidr.split("/")
    drawn = {} if child_prefix is None else {"child_prefix": child_prefix}
    return {"network": network, "prefix": int(prefix), **drawn, **keys}


def write_schema(plugin: Plugin, text: str) -> None:
    """Write the file on the engine's host, in place if it is there already."""
    path = plugin.engine.root / SCHEMA_PATH.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mount_schema(plugin: Plugin, text: str) -> None:
    """Start the plugin again with this text as its schema."""
    write_schema(plugin, text)
    plugin.restart_with(SCHEMA_PATH=SCHEMA_PATH)
