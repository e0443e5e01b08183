"""`pyipam history`: who had an address or a subnet, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import click

from pyipam.cli.client import Answer
from pyipam.cli.finding import Which
from pyipam.cli.options import (
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    reads_plugin,
    surroundings,
)
from pyipam.cli.recording.joining import read_noted, with_names
from pyipam.cli.tables import counted, moment, table

_HEADINGS = ("TIME", "EVENT", "ADDRESS", "NAME", "POOL", "KIND", "DRIVER", "LABEL", "TAGS")


@click.command("history")
@click.argument("what", metavar="ADDRESS|SUBNET|ID")
@click.option(
    "--at",
    metavar="TIME",
    help="Only what was given out then: 2026-11-27T02:05:22Z, 2026-11-27, or a UNIX time. UTC, "
    "unless another offset is named.",
)
@click.option(
    "-n",
    "--last",
    type=click.IntRange(1),
    help="Show at most this many entries, the latest ones.",
)
@reads_plugin
@prints_json
@prints_quietly("Print only the addresses, or pools, each of them once.")
def history_command(
    what: str, at: str | None, last: int | None, which: Which, as_json: bool, quiet: bool
) -> None:
    """Show who had ADDRESS, SUBNET or the pool with this ID, and when; the latest comes last."""
    asked = {_kind_of(what): what, "at": None if at is None else _read_time(at)}
    source = found_plugin(which).client.items("history", **asked)
    entries = [entry for _, entry in zip(range(last), source, strict=False)] if last else [*source]
    entries.reverse()
    entries = with_names(entries, read_noted(surroundings().notes), asked["at"])
    if as_json:
        print_json(entries)
    elif quiet:
        for name in dict.fromkeys(entry["address"] or entry["pool"] for entry in entries):
            if name:
                click.echo(name)
    else:
        click.echo(table(_HEADINGS, map(_row, entries)))


def _row(entry: Answer) -> tuple[object, ...]:
    return (
        moment(entry["time"]),
        _event(entry),
        entry["address"],
        ", ".join(entry["containers"] or entry["networks"]),
        entry["pool"],
        entry["kind"] or ("pool" if entry["pool"] else None),
        entry["driver"],
        entry["label"],
        entry["tags"],
    )


def _event(entry: Answer) -> str:
    if entry["event"] == "lost":
        return f"{counted(entry['lost'], 'entry', 'entries')} lost"
    return f"{entry['event']}{' (imported)' if entry['imported'] else ''}"


def _kind_of(what: str) -> str:
    """The parameter of the view that this is a value of."""
    try:
        ip_address(what)
    except ValueError:
        pass
    else:
        return "address"
    try:
        ip_network(what)
    except ValueError:
        return "id"
    return "subnet"


def _read_time(text: str) -> str:
    """A time as UNIX seconds. Raises BadParameter."""
    if text.isdecimal():
        return text
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a time: write it as 2026-11-27T02:05:22Z or 2026-11-27, or as a UNIX "
            "time in seconds",
            param_hint="--at",
        ) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return f"{max(time.timestamp(), 0.0):.3f}"
