"""`pyipam aliases`: the short driver names on the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from pyipam.cli.engine import Engine, Plugin, pyipam_plugins
from pyipam.cli.finding import find_plugin
from pyipam.cli.options import print_json, prints_json, prints_quietly, surroundings
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.spec_files import (
    OUTCOMES,
    SpecFolders,
    Step,
    abandoned,
    alias_names,
    names_of,
    steps_for,
    take,
)
from pyipam.cli.tables import table

_REFUSED = 1
_OUTCOMES_OF_A_TRIAL = OUTCOMES | {
    "write": "to be written",
    "refresh": "to be refreshed",
    "take over": "to be taken over: it leads to a plugin that is gone",
    "remove": "to be removed",
    "clear": "to be removed: it leads to a plugin that is gone",
}


@click.command("aliases", epilog="Example: sudo pyipam aliases --dry-run")
@click.option(
    "--plugin",
    default="",
    metavar="NAME",
    help="Which plugin, by name or id, if there are several.",
)
@click.option(
    "--remove",
    is_flag=True,
    help="Remove every short name of the plugin, and of plugins that are gone.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would be done.")
@prints_json
@prints_quietly("Print nothing.")
def aliases_command(plugin: str, remove: bool, dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Let the short names of the driver lead to the plugin.

    The names are those of the setting DRIVER_ALIASES. Files that lead to a plugin that is gone are
    removed. Names that lead elsewhere, and names that Docker takes for the name or id of a
    plugin, are left alone; then the exit code is 1.
    """
    around = surroundings()
    engine = around.connect()
    chosen: Plugin | None
    with _reading(around.spec_folders):
        if remove:
            chosen = _plugin_if_any(engine, plugin)
            steps = _steps_to_remove(around.spec_folders, engine, chosen)
        else:
            chosen = _plugin_with_names(around.spec_folders, engine, plugin)
            steps = _steps(around.spec_folders, engine, chosen)
    if not dry_run:
        if chosen is not None:
            _check_host(around.spec_folders, chosen)
        for step in steps:
            _take(around.spec_folders, "" if chosen is None else chosen.id, step)
    if as_json:
        print_json([step._asdict() for step in steps])
    elif not quiet:
        words = _OUTCOMES_OF_A_TRIAL if dry_run else OUTCOMES
        rows = (
            (step.name, around.spec_folders.spec(step.name), words[step.action]) for step in steps
        )
        click.echo(table(("NAME", "FILE", "STATE"), rows))
    return _REFUSED if any(step.is_refused for step in steps) else 0


def _plugin_if_any(engine: Engine, name: str) -> Plugin | None:
    """The plugin that is meant; None if there is none any more whose names could be removed."""
    return find_plugin(engine, name) if name or pyipam_plugins(engine) else None


def _plugin_with_names(folders: SpecFolders, engine: Engine, name: str) -> Plugin:
    """The plugin that is meant. Where it is gone and left names, the refusal says how to remove
    them."""
    try:
        return find_plugin(engine, name)
    except CommandRefused as refusal:
        left = abandoned(folders, _living(engine))
        if not left:
            raise
        raise CommandRefused(
            f"{refusal}. To remove the short names that lead to a plugin that is gone "
            f"({', '.join(left)}), run pyipam aliases --remove"
        ) from None


def _living(engine: Engine) -> dict[str, str]:
    return {plugin["Id"]: plugin["Name"] for plugin in engine.plugins()}


def _steps(folders: SpecFolders, engine: Engine, plugin: Plugin) -> list[Step]:
    return list(steps_for(folders, plugin.id, alias_names(plugin.aliases), _living(engine)))


def _steps_to_remove(folders: SpecFolders, engine: Engine, plugin: Plugin | None) -> list[Step]:
    own = names_of(folders, plugin.id) if plugin is not None else []
    return [
        *(Step(name, "remove") for name in own),
        *(Step(name, "clear") for name in abandoned(folders, _living(engine))),
    ]


@contextmanager
def _reading(folders: SpecFolders) -> Iterator[None]:
    """Inside, the short names are read. Raises CommandRefused where they cannot be."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise CommandRefused(
            f"the short names in {folders.specs} cannot be read: {error}"
        ) from None


def _check_host(folders: SpecFolders, plugin: Plugin) -> None:
    """Raise CommandRefused where the plugin is enabled and its socket is not on this host."""
    try:
        is_here = folders.socket(plugin.id, "driver").exists()
    except PermissionError:
        raise CommandRefused(f"only root may write to {folders.specs}: use sudo") from None
    if plugin.is_enabled and not is_here:
        raise CommandRefused(
            f"plugin {plugin.name} has no socket on this host: run pyipam aliases on the engine's "
            "host, as root"
        )


def _take(folders: SpecFolders, plugin_id: str, step: Step) -> None:
    try:
        take(folders, plugin_id, step)
    except PermissionError:
        raise CommandRefused(f"only root may write to {folders.specs}: use sudo") from None
    except OSError as error:
        raise CommandRefused(f"{error.filename or folders.specs}: {error.strerror}") from None
