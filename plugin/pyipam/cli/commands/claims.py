"""`pyipam claims`: the blocks that nodes have claimed, and `claims release`: one given back."""

from __future__ import annotations

from operator import itemgetter

import click

from pyipam.cli.client import Answer
from pyipam.cli.completing import complete_nodes, complete_own_claims, complete_scopes
from pyipam.cli.finding import Which
from pyipam.cli.listing import Form, print_list, prints_list
from pyipam.cli.messages import say
from pyipam.cli.nothing_found import say_why
from pyipam.cli.options import changes_plugin, found_plugin, is_for_subcommand, reads_plugin
from pyipam.cli.tables import moment

_HEADINGS = ("CLAIM", "NODE", "SCOPE", "POOLS", "FREE", "STATE", "SINCE", "UNTIL")


@click.group("claims", invoke_without_command=True, epilog="Example: sudo pyipam claims")
@click.option(
    "--node", metavar="NODE", shell_complete=complete_nodes, help="Only those of that host."
)
@click.option(
    "--scope",
    metavar="SUBNET",
    shell_complete=complete_scopes,
    help="Only those in this scope: 10.1.0.0/16.",
)
@reads_plugin
@prints_list("Print only the blocks.")
def claims_command(node: str | None, scope: str | None, which: Which, form: Form) -> None:
    """Show the blocks that hosts have claimed (node_prefix).

    FREE is how many blocks of child_prefix are free in one, and UNTIL when one that was released
    will be free. Of other hosts, what is in use in their blocks is not known.
    """
    if is_for_subcommand():
        return
    found = found_plugin(which)
    shown = list(found.client.items("aggregates", node=node, scope=scope))
    print_list(form, shown, itemgetter("cidr"), _HEADINGS, map(_row, shown))
    if not shown:
        say_why(found, {"node": node, "scope": scope})


def _row(aggregate: Answer) -> tuple[object, ...]:
    free, blocks = aggregate["free"], aggregate["blocks"]
    return (
        aggregate["cidr"],
        aggregate["node"],
        aggregate["scope"],
        aggregate["pools"],
        None if free is None else f"{free} of {blocks}",
        aggregate["state"],
        moment(aggregate["since"]),
        moment(aggregate["resting_until"]),
    )


@claims_command.command("release", epilog="Example: sudo pyipam claims release 10.1.16.0/20")
@click.argument("cidr", shell_complete=complete_own_claims)
@changes_plugin
def release_command(cidr: str, which: Which) -> None:
    """Give back an empty block of this host.

    It is no longer announced, and is free after a rest of at least five minutes.
    """
    found_plugin(which).client.change("ReleaseAggregate", {"Aggregate": cidr})
    say(f"{cidr} has been released, and is free after its rest")
