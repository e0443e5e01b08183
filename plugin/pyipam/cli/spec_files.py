"""Short driver names: files on the engine's host that lead from a name to a plugin's socket.

Docker knows a managed plugin only under its full name. It looks for other names in
/etc/docker/plugins/NAME.spec, and connects to the socket that is written there. It reads that file
once, and remembers it until it is restarted. But the path of a plugin's socket changes when the
plugin is removed and installed again. So the file names a link, and the link leads to the socket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pyipam.driver_names import is_alias_name

# What became of a name, by the action of its `Step`.
OUTCOMES = {
    "write": "written",
    "refresh": "refreshed",
    "take over": "taken over: it led to a plugin that is gone",
    "keep": "in place",
    "remove": "removed",
    "clear": "removed: it led to a plugin that is gone",
    "taken": "left alone: it leads elsewhere",
    "hidden": "not usable: Docker takes it for a plugin's own name or id; choose another name",
}


@dataclass(frozen=True)
class SpecFolders:
    """Where the files are: those that Docker reads, the links, and the sockets of plugins."""

    specs: Path = Path("/etc/docker/plugins")
    links: Path = Path("/etc/docker/pyipam")
    sockets: Path = Path("/run/docker/plugins")

    def socket(self, plugin_id: str, name: str) -> Path:
        """The socket on which the plugin listens for that name."""
        return self.sockets / plugin_id / f"{name}.sock"

    def link(self, name: str) -> Path:
        """The link to the socket of the plugin that has the name."""
        return self.links / f"{name}.sock"

    def spec(self, name: str) -> Path:
        """The file in which Docker looks the name up."""
        return self.specs / f"{name}.spec"

    def names(self) -> list[str]:
        """The names that Docker finds."""
        return sorted(path.stem for path in self.specs.glob("*.spec"))


class Step(NamedTuple):
    """What is to be done about a name, or why nothing is."""

    name: str
    action: Literal["write", "refresh", "take over", "keep", "remove", "clear", "taken", "hidden"]

    @property
    def is_refused(self) -> bool:
        """Whether the name cannot lead to the plugin."""
        return self.action in ("taken", "hidden")


def alias_names(setting: str) -> list[str]:
    """The names in a DRIVER_ALIASES setting, without those that the plugin refuses."""
    parts = (setting.strip() or "pyipam=").split(";")
    names = (part.partition("=")[0].strip() for part in parts if "=" in part)
    return [name for name in names if is_alias_name(name)]


def owner(folders: SpecFolders, name: str) -> str | None:
    """The id of the plugin that has the name. Empty if the name leads to something else, None if
    nobody has it.

    A file that names a plugin's socket directly, as people write them by hand, counts too.
    """
    spec, link = folders.spec(name), folders.link(name)
    if not spec.exists():
        return None
    address = spec.read_text().strip()
    if address == f"unix://{link}" and link.is_symlink():
        address = f"unix://{link.readlink()}"
    prefix = f"unix://{folders.sockets}/"
    return address.removeprefix(prefix).partition("/")[0] if address.startswith(prefix) else ""


def names_of(folders: SpecFolders, plugin_id: str) -> list[str]:
    """The short names that lead to that plugin."""
    return [name for name in folders.names() if owner(folders, name) == plugin_id]


def abandoned(folders: SpecFolders, living: Collection[str]) -> list[str]:
    """The names that were written for plugins that are gone. `living` are ids of plugins.

    Files that people wrote by hand are not among them. Neither are names of the plugins of another
    engine on this host, as far as their sockets tell.
    """
    return [
        name
        for name in folders.names()
        if _is_written_here(folders, name)
        and (holder := owner(folders, name))
        and holder not in living
        and not folders.socket(holder, name).parent.exists()
    ]


def steps_for(
    folders: SpecFolders, plugin_id: str, names: list[str], living: Mapping[str, str]
) -> Iterator[Step]:
    """What lets these names, and no others, lead to the plugin. `living` are the names of plugins,
    with their tags, by id.

    A name is taken if it leads to another plugin that still exists, or to something that is not a
    managed plugin. It is hidden if it is the name of a plugin with the tag `latest`, or a plugin's
    id begins with it: Docker then takes it for that plugin (`resolvePluginID` in moby's
    plugin/store.go), and does not read the file. Such names are left alone. One that leads to a
    plugin that is gone, such as this one before it was installed again, is taken over, and is
    cleared away if it is none of these.
    """
    for name in names:
        holder = owner(folders, name)
        if f"{name}:latest" in living.values() or any(other.startswith(name) for other in living):
            yield Step(name, "hidden")
        elif holder is None:
            yield Step(name, "write")
        elif holder == "" or (holder != plugin_id and holder in living):
            yield Step(name, "taken")
        elif holder != plugin_id:
            yield Step(name, "take over")
        elif _is_in_place(folders, plugin_id, name):
            yield Step(name, "keep")
        else:
            yield Step(name, "refresh")
    for name in names_of(folders, plugin_id):
        if name not in names:
            yield Step(name, "remove")
    for name in abandoned(folders, living):
        if name not in names:
            yield Step(name, "clear")


def write(
    folders: SpecFolders, plugin_id: str, names: list[str], living: Mapping[str, str]
) -> list[Step]:
    """Let these names, and no others, lead to the plugin; see `steps_for`. Returns what was done.
    Raises OSError."""
    steps = list(steps_for(folders, plugin_id, names, living))
    for step in steps:
        take(folders, plugin_id, step)
    return steps


def remove(folders: SpecFolders, plugin_id: str) -> list[str]:
    """Remove the names that lead to that plugin. Returns them. Raises OSError."""
    names = names_of(folders, plugin_id)
    for name in names:
        take(folders, plugin_id, Step(name, "remove"))
    return names


def take(folders: SpecFolders, plugin_id: str, step: Step) -> None:
    """Do it. Raises OSError."""
    if step.action in ("write", "refresh", "take over"):
        _replace_link(folders.link(step.name), folders.socket(plugin_id, step.name))
        _replace_text(folders.spec(step.name), f"unix://{folders.link(step.name)}")
    elif step.action in ("remove", "clear"):
        folders.spec(step.name).unlink()
        folders.link(step.name).unlink(missing_ok=True)


def _is_in_place(folders: SpecFolders, plugin_id: str, name: str) -> bool:
    socket = folders.socket(plugin_id, name)
    return _is_written_here(folders, name) and folders.link(name).readlink() == socket


def _is_written_here(folders: SpecFolders, name: str) -> bool:
    link = folders.link(name)
    return folders.spec(name).read_text() == f"unix://{link}" and link.is_symlink()


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
