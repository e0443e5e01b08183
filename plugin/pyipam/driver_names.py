"""The names under which Docker knows the plugin (docs/architecture.md, "Settings and names")."""

from __future__ import annotations

import re

# The driver name of the plugin's main socket.
MAIN_DRIVER = "driver"
# The path of an alias's socket must fit into the 107 bytes of sun_path (unix(7)).
_ALIAS_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,16}")


def is_alias_name(name: str) -> bool:
    """Whether an alias can have this name."""
    return _ALIAS_NAME.fullmatch(name) is not None and name != MAIN_DRIVER
