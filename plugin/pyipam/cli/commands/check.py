"""`pyipam check`: the errors in a schema, what was probably not intended, and how many blocks nodes
can claim."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import click

from pyipam.cli.advice import advice_about, advice_about_routes
from pyipam.cli.advice_about_claims import advice_about_claims, notes_about_claims
from pyipam.cli.json_places import Place, offsets_in, place_of
from pyipam.cli.options import (
    print_json,
    prints_json,
    prints_quietly,
    read_file,
    surroundings,
)
from pyipam.cli.schema_paths import paths_of
from pyipam.cli.tables import plain
from pyipam.host.route import Route
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree

_ERRORS_FOUND = 1
# Where it is not JSON, the error says it in its text (plan/schema.py).
_PLACE_IN_TEXT = re.compile(r" at line (\d+), column (\d+)$")


@dataclass(frozen=True)
class Finding:
    """Something about a schema: `kind` is error, warning or note."""

    kind: str
    line: int
    column: int
    path: str
    message: str


@click.command("check", epilog="Example: pyipam check schema.json")
@click.argument("file")
@prints_json
@prints_quietly("Print errors alone, no warnings or notes.")
def check_command(file: str, as_json: bool, quiet: bool) -> int:
    """Check a schema before it is put in force.

    FILE is the schema; - is standard input. No plugin is needed. The exit code is 1 if it has
    errors. Routes of this host over a scope are warned about, but not those of Docker's networks.
    Where hosts claim blocks of a scope (node_prefix), a note says how many there are.
    """
    found = [
        finding
        for finding in findings_in(read_file(file), surroundings().routes)
        if finding.kind == "error" or not quiet
    ]
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            place = f"{file}:{finding.line}:{finding.column}"
            click.echo(plain(f"{place}: {finding.kind}: {finding.path}: {finding.message}"))
        if not quiet and all(finding.kind == "note" for finding in found):
            click.echo(f"{file}: no errors, no warnings")
    return _ERRORS_FOUND if any(finding.kind == "error" for finding in found) else 0


def findings_in(text: str, routes_of: Callable[[ScopeTree], Iterable[Route]]) -> list[Finding]:
    """What is to be said of the text of a schema, in its order. `routes_of` tells the routes of the
    host over scopes."""
    schema = read_schema(text)
    offsets = _offsets(text)
    found = []
    for kind, path, message in _messages(schema, routes_of):
        in_text = _PLACE_IN_TEXT.search(message) if path == "$" else None
        if in_text is not None:
            place = Place(int(in_text[1]), int(in_text[2]))
            message = message[: in_text.start()]
        else:
            place = place_of(text, offsets, path)
        found.append(Finding(kind, place.line, place.column, path, message))
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _messages(
    schema: object, routes_of: Callable[[ScopeTree], Iterable[Route]]
) -> Iterator[tuple[str, str, str]]:
    if isinstance(schema, ScopeTree):
        paths = paths_of(schema)
        for scope, text in (
            *advice_about(schema),
            *advice_about_claims(schema),
            *advice_about_routes(schema, routes_of(schema)),
        ):
            yield "warning", f"{paths[scope]}.network", text
        for scope, text in notes_about_claims(schema):
            yield "note", f"{paths[scope]}.node_prefix", text
    elif isinstance(schema, list):
        for error in schema:
            yield "error", error.path, error.message


def _offsets(text: str) -> dict[str, int]:
    """Where everything is; nothing, where the text is not JSON or nested too deeply."""
    try:
        return offsets_in(text)
    except (ValueError, IndexError, AssertionError, RecursionError):
        return {}
