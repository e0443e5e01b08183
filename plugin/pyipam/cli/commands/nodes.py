"""`pyipam nodes`: the nodes that share a plan."""

from __future__ import annotations

import click

from pyipam.cli.client import Answer
from pyipam.cli.finding import Which
from pyipam.cli.options import found_plugin, print_json, prints_json, prints_quietly, reads_plugin
from pyipam.cli.tables import moment, table


@click.command("nodes")
@reads_plugin
@prints_json
@prints_quietly("Print names alone.")
def nodes_command(which: Which, as_json: bool, quiet: bool) -> None:
    """Show the nodes that share the plan, and how much each of them holds."""
    nodes = found_plugin(which).client.items_at_once("nodes")
    if as_json:
        print_json(nodes)
    elif quiet:
        for node in nodes:
            click.echo(node["node"])
    else:
        click.echo(table(("NODE", "POOLS", "LEASES", "SEEN"), map(_row, nodes)))


def _row(node: Answer) -> tuple[object, ...]:
    # Not every version says when it heard of a node.
    seen = "this node" if node["this"] else moment(node.get("seen"))
    return node["node"], node["pools"], node["leases"], seen
