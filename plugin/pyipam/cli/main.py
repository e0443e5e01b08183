"""The command `pyipam`: its arguments, and which function each of its commands is.

The exit code is 0 on success, 1 with a sentence if the command was refused, and 2 if it was not
understood. Messages go to standard error, because an export may go to standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pyipam.cli.messages import say
from pyipam.cli.moving import export_state, import_state
from pyipam.errors import PyipamError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process; the exit code.

    Raises SystemExit, with the code 2, if the arguments are not understood.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.store_url) == (options.state is not None):
        parser.error("name either a state folder (--state) or a shared store (--store-url)")
    try:
        options.command(options)
    except PyipamError as error:
        say(f"refused: {error}")
        return 1
    except OSError as error:
        say(f"refused: {error.filename or options.file}: {error.strerror}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyipam", description="Moves everything that pyipam holds from one state to another."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    exporting = commands.add_parser("export", help="write everything that a state holds to a file")
    exporting.set_defaults(command=export_state)
    importing = commands.add_parser("import", help="read such a file into an empty state")
    importing.set_defaults(command=import_state)
    importing.add_argument(
        "--force", action="store_true", help="replace everything that the state holds"
    )
    importing.add_argument(
        "--node",
        default="",
        help="into a folder: the node of a shared plan whose place this host takes; into a shared "
        "store: the node (NODE_NAME) that the host becomes",
    )
    for command in (exporting, importing):
        _add_state(command)
        command.add_argument(
            "file", metavar="FILE", help="the export; - is standard output or input"
        )
    return parser


def _add_state(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="the state folder of a plugin (…/plugins/PLUGIN-ID/propagated-mount)",
    )
    command.add_argument(
        "--store-url", default="", metavar="URL", help="a shared store, as in STORE_URL"
    )
    command.add_argument(
        "--store-credentials",
        type=Path,
        metavar="FILE",
        help="the credentials for the shared store, as in the file of STORE_CREDENTIALS_PATH",
    )
