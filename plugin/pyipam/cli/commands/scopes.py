"""`pyipam scopes`: the tree of the scopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter

import click

from pyipam.cli.client import Answer
from pyipam.cli.completing import complete_tags
from pyipam.cli.finding import Which
from pyipam.cli.listing import Form, print_list, prints_list
from pyipam.cli.nothing_found import say_why
from pyipam.cli.options import Number, found_plugin, reads_plugin
from pyipam.cli.tables import shown_count

_HEADINGS = ("SCOPE", "BLOCKS", "HELD", "FREE", "NEXT", "POOLS", "TAGS", "NOTES")


@click.command("scopes", epilog="Example: sudo pyipam scopes --tag ingress --prefix 24")
@click.option(
    "--tag",
    metavar="TAG",
    shell_complete=complete_tags,
    help="Show only the scopes that have this tag.",
)
@click.option(
    "--prefix",
    type=Number(1, 128),
    metavar="LENGTH",
    help="Show under NEXT the first free block with this prefix length.",
)
@reads_plugin
@prints_list("Print networks alone.")
def scopes_command(tag: str | None, prefix: int | None, which: Which, form: Form) -> None:
    """Show the scopes as a tree, and how much of each is free."""
    found = found_plugin(which)
    scopes = list(found.client.items("scopes", tag=tag))
    print_list(form, scopes, itemgetter("network"), _HEADINGS, _rows(scopes, prefix))
    if not scopes:
        say_why(found, {"tag": tag})


def _rows(scopes: Iterable[Answer], prefix: int | None) -> Iterator[tuple[object, ...]]:
    for scope in scopes:
        blocks, free = int(scope["blocks"]), int(scope["free"])
        drawn = scope["can_be_drawn_from"]
        yield (
            # Cells are put on one line: a blank that stays is one that is not broken there.
            "· " * scope["depth"] + scope["network"],
            f"{shown_count(blocks)} of /{scope['child_prefix']}" if drawn else "-",
            shown_count(blocks - free) if drawn else "-",
            shown_count(free) if drawn else "-",
            scope["first_free"] if prefix is None else first_free(scope, prefix),
            scope["pools"],
            ",".join(scope["tags"]),
            "; ".join(_notes(scope)),
        )


def first_free(scope: Answer, prefix: int) -> str | None:
    """The first free block of this length, up to the length of the scope's blocks; None if there
    is none, or the plugin is of a version that does not tell it."""
    found = None
    for block in scope.get("first_free_by_length", ()):
        network, _, length = block.partition("/")
        if int(length) <= prefix <= scope["child_prefix"]:
            found = f"{network}/{prefix}"
    return found


def _claimed(aggregates: Answer) -> str:
    """Who has how much of a scope whose blocks nodes claim."""
    parts = [f"{aggregates['own']} of this node", f"{aggregates['others']} of others"]
    if aggregates["resting"]:
        parts.append(f"{aggregates['resting']} resting")
    return ", ".join([*parts, f"{shown_count(int(aggregates['free']))} free"])


def _notes(scope: Answer) -> Iterator[str]:
    if scope["lock_down"]:
        yield "locked"
    if scope["pre_seed_children"]:
        yield "seeded"
    if scope.get("aggregates"):
        yield f"nodes claim /{scope['node_prefix']} blocks ({_claimed(scope['aggregates'])})"
    if scope["address_space"]:
        yield f"{scope['address_space']} only"
    if scope["reserved"]:
        yield f"{len(scope['reserved'])} reserved"
    if scope["reuse_delay"]:
        yield f"rests {scope['reuse_delay']:g} s"
    if scope["description"]:
        yield scope["description"]
