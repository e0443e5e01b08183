"""`pyipam nodes`: the nodes that share a plan, and `pyipam nodes forget`: one that was lost."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import click

from pyipam.cli.client import Answer
from pyipam.cli.commands.draining import drain_command, undrain_command
from pyipam.cli.finding import Which, find_plugin
from pyipam.cli.listing import Form, print_list, prints_list
from pyipam.cli.messages import say
from pyipam.cli.options import (
    found_plugin,
    is_for_subcommand,
    reads_plugin,
    surroundings,
)
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.tables import moment


@click.group("nodes", invoke_without_command=True, epilog="Example: sudo pyipam nodes")
@reads_plugin
@prints_list("Print names alone.")
def nodes_command(which: Which, form: Form) -> None:
    """Show the hosts that share the plan, and what each holds.

    CLAIMS counts the blocks that a host has claimed in scopes with node_prefix, and USED what is
    not free in them. STRAYS are networks in such scopes outside of them. What is not known of other
    hosts is a dash.
    """
    if is_for_subcommand():
        return
    nodes = found_plugin(which).client.items_at_once("nodes")
    headings = ("NODE", "STATE", "CLAIMS", "USED", "STRAYS", "POOLS", "LEASES", "SEEN")
    print_list(form, nodes, itemgetter("node"), headings, map(_row, nodes))


def _row(node: Answer) -> tuple[object, ...]:
    # Not every version says when it heard of a node, and of claims.
    seen = "this node" if node["this"] else moment(node.get("seen"))
    return (
        node["node"],
        node.get("state"),
        node.get("aggregates"),
        ", ".join(map(_used, node.get("fill") or ())) or None,
        node.get("strays"),
        node["pools"],
        node["leases"],
        seen,
    )


def _used(fill: Answer) -> str:
    """How many blocks of an IP version are used, of all."""
    return f"{int(fill['blocks']) - int(fill['free'])} of {fill['blocks']}"


nodes_command.add_command(drain_command)
nodes_command.add_command(undrain_command)


class _Store(NamedTuple):
    """A shared store, the file of its credentials, and the node that is not to be forgotten."""

    url: str
    credentials: Path | None
    own_node: str


@nodes_command.command("forget", epilog="Example: sudo pyipam nodes forget host3")
@click.argument("node")
@click.option("--plugin", default="", metavar="NAME", help="Which plugin, if there are several.")
@click.option("--store-url", default="", metavar="URL", help="Its shared store, as in STORE_URL.")
@click.option(
    "--store-credentials",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The credentials for that store, as in the file of STORE_CREDENTIALS_PATH.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Forget the node even if it was seen recently, or holds pools.",
)
@click.option(
    "--undo", is_flag=True, help="Let a node that was forgotten serve the plan again, empty."
)
def forget_command(
    node: str,
    plugin: str,
    store_url: str,
    store_credentials: Path | None,
    force: bool,
    undo: bool,
) -> None:
    """Delete what a lost host still holds, and keep it out.

    The host was lost for good, and NODE is its name in the plan (NODE_NAME). The other nodes learn
    of it by themselves, and give its blocks and addresses to others. If it returns, it gets nothing
    any more. A node that was seen in the last ten minutes, or holds pools, is left alone without
    --force. With it, the command waits until a plugin that may be running gives out nothing any
    more; if it is cut off meanwhile, run it again before anything else.
    """
    # The database is not needed by any other command.
    from pyipam.cli.forgetting import forget_node, forget_node_by_force, remember_node
    from pyipam.cli.moving import address_of

    if force and undo:
        raise click.UsageError("--force and --undo do not go together.")
    store = _Store(store_url, store_credentials, "")
    if not store_url:
        store = _store_of_plugin(plugin)
    if node == store.own_node and not undo:
        raise CommandRefused(
            f"{node} is the node of this host: to forget it, remove the plugin here and run this "
            "command on another node"
        )
    try:
        address = address_of(store.url, store.credentials)
    except OSError as error:
        raise CommandRefused(f"{error.filename}: {error.strerror}") from None
    if undo:
        say(_about_undone(node, remember_node(address, node)))
        return
    forget = forget_node_by_force if force else forget_node
    say(f"node {node} has been forgotten, with {forget(address, node)}")


def _about_undone(node: str, is_drained: bool) -> str:
    """What is said of a node that is no longer forgotten: how it serves again."""
    done = f"node {node} is no longer forgotten"
    if not is_drained:
        return f"{done}: disable and enable its plugin, then restart its dockerd"
    return (
        f"{done}, but still drained: run `pyipam nodes undrain {node}` first, as no network would "
        "get its subnet back. Then disable and enable its plugin, and restart its dockerd"
    )


def _store_of_plugin(name: str) -> _Store:
    """The store of the plugin that Docker has. Raises CommandRefused."""
    engine = surroundings().connect()
    plugin = find_plugin(engine, name)
    url = plugin.settings.get("STORE_URL", "")
    if not url:
        raise CommandRefused(
            f"plugin {plugin.name} does not share its plan: its STORE_URL is not set"
        )
    credentials = plugin.settings.get("STORE_CREDENTIALS_PATH", "")
    own_node = plugin.settings.get("NODE_NAME") or str(engine.info().get("Name", ""))
    return _Store(url, Path(credentials) if credentials else None, own_node)
