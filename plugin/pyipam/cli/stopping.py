"""A plugin that is disabled while its state is read or written, and enabled again after that."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.messages import say
from pyipam.cli.refusal import CommandRefused, EngineAway


@contextmanager
def disabled(engine: Engine, plugin: Plugin) -> Iterator[None]:
    """Inside, the plugin is disabled. Afterwards it is enabled again, however the block ends, if
    it was enabled before. Raises CommandRefused or EngineAway."""
    if not plugin.is_enabled:
        yield
        return
    say(
        f"plugin {plugin.name} is being disabled for a moment; if it stays disabled, run docker "
        f"plugin enable {plugin.short_name}"
    )
    former = signal.signal(signal.SIGTERM, _interrupt)
    try:
        engine.disable_plugin(plugin.name)
        yield
    finally:
        # It has to be enabled, even if somebody is impatient.
        impatience = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            _enable(engine, plugin)
        finally:
            signal.signal(signal.SIGINT, impatience)
            signal.signal(signal.SIGTERM, former)


def state_folder(engine: Engine, plugin: Plugin, docker_root: Path | None) -> Path:
    """Where the plugin has its state on the engine's host. `docker_root` is Docker's data folder,
    if not where the engine says. Raises CommandRefused or EngineAway."""
    if plugin.settings.get("STORE_URL"):
        raise CommandRefused(
            f"plugin {plugin.name} keeps its plan in a database (STORE_URL): export it with "
            "--store-url, or back up the database (docs/mongodb.md, Backup)"
        )
    root = docker_root or Path(str(engine.info().get("DockerRootDir") or "/var/lib/docker"))
    folder = root / "plugins" / plugin.id / "propagated-mount"
    try:
        is_here = folder.parent.exists()
    except PermissionError:
        raise CommandRefused(f"only root may look into {root}: use sudo") from None
    if not is_here:
        raise CommandRefused(
            f"there is no {folder.parent} on this host: run this on the host of the engine at "
            f"{engine.address}, as root"
        )
    return folder


def check_is_disabled(plugin: Plugin) -> None:
    """Raise CommandRefused where the plugin is enabled."""
    if plugin.is_enabled:
        raise CommandRefused(
            f"plugin {plugin.name} is enabled and is using its state. Add --disable to disable it "
            "for a moment. Running containers are not affected, but none can be started during "
            "that time, and what Docker releases then stays held"
        )


def _enable(engine: Engine, plugin: Plugin) -> None:
    try:
        engine.enable_plugin(plugin.name)
    except EngineAway as error:
        say(f"plugin {plugin.name} could not be enabled again: {error}")
        raise


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
