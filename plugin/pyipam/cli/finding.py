"""Which plugin is meant: the one of the engine, or what the options name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyipam.cli.client import Client, Source, source_of_url
from pyipam.cli.engine import Engine, Plugin, pyipam_plugins
from pyipam.cli.refusal import CommandRefused, EngineAway
from pyipam.cli.surroundings import Surroundings

_MAIN_SOCKET = "driver.sock"


@dataclass(frozen=True)
class Which:
    """What the options say of the plugin: its name, its socket, or the URL of its listener."""

    plugin: str = ""
    socket: Path | None = None
    url: str = ""


@dataclass(frozen=True)
class Found:
    """A plugin whose views can be asked for. `engine` and `plugin` are None where no Docker engine
    was asked."""

    client: Client
    engine: Engine | None = None
    plugin: Plugin | None = None


def find(which: Which, surroundings: Surroundings) -> Found:
    """The plugin that is meant. Raises CommandRefused."""
    if which.socket is not None:
        return Found(Client(Source(str(which.socket), which.socket)))
    if which.url:
        return Found(Client(source_of_url(which.url)))
    own = surroundings.sockets / _MAIN_SOCKET
    try:
        engine = surroundings.connect()
    except EngineAway:
        # Inside the plugin there is no engine, and its own socket at this place.
        if which.plugin or not _exists(own):
            raise
        return Found(Client(Source(str(own), own)))
    plugin = find_plugin(engine, which.plugin)
    if not plugin.is_enabled:
        raise CommandRefused(
            f"plugin {plugin.name} is disabled: docker plugin enable {plugin.short_name}"
        )
    socket = surroundings.sockets / plugin.id / _MAIN_SOCKET
    return Found(Client(Source(str(socket), socket)), engine, plugin)


def find_plugin(engine: Engine, name: str) -> Plugin:
    """The plugin of this name or id, else the only one that is pyipam. Raises CommandRefused."""
    plugins = pyipam_plugins(engine)
    known = ", ".join(plugin.name for plugin in plugins)
    if name:
        chosen = [plugin for plugin in plugins if _is_named(plugin, name)]
        if len(chosen) != 1:
            raise CommandRefused(
                f"the engine at {engine.address} has no pyipam plugin {name}; "
                + (f"it has {known}" if known else "it has none at all")
            )
        return chosen[0]
    if not plugins:
        raise CommandRefused(
            f"the engine at {engine.address} has no pyipam plugin; install it (docker plugin "
            "install), or choose another engine with DOCKER_HOST or docker context use"
        )
    enabled = [plugin for plugin in plugins if plugin.is_enabled]
    if len(plugins) == 1 or len(enabled) == 1:
        return (enabled or plugins)[0]
    raise CommandRefused(
        f"the engine at {engine.address} has several pyipam plugins: say with --plugin which is "
        f"meant, of {known}"
    )


def _is_named(plugin: Plugin, name: str) -> bool:
    return name in (plugin.name, plugin.short_name) or (
        len(name) >= 6 and plugin.id.startswith(name)
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
