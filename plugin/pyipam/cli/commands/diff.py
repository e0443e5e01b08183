"""`pyipam diff`: what another schema means for what lives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from ipaddress import ip_network

import click

from pyipam.cli.client import Answer
from pyipam.cli.finding import Found, Which
from pyipam.cli.names import names_for
from pyipam.cli.options import (
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    reads_plugin,
)
from pyipam.cli.schema_files import sound_schema
from pyipam.cli.tables import plain
from pyipam.plan.differences import (
    ClaimedBlock,
    OwnAggregate,
    claim_differences,
    enclosed_differences,
    pool_differences,
    scope_differences,
    scopes_of,
    scopes_shown,
)
from pyipam.space.block import Block, block_of
from pyipam.store.pool_id import is_local, subnet_of

_DIFFERENCES_FOUND = 3


@click.command("diff", epilog="Example: sudo pyipam diff schema.json")
@click.argument("file")
@reads_plugin
@prints_json
@prints_quietly("Print nothing: the exit code says it.")
def diff_command(file: str, which: Which, as_json: bool, quiet: bool) -> int:
    """Show what another schema would change, and for which pools.

    FILE is the schema that is compared with the one in force; - is standard input. The exit code
    is 3 if there are differences.
    """
    tree = sound_schema(file)
    found = found_plugin(which)
    shown = list(found.client.items("scopes"))
    before, after = scopes_shown(shown), scopes_of(tree)
    ids = [str(pool["id"]) for pool in found.client.items("pools", resting="false")]
    pools = [(pool_id, block_of(ip_network(subnet_of(pool_id)))) for pool_id in ids]
    aggregates = _aggregates(found, shown)
    names = names_for(found)

    def holder_of(subnet: Block) -> str:
        networks = ", ".join(names.networks_of(str(subnet)))
        return f"network {networks}" if networks else "its network"

    differences = [
        *scope_differences(before, after),
        *claim_differences(pools, _own_in_use(aggregates), before, after),
        *enclosed_differences(_claimed(aggregates), before, after),
        *pool_differences(pools, before, after, holder_of),
    ]
    if as_json:
        print_json([asdict(difference) for difference in differences])
    elif not quiet:
        for each in differences:
            click.echo(plain(f"{each.kind:8} {each.what}: {each.detail}"))
        if not differences:
            click.echo("no differences")
    return _DIFFERENCES_FOUND if differences else 0


def _aggregates(found: Found, scopes: Iterable[Answer]) -> list[Answer]:
    """What nodes have claimed; nothing where the plugin is of a version that knows of none."""
    if not any("node_prefix" in scope for scope in scopes):
        return []
    return list(found.client.items("aggregates"))


def _own_in_use(aggregates: Iterable[Answer]) -> list[OwnAggregate]:
    """Those of the plugin's node that do not rest."""
    return [
        OwnAggregate(block_of(ip_network(each["cidr"])), each["pools"])
        for each in aggregates
        if is_local(each["id"]) and each["state"] in ("active", "draining")
    ]


def _claimed(aggregates: Iterable[Answer]) -> list[ClaimedBlock]:
    return [
        ClaimedBlock(
            block_of(ip_network(each["cidr"])), "" if is_local(each["id"]) else each["node"]
        )
        for each in aggregates
    ]
