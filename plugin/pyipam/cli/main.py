"""The command `pyipam`: its commands, and how each of them ends.

The exit code is 0 on success, 1 with a sentence if the command was refused or found errors, 2 if
it was not understood, and 3 if `diff` or `reconcile` found differences, or `routes --check` a
prefix that is announced twice. What was asked for goes to
standard output, everything else to standard error. Nobody ever sees a traceback.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence

import click

from pyipam import __version__
from pyipam.cli.commands.aliases import aliases_command
from pyipam.cli.commands.check import check_command
from pyipam.cli.commands.claims import claims_command
from pyipam.cli.commands.completion import completion_command
from pyipam.cli.commands.diff import diff_command
from pyipam.cli.commands.docker_plugin import docker_plugin_group
from pyipam.cli.commands.explain import explain_command
from pyipam.cli.commands.history import history_command
from pyipam.cli.commands.leases import leases_command
from pyipam.cli.commands.nodes import nodes_command
from pyipam.cli.commands.plan import plan_command
from pyipam.cli.commands.pools import pools_command
from pyipam.cli.commands.reconcile import reconcile_command
from pyipam.cli.commands.record import record_command
from pyipam.cli.commands.routes import routes_command
from pyipam.cli.commands.schema import schema_command
from pyipam.cli.commands.scopes import scopes_command
from pyipam.cli.commands.status import status_command
from pyipam.cli.commands.transfer import (
    backup_command,
    export_command,
    import_command,
    restore_command,
)
from pyipam.cli.commands.ui import ui_command
from pyipam.cli.commands.version import version_command
from pyipam.cli.messages import say
from pyipam.cli.sections import Sections
from pyipam.cli.surroundings import Surroundings
from pyipam.errors import PyipamError

_REFUSED = 1
_INTERRUPTED = 130
# By which a shell asks what a line could go on with.
_COMPLETE_VARIABLE = "_PYIPAM_COMPLETE"

# What Docker asks a plugin of its command line for: docker/cli, cli-plugins/metadata/metadata.go.
_METADATA = {
    # One file alone spells the version of pyipam, which may be the same.
    "SchemaVersion": ".".join(("0", "1", "0")),
    "Vendor": "pyipam",
    "Version": __version__,
    "ShortDescription": "Show who has which subnet and address (pyipam)",
}
# Docker's own options before the name of its plugin, and the variables that say the same.
_DOCKER_OPTIONS = {
    "--config": "DOCKER_CONFIG",
    "--context": "DOCKER_CONTEXT",
    "-c": "DOCKER_CONTEXT",
    "--host": "DOCKER_HOST",
    "-H": "DOCKER_HOST",
}


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="pyipam COMMAND --help explains a command. Example: sudo pyipam status",
)
@click.version_option(__version__, prog_name="pyipam", message="%(prog)s %(version)s")
def commands() -> None:
    """Show which network and container has which subnet and address, and keep the plan of pyipam,
    Docker's IPAM plugin, in order."""


commands.add_section(
    "What there is",
    *(status_command, scopes_command, pools_command, leases_command),
    *(nodes_command, claims_command, ui_command),
)
commands.add_section("One address, one network", explain_command, history_command, plan_command)
commands.add_section("A new schema", check_command, diff_command, schema_command)
commands.add_section("Repairs", reconcile_command, aliases_command)
commands.add_section(
    "Backup and moving", backup_command, restore_command, export_command, import_command
)
commands.add_section(
    "This host",
    *(routes_command, record_command, docker_plugin_group, completion_command, version_command),
)


def main(
    arguments: Sequence[str] | None = None,
    name: str = "pyipam",
    surroundings: Surroundings | None = None,
) -> int:
    """Run the command with these arguments, by default those of the process; the exit code.

    Raises SystemExit, with the code 2, if the arguments are not understood.
    """
    _tolerate_any_text()
    try:
        code = commands.main(
            list(sys.argv[1:] if arguments is None else arguments),
            prog_name=name,
            complete_var=_COMPLETE_VARIABLE,
            obj=surroundings or Surroundings(),
            standalone_mode=False,
        )
        _flush_output()
    except click.UsageError as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except click.ClickException as error:
        say(f"refused: {error.format_message()}")
        return _REFUSED
    except PyipamError as error:
        say(f"refused: {error}")
        return _REFUSED
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough. The interpreter would try to write the rest at its end.
        _discard_output()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and not _can_write():
            say(f"refused: standard output cannot be written: {error.strerror or error}")
            return _REFUSED
        say(f"failed: {type(error).__name__}: {error}; please report it with the command")
        return _REFUSED
    return code if isinstance(code, int) else 0


def _tolerate_any_text() -> None:
    """Let the names of files, and answers, hold what cannot be encoded."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush_output() -> None:
    # There is none where it was closed (`>&-`).
    if sys.stdout is not None:
        sys.stdout.flush()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _can_write() -> bool:
    """Whether a line can be written to standard output. What was refused once is not kept there, so
    only another attempt shows it."""
    try:
        print(flush=True)
    except OSError:
        _discard_output()
        return False
    return True


def run() -> None:
    """The program `pyipam`."""
    sys.exit(main())


def run_as_docker_plugin() -> None:
    """The program `docker-pyipam`, which Docker runs for `docker pyipam`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["docker-cli-plugin-metadata"]:
        print(json.dumps(_METADATA))
        return
    sys.exit(main(without_docker_options(arguments), "docker pyipam"))


def without_docker_options(arguments: list[str]) -> list[str]:
    """What follows the name of the plugin. Docker hands its own options on before that; those that
    say which engine is meant are put into the environment, where the SDK looks for them."""
    if "pyipam" not in arguments:
        return arguments
    before = iter(arguments[: arguments.index("pyipam")])
    for option in before:
        name, equals, value = option.partition("=")
        variable = _DOCKER_OPTIONS.get(name)
        if variable is not None:
            os.environ[variable] = value if equals else next(before, "")
            if variable == "DOCKER_CONTEXT":
                # Which would take precedence over it.
                os.environ.pop("DOCKER_HOST", None)
    return arguments[arguments.index("pyipam") + 1 :]
