"""`pyipam export` and `pyipam import`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyipam.errors import TransferRefused

if TYPE_CHECKING:
    from pyipam.cli.moving import Place

_PATH = click.Path(path_type=Path)


def _names_a_state(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a state, and the file."""
    for add in (
        click.argument("file"),
        click.option(
            "--store-credentials",
            type=_PATH,
            metavar="FILE",
            help="The credentials for the shared store, as in the file of STORE_CREDENTIALS_PATH.",
        ),
        click.option(
            "--store-url", default="", metavar="URL", help="A shared store, as in STORE_URL."
        ),
        click.option(
            "--state",
            type=_PATH,
            metavar="FOLDER",
            help="The state folder of a plugin (…/plugins/PLUGIN-ID/propagated-mount).",
        ),
    ):
        command = add(command)
    return command


@click.command("export")
@_names_a_state
def export_command(
    state: Path | None, store_url: str, store_credentials: Path | None, file: str
) -> None:
    """Write everything that a state holds to a file.

    FILE is the export; - is standard output.
    """
    place = _place(state, store_url, store_credentials)
    # The stores are not needed by any other command.
    from pyipam.cli.moving import export_state

    try:
        export_state(place, file)
    except OSError as error:
        raise _about_a_file(error, file) from None


@click.command("import")
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
    file: str,
    force: bool,
    node: str,
) -> None:
    """Read such a file into an empty state.

    FILE is the export; - is standard input.
    """
    place = _place(state, store_url, store_credentials)
    from pyipam.cli.moving import Importing, import_state

    try:
        import_state(place, file, Importing(node, force))
    except OSError as error:
        raise _about_a_file(error, file) from None


def _place(state: Path | None, store_url: str, credentials: Path | None) -> Place:
    if bool(store_url) == (state is not None):
        raise click.UsageError(
            "name either a state folder (--state) or a shared store (--store-url)"
        )
    from pyipam.cli.moving import Place

    return Place(state, store_url, credentials)


def _about_a_file(error: OSError, file: str) -> TransferRefused:
    return TransferRefused(f"{error.filename or file}: {error.strerror}")
