"""`pyipam leases`: which address is given out, and to whom; or what is free in the pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter

import click

from pyipam.cli.client import Answer, Client
from pyipam.cli.completing import complete_pools, complete_scopes
from pyipam.cli.finding import Which
from pyipam.cli.listing import Form, print_list, prints_list
from pyipam.cli.names import DockerNames, names_for
from pyipam.cli.nothing_found import say_why
from pyipam.cli.options import found_plugin, read_filters, reads_plugin, takes_filters
from pyipam.cli.tables import moment

_OF_THE_VIEW = (
    *("pool", "scope", "subnet", "address", "kind"),
    *("space", "node", "unclaimed", "resting"),
)
_FILTERS = (*_OF_THE_VIEW, "network", "container")
# Those by which pools can be chosen, where what is free in them is asked for.
_POOL_FILTERS = {"pool": "id", "scope": "scope", "subnet": "subnet", "space": "space"}
_FILTERS_OF_FREE = (*_POOL_FILTERS, "network")
_HEADINGS = ("ADDRESS", "CONTAINER", "NETWORK", "POOL", "KIND", "STATE", "SINCE", "NODE")


@click.command("leases", epilog="Example: sudo pyipam leases --filter container=web")
@takes_filters(_FILTERS)
@click.option(
    "--pool",
    metavar="ID",
    shell_complete=complete_pools,
    help="Only addresses of the pool with this id: local/10.0.0.0/24.",
)
@click.option(
    "--scope",
    metavar="SUBNET",
    shell_complete=complete_scopes,
    help="Only addresses in this scope: 10.0.0.0/16.",
)
@click.option(
    "--unclaimed",
    is_flag=True,
    help="Only addresses that Docker has not named since it last started.",
)
@click.option(
    "--free", is_flag=True, help="Show the free addresses of the pools, instead of those in use."
)
@reads_plugin
@prints_list("Print only the addresses.")
def leases_command(
    filters: tuple[str, ...],
    pool: str | None,
    scope: str | None,
    unclaimed: bool,
    free: bool,
    which: Which,
    form: Form,
) -> None:
    """Show the addresses in use, and which container has each."""
    only_unclaimed = "true" if unclaimed else None
    wanted = read_filters(filters, _FILTERS, pool=pool, scope=scope, unclaimed=only_unclaimed)
    found = found_plugin(which)
    if free:
        if not wanted.keys() <= set(_FILTERS_OF_FREE):
            raise click.UsageError(
                f"--free shows what is free in pools: choose by {', '.join(_FILTERS_OF_FREE)}"
            )
        names = names_for(found)
        ranges = list(_free_ranges(found.client, names, wanted))
        rows = ((item["pool"], item["first"], item["last"], item["addresses"]) for item in ranges)
        print_list(form, ranges, _text_of_range, ("POOL", "FIRST", "LAST", "ADDRESSES"), rows)
        if not ranges:
            say_why(found, wanted, names)
        return
    of_the_view = {key: value for key, value in wanted.items() if key in _OF_THE_VIEW}
    network, container = wanted.get("network"), wanted.get("container")
    names = names_for(found)
    leases = [
        lease
        for lease in map(names.with_names, found.client.items("leases", **of_the_view))
        if (network is None or network in lease["networks"])
        and (container is None or container in lease["containers"])
    ]
    print_list(form, leases, itemgetter("address"), _HEADINGS, map(row_of_lease, leases))
    if not leases:
        say_why(found, wanted, names)


def row_of_lease(lease: Answer) -> tuple[object, ...]:
    """A lease with its names, as a row."""
    return (
        lease["address"],
        ", ".join(lease["containers"]),
        ", ".join(lease["networks"]),
        lease["pool"],
        lease["kind"],
        _state_of(lease),
        moment(lease["granted"]),
        lease["node"],
    )


def _state_of(lease: Answer) -> str:
    if lease["held_back"]:
        return "held back"
    if lease["resting"]:
        return "resting"
    return "in use" if lease["claimed"] else "unclaimed"


def _free_ranges(
    client: Client, names: DockerNames, wanted: Mapping[str, str | None]
) -> Iterator[dict[str, str]]:
    """What is free in the pools that are wanted."""
    network = wanted.get("network")
    chosen = {_POOL_FILTERS[key]: value for key, value in wanted.items() if key in _POOL_FILTERS}
    for pool in map(names.with_names, client.items("pools", resting="false", **chosen)):
        if network is None or network in pool["networks"]:
            for item in client.items("free", pool=pool["id"]):
                yield {"pool": pool["id"], **item}


def _text_of_range(item: dict[str, str]) -> str:
    return f"{item['first']}-{item['last']}"
