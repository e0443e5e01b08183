"""Lists, in the forms in which a command prints them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

import click

from pyipam.cli.options import Command, print_json, prints_json, prints_quietly
from pyipam.cli.tables import table

Form = Literal["json", "ids", "table"]
Item = TypeVar("Item")


def prints_list(quietly: str) -> Callable[[Command], Command]:
    """Give a command the options --json and -q, of which `quietly` says what is printed then; it is
    called with the `form` of the list."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(*arguments: Any, as_json: bool, quiet: bool, **options: Any) -> Any:
            form: Form = "json" if as_json else "ids" if quiet else "table"
            return command(*arguments, form=form, **options)

        return prints_json(prints_quietly(quietly)(called))

    return decorate


def print_list(
    form: Form,
    items: Sequence[Item],
    id_of: Callable[[Item], str],
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Print the items as JSON, their ids alone, or a table of these rows."""
    if form == "json":
        print_json(items)
    elif form == "ids":
        for item in items:
            click.echo(id_of(item))
    else:
        click.echo(table(headings, rows))
