"""`pyipam pools`: what networks hold, or what is free in the scopes."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

import click

from pyipam.cli.client import Answer, Client
from pyipam.cli.completing import complete_pools, complete_scopes, complete_tags
from pyipam.cli.finding import Which
from pyipam.cli.listing import Form, print_list, prints_list
from pyipam.cli.names import names_for
from pyipam.cli.nothing_found import say_why
from pyipam.cli.options import found_plugin, read_filters, reads_plugin, takes_filters
from pyipam.cli.tables import moment

_OF_THE_VIEW = (
    *("tag", "scope", "subnet", "address", "id", "label"),
    *("space", "node", "unclaimed", "resting"),
)
_FILTERS = (*_OF_THE_VIEW, "network")
_HEADINGS = ("POOL", "NETWORK", "SCOPE", "LEASES", "STATE", "SINCE", "LABEL", "NODE")


@click.command("pools", epilog="Example: sudo pyipam pools --filter network=shop")
@takes_filters(_FILTERS)
@click.option(
    "--tag", metavar="TAG", shell_complete=complete_tags, help="Only pools in scopes with this tag."
)
@click.option(
    "--scope",
    metavar="SUBNET",
    shell_complete=complete_scopes,
    help="Only pools in this scope: 10.0.0.0/16.",
)
@click.option(
    "--id",
    "pool_id",
    metavar="ID",
    shell_complete=complete_pools,
    help="Only the pool with this id: local/10.0.0.0/24.",
)
@click.option(
    "--unclaimed", is_flag=True, help="Only pools that Docker has not named since it last started."
)
@click.option("--free", is_flag=True, help="Show what is free in the scopes, instead of pools.")
@reads_plugin
@prints_list("Print only the ids; with --free, only the blocks.")
def pools_command(
    filters: tuple[str, ...],
    tag: str | None,
    scope: str | None,
    pool_id: str | None,
    unclaimed: bool,
    free: bool,
    which: Which,
    form: Form,
) -> None:
    """Show the pools, and which network of Docker has each."""
    only_unclaimed = "true" if unclaimed else None
    wanted = read_filters(
        filters, _FILTERS, tag=tag, scope=scope, id=pool_id, unclaimed=only_unclaimed
    )
    found = found_plugin(which)
    if free:
        if set(wanted) - {"tag", "scope"}:
            raise click.UsageError("--free shows what is free in scopes: choose by tag or scope")
        blocks = list(_free_blocks(found.client, **wanted))
        rows = ((block["scope"], block["subnet"], block["blocks"]) for block in blocks)
        print_list(form, blocks, itemgetter("subnet"), ("SCOPE", "FREE", "BLOCKS"), rows)
        if not blocks:
            say_why(found, wanted)
        return
    of_the_view = {key: value for key, value in wanted.items() if key != "network"}
    network = wanted.get("network")
    names = names_for(found)
    shown = [
        pool
        for pool in map(names.with_names, found.client.items("pools", **of_the_view))
        if network is None or network in pool["networks"]
    ]
    print_list(form, shown, itemgetter("id"), _HEADINGS, map(_row, shown))
    if not shown:
        say_why(found, wanted, names)


def _row(pool: Answer) -> tuple[object, ...]:
    return (
        pool["id"],
        ", ".join(pool["networks"]),
        pool["scope"],
        pool["leases"],
        _state(pool),
        moment(pool["created"]),
        pool["label"],
        pool["node"],
    )


def _state(pool: Answer) -> str:
    state = "resting" if pool["resting"] else "in use" if pool["claimed"] else "unclaimed"
    return f"{state}, stray" if pool.get("stray") else state


def _free_blocks(
    client: Client, tag: str | None = None, scope: str | None = None
) -> Iterator[dict[str, str]]:
    """What is free in the scopes that networks get blocks from."""
    for each in client.items("scopes", tag=tag, scope=scope):
        if each["can_be_drawn_from"]:
            for block in client.items("free", scope=each["network"]):
                yield {"scope": each["network"], **block}
