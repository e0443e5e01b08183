"""`pyipam backup` and `restore`, `export` and `import`: a state as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.finding import find_plugin
from pyipam.cli.options import surroundings
from pyipam.cli.stopping import check_is_disabled, disabled, state_folder
from pyipam.errors import TransferRefused

if TYPE_CHECKING:
    from pyipam.cli.moving import Place

# The stores are imported by these commands alone, when they run.

Command = Callable[..., Any]
_PATH = click.Path(path_type=Path)
_STATE = click.option(
    "--state",
    type=_PATH,
    metavar="FOLDER",
    help="The state folder of a plugin (…/plugins/PLUGIN-ID/propagated-mount), instead of the one "
    "that Docker has.",
)
_PLUGIN = (
    click.option(
        "--disable",
        "may_disable",
        is_flag=True,
        help="Disable the plugin for a moment, and enable it again.",
    ),
    click.option(
        "--plugin", default="", metavar="NAME", help="Which plugin, if there are several."
    ),
)
_STORE = (
    click.option(
        "--store-credentials",
        type=_PATH,
        metavar="FILE",
        help="The credentials for the shared store, as in the file of STORE_CREDENTIALS_PATH.",
    ),
    click.option("--store-url", default="", metavar="URL", help="A shared store, as in STORE_URL."),
)


def _with(*options: Command) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return add


_names_a_state = _with(click.argument("file"), *_PLUGIN, *_STORE, _STATE)
_names_a_folder = _with(click.argument("file"), *_PLUGIN, _STATE)


@click.command("backup", epilog="Example: sudo pyipam backup --disable backup.json")
@_names_a_folder
def backup_command(state: Path | None, plugin: str, may_disable: bool, file: str) -> None:
    """Write everything that the plugin holds to a file.

    FILE is like that of `export`; - is standard output.
    """
    where = _where(state, "", None, plugin, may_disable)
    _export(where, file)


@click.command("restore", epilog="Example: sudo pyipam restore --disable backup.json")
@_names_a_folder
@click.option(
    "--discard-newer",
    is_flag=True,
    help="Restore even if the plugin has since given out what is not in the backup.",
)
def restore_command(
    state: Path | None, plugin: str, may_disable: bool, file: str, discard_newer: bool
) -> None:
    """Go back to what the plugin held at the time of a backup.

    FILE was written by `backup`; - is standard input.
    """
    from pyipam.cli.moving import read_backup, restore_and_discard_newer, restore_state

    where = _where(state, "", None, plugin, may_disable)
    folder = where.place.folder
    assert folder is not None
    restore = restore_and_discard_newer if discard_newer else restore_state
    with _about(file):
        backup = read_backup(folder, file)
        with where.unused():
            restore(folder, backup)


@click.command("export", epilog="Example: sudo pyipam export --disable plan.json")
@_names_a_state
def export_command(
    state: Path | None,
    store_url: str,
    store_credentials: Path | None,
    plugin: str,
    may_disable: bool,
    file: str,
) -> None:
    """Write a plan to a file, to move it elsewhere.

    FILE is the export; - is standard output. The plan is that of the plugin that Docker has, if no
    other is named.
    """
    where = _where(state, store_url, store_credentials, plugin, may_disable)
    _export(where, file)


@click.command("import", epilog="Example: sudo pyipam import --disable plan.json")
@_names_a_state
@click.option("--force", is_flag=True, help="Replace everything that the state holds.")
@click.option(
    "--node",
    default="",
    metavar="NAME",
    help="Into a folder: the node of a shared plan whose place this host takes; into a shared "
    "store: the node (NODE_NAME) that the host becomes.",
)
def import_command(
    state: Path | None,
    store_url: str,
    store_credentials: Path | None,
    plugin: str,
    may_disable: bool,
    file: str,
    force: bool,
    node: str,
) -> None:
    """Read a plan from a file that `export` wrote.

    FILE is the export; - is standard input. It is read into the plugin that Docker has, if no other
    place is named; that must hold nothing yet, unless --force is given.
    """
    from pyipam.cli.moving import Importing, import_state, read_import

    where = _where(state, store_url, store_credentials, plugin, may_disable)
    how = Importing(node, force)
    with _about(file):
        export = read_import(where.place, file, how)
        with where.unused():
            import_state(where.place, export, how)


def _export(where: _Where, file: str) -> None:
    from pyipam.cli.moving import check_can_save, export_state, save_export

    with _about(file):
        # No plugin is disabled for what cannot be saved.
        check_can_save(file)
        with where.unused():
            export = export_state(where.place)
        # A large plan takes a while to write, and no plugin waits for it.
        save_export(export, where.place, file)


@dataclass(frozen=True)
class _Where:
    """The state that is meant, and the plugin that has it, with its engine, unless a folder or a
    store was named."""

    place: Place
    user: tuple[Engine, Plugin] | None = None

    @contextmanager
    def unused(self) -> Iterator[None]:
        """Inside, the plugin does not use the state. Raises CommandRefused or EngineAway."""
        with nullcontext() if self.user is None else disabled(*self.user):
            yield


def _where(
    state: Path | None, store_url: str, credentials: Path | None, plugin: str, may_disable: bool
) -> _Where:
    """The state that the options mean. Raises UsageError, CommandRefused or EngineAway."""
    from pyipam.cli.moving import Place

    if store_url and state is not None:
        raise click.UsageError("name a state folder (--state) or a shared store (--store-url)")
    if credentials is not None and not store_url:
        raise click.UsageError("--store-credentials needs --store-url")
    if store_url or state is not None:
        if plugin or may_disable:
            raise click.UsageError(
                "--plugin and --disable refer to the plugin in Docker; they cannot be used with "
                "--state or --store-url"
            )
        return _Where(Place(state, store_url, credentials))
    around = surroundings()
    engine = around.connect()
    found = find_plugin(engine, plugin)
    folder = state_folder(engine, found, around.docker_root)
    if not may_disable:
        check_is_disabled(found)
    return _Where(Place(folder, "", None), (engine, found))


@contextmanager
def _about(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransferRefused(f"{error.filename or file}: {error.strerror}") from None
