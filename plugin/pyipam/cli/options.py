"""The options that several commands have, and what they print."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pyipam.cli.completing import complete_filters
from pyipam.cli.finding import Found, Which, find
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.surroundings import Surroundings

Command = Callable[..., Any]


class Number(click.IntRange):
    """A whole number between two bounds. The message about something else calls it by this name."""

    name = "number"


def reads_plugin(command: Command) -> Command:
    """Give a command the options that name a plugin; it is called with `which`."""

    @functools.wraps(command)
    def called(plugin: str, socket: Path | None, url: str, *arguments: Any, **options: Any) -> Any:
        # As of the other two, an empty one counts as left out.
        socket = None if socket == Path() else socket
        if sum(map(bool, (plugin, socket, url))) > 1:
            raise click.UsageError("name the plugin by one of --plugin, --socket and --url")
        return command(*arguments, which=Which(plugin, socket, url), **options)

    return _names_plugin_or_socket(_names_url(called))


def changes_plugin(command: Command) -> Command:
    """The same for a command that changes something, which a plugin's listener on TCP refuses."""

    @functools.wraps(command)
    def called(plugin: str, socket: Path | None, *arguments: Any, **options: Any) -> Any:
        socket = None if socket == Path() else socket
        if plugin and socket:
            raise click.UsageError("name the plugin by one of --plugin and --socket")
        return command(*arguments, which=Which(plugin, socket), **options)

    return _names_plugin_or_socket(called)


def is_for_subcommand() -> bool:
    """Whether a command of the group follows the one that runs, which does nothing then. Raises
    UsageError where options stand between the two: they would have no effect."""
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        return False
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"write {', '.join(given)} after {context.invoked_subcommand}")
    return True


def _names_url(command: Command) -> Command:
    return click.option(
        "--url",
        default="",
        metavar="URL",
        help="Read the plugin over TCP (STATUS_ADDR): http://127.0.0.1:9430.",
    )(command)


def _names_plugin_or_socket(command: Command) -> Command:
    named = click.option(
        "--plugin",
        default="",
        metavar="NAME",
        help="Which plugin, by name or id, if there are several.",
    )
    at = click.option(
        "--socket",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Ask the plugin's socket at PATH, without asking Docker.",
    )
    return named(at(command))


def prints_json(command: Command) -> Command:
    """Give a command the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        command
    )


def prints_quietly(what: str) -> Callable[[Command], Command]:
    """Give a command the option -q; `what` says what it prints then."""
    return click.option("-q", "--quiet", is_flag=True, help=what)


def takes_filters(known: Sequence[str]) -> Callable[[Command], Command]:
    """Give a command the option --filter with these keys; it is called with `filters`."""
    return click.option(
        "-f",
        "--filter",
        "filters",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=complete_filters(known),
        help=f"Show only those with this value; may be repeated. Keys: {', '.join(known)}.",
    )


def surroundings() -> Surroundings:
    """What the command that runs finds around itself."""
    found = click.get_current_context().find_object(Surroundings)
    return found or Surroundings()


def found_plugin(which: Which) -> Found:
    """The plugin that is meant. Raises CommandRefused."""
    return find(which, surroundings())


def print_json(content: object) -> None:
    """Print it as JSON, for programs and for people."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def read_filters(
    pairs: Iterable[str], known: Sequence[str], **given: str | None
) -> dict[str, str | None]:
    """The values of --filter KEY=VALUE, and of the options that stand for one. Raises
    UsageError."""
    found: dict[str, str | None] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise click.UsageError(
                f"--filter {pair}: write KEY=VALUE, with a key of {', '.join(known)}"
            )
        if name in found:
            raise click.UsageError(f"--filter {pair}: {name} is chosen twice; once will do")
        found[name] = value
    for name, chosen in given.items():
        if chosen is not None and found.setdefault(name, chosen) != chosen:
            raise click.UsageError(
                f"{name} is chosen twice, as {found[name]!r} and as {chosen!r}; once will do"
            )
    return found


def read_file(file: str) -> str:
    """The text of a file; - is standard input. Raises CommandRefused."""
    try:
        with click.open_file(file, encoding="utf-8") as stream:
            return str(stream.read())
    except OSError as error:
        raise CommandRefused(f"{error.filename or file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CommandRefused(
            f"{file} is not valid UTF-8: byte {error.start} cannot be read"
        ) from None
