"""`pyipam explain`: one address."""

from __future__ import annotations

import click

from pyipam.cli.finding import Which
from pyipam.cli.names import names_for
from pyipam.cli.options import found_plugin, print_json, prints_json, prints_quietly, reads_plugin
from pyipam.cli.tables import plain
from pyipam.store.pool_id import subnet_of


@click.command("explain")
@click.argument("address")
@reads_plugin
@prints_json
@prints_quietly("Print the state alone: in use, free, resting, ….")
def explain_command(address: str, which: Which, as_json: bool, quiet: bool) -> None:
    """Say what is known of ADDRESS: who has it, since when, or why nobody can."""
    found = found_plugin(which)
    explanation = found.client.get("explain", address=address)
    if quiet and not as_json:
        click.echo(explanation["state"])
        return
    names = names_for(found)
    subnets = sorted({subnet_of(pool["id"]) for pool in explanation["pools"]})
    networks = sorted({name for subnet in subnets for name in names.networks_of(subnet)})
    containers = sorted(
        {name for subnet in subnets for name in names.containers_of(subnet, explanation["address"])}
    )
    if as_json:
        print_json(explanation | {"networks": networks, "containers": containers})
        return
    for sentence in explanation["sentences"]:
        click.echo(plain(sentence))
    if networks:
        click.echo(plain(f"Docker's network there is {', '.join(networks)}"))
    if containers:
        click.echo(plain(f"Docker gave it to container {', '.join(containers)}"))
