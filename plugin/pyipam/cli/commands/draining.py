"""`pyipam nodes drain` and `undrain`: whether new networks of a node get a subnet."""

from __future__ import annotations

import click

from pyipam.cli.completing import complete_nodes
from pyipam.cli.finding import Which
from pyipam.cli.messages import say
from pyipam.cli.options import changes_plugin, found_plugin


@click.command("drain", epilog="Example: sudo pyipam nodes drain host3")
@click.argument("node", shell_complete=complete_nodes)
@changes_plugin
def drain_command(node: str, which: Which) -> None:
    """Refuse subnets to new networks on a host.

    What exists there goes on, and stays announced. NODE is its name in the plan (NODE_NAME).
    """
    _change(which, "DrainNode", node)
    say(f"node {node} is being drained: new networks there get no subnet, and what exists goes on")


@click.command("undrain", epilog="Example: sudo pyipam nodes undrain host3")
@click.argument("node", shell_complete=complete_nodes)
@changes_plugin
def undrain_command(node: str, which: Which) -> None:
    """Give subnets to new networks on a host again."""
    _change(which, "UndrainNode", node)
    say(f"node {node} is not being drained: new networks there get a subnet")


def _change(which: Which, call: str, node: str) -> None:
    client = found_plugin(which).client
    seen = [{"Node": each["node"]} for each in client.items_at_once("nodes")]
    client.change(call, {"Node": node, "Seen": seen})
