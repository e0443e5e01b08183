"""`pyipam explain`: one address."""

from __future__ import annotations

import click

from pyipam.cli.comparing import compare_at
from pyipam.cli.differences import Difference
from pyipam.cli.finding import Found, Which
from pyipam.cli.names import names_for
from pyipam.cli.options import (
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    reads_plugin,
    surroundings,
)
from pyipam.cli.recording.joining import read_noted
from pyipam.cli.recording.notes import Period
from pyipam.cli.refusal import CommandRefused, EngineAway
from pyipam.cli.tables import moment, plain
from pyipam.space.address import address_meant, parse_address, why_no_address
from pyipam.store.pool_id import subnet_of

# Who had an address before: the latest ones.
_MOST_FORMER = 3
_BY_NAME = "pyipam leases --filter container=NAME says which address a container has"


@click.command("explain", epilog="Example: sudo pyipam explain 100.64.0.2")
@click.argument("address")
@reads_plugin
@prints_json
@prints_quietly("Print the state alone: in use, free, resting, ….")
def explain_command(address: str, which: Which, as_json: bool, quiet: bool) -> None:
    """Say who has an address, since when, or why nobody can."""
    _require_address(address)
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
    former = [
        period
        for period in read_noted(surroundings().notes)
        if period.address == explanation["address"] and period.end is not None
    ]
    differences = _differences(found, explanation["address"])
    if as_json:
        joined = {
            "networks": networks,
            "containers": containers,
            "recorded": [period._asdict() for period in former],
            "differences": [difference.summary for difference in differences],
        }
        print_json(explanation | joined)
        return
    for sentence in explanation["sentences"]:
        click.echo(plain(sentence))
    if networks:
        click.echo(plain(f"Docker's network there is {', '.join(networks)}"))
    if containers:
        click.echo(plain(f"Docker gave it to container {', '.join(containers)}"))
    for difference in differences:
        click.echo(plain(f"{difference.kind}: {difference.why}; see `pyipam reconcile`"))
    for period in former[-_MOST_FORMER:]:
        click.echo(plain(_about(period)))


def _require_address(text: str) -> None:
    try:
        parse_address(text)
    except ValueError:
        by_name = f"; {_BY_NAME}" if address_meant(text) is None else ""
        raise CommandRefused(f"{text!r} {why_no_address(text)}{by_name}") from None


def _differences(found: Found, address: str) -> list[Difference]:
    """What the plugin and Docker say differently of an address; nothing where no engine can be
    asked."""
    if found.engine is None or found.plugin is None:
        return []
    seconds = surroundings().seconds_to_settle
    try:
        return compare_at(address, found.client, found.engine, found.plugin, seconds)
    except EngineAway:
        return []


def _about(period: Period) -> str:
    since = f"{'no later than ' if period.began_before else ''}{moment(period.begin)}"
    ended = f"to {moment(period.end)}"
    if period.end is not None and period.end < period.begin:
        ended = f"until the clock said {moment(period.end)}, having been set back"
    return f"container {period.container} in network {period.network} had it from {since} {ended}"
