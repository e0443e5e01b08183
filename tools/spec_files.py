"""Short driver names: files on the engine's host that lead from a name to a plugin's socket.

Docker knows a managed plugin only under its full name. It looks for other names in
/etc/docker/plugins/NAME.spec, and connects to the socket that is written there. It reads that file
once, and remembers it until it is restarted. But the path of a plugin's socket changes when the
plugin is removed and installed again. So the file names a link, and the link leads to the socket.
"""

import re
from pathlib import Path

SPEC_DIRECTORY = Path("/etc/docker/plugins")
LINK_DIRECTORY = Path("/etc/docker/pyipam")
# The same rule as the plugin's own (settings.py).
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,16}")
SOCKET_DIRECTORY = Path("/run/docker/plugins")


def alias_names(setting: str) -> list[str]:
    """The names in a DRIVER_ALIASES setting, without those that the plugin refuses."""
    parts = (setting.strip() or "pyipam=").split(";")
    names = (part.partition("=")[0].strip() for part in parts if "=" in part)
    return [name for name in names if _NAME.fullmatch(name) and name != "driver"]


def socket(plugin_id: str, name: str) -> Path:
    """The socket on which the plugin listens for that name."""
    return SOCKET_DIRECTORY / plugin_id / f"{name}.sock"


def link(name: str) -> Path:
    """The link to the socket of the plugin that has the name."""
    return LINK_DIRECTORY / f"{name}.sock"


def spec(name: str) -> Path:
    """The file in which Docker looks the name up."""
    return SPEC_DIRECTORY / f"{name}.spec"


def owner(name: str) -> str | None:
    """The id of the plugin that has the name. Empty if the name leads to something else, None if
    nobody has it.

    A file that names a plugin's socket directly, as people write them by hand, counts too.
    """
    if not spec(name).exists():
        return None
    address = spec(name).read_text().strip()
    if address == f"unix://{link(name)}" and link(name).is_symlink():
        address = f"unix://{link(name).readlink()}"
    prefix = f"unix://{SOCKET_DIRECTORY}/"
    return address.removeprefix(prefix).partition("/")[0] if address.startswith(prefix) else ""


def names_of(plugin_id: str) -> list[str]:
    """The short names that lead to that plugin."""
    names = sorted(path.stem for path in SPEC_DIRECTORY.glob("*.spec"))
    return [name for name in names if owner(name) == plugin_id]


def write(plugin_id: str, names: list[str], living: set[str]) -> list[str]:
    """Let these names, and no others, lead to the plugin. Returns the names that were taken.

    A name is taken if it leads to another plugin that still exists, or to something that is not a
    managed plugin. Such names are left alone.
    """
    others = living - {plugin_id} | {""}
    taken = [name for name in names if owner(name) in others]
    for name in names:
        if name not in taken:
            _replace_link(link(name), socket(plugin_id, name))
            _replace_text(spec(name), f"unix://{link(name)}")
    for name in names_of(plugin_id):
        if name not in names:
            _remove(name)
    return taken


def remove(plugin_id: str) -> list[str]:
    """Remove the names that lead to that plugin. Returns them."""
    names = names_of(plugin_id)
    for name in names:
        _remove(name)
    return names


def _replace_link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(path)


def _replace_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text)
    unfinished.replace(path)


def _remove(name: str) -> None:
    spec(name).unlink()
    link(name).unlink(missing_ok=True)
