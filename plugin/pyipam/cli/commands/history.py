"""`pyipam history`: who had an address or a subnet, and when."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import click

from pyipam.cli.client import Answer
from pyipam.cli.completing import complete_nodes
from pyipam.cli.finding import Which
from pyipam.cli.messages import say
from pyipam.cli.options import (
    Number,
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    reads_plugin,
    surroundings,
)
from pyipam.cli.recording.joining import read_noted, with_names
from pyipam.cli.tables import counted, moment, table
from pyipam.store.pool_id import parse_stored_pool_id

# From the year 2001 on, and for long: in milliseconds there would be more.
_UNIX_TIME = re.compile(r"[1-9][0-9]{9}")
_FIRST_YEAR = 2001
_HEADINGS = ("TIME", "EVENT", "ADDRESS", "NAME", "POOL", "KIND", "DRIVER", "LABEL", "TAGS")


@click.command("history", epilog="Example: sudo pyipam history 100.64.0.2 --at 2026-11-27T02:05")
@click.argument("what", metavar="ADDRESS|SUBNET|ID", required=False)
@click.option(
    "--node",
    metavar="NODE",
    shell_complete=complete_nodes,
    help="Show what was said of a host instead: that it is drained, or forgotten.",
)
@click.option(
    "--at",
    metavar="TIME",
    help="Show only what was given out then: 2026-11-27T02:05:22Z, 2026-11-27, or a UNIX time. It "
    "is UTC, unless it names another offset.",
)
@click.option(
    "-n",
    "--last",
    type=Number(1),
    metavar="COUNT",
    help="Show at most this many entries, the latest ones.",
)
@reads_plugin
@prints_json
@prints_quietly("Print only the addresses, or pools, each of them once.")
def history_command(
    what: str | None,
    node: str | None,
    at: str | None,
    last: int | None,
    which: Which,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show who had an address or a subnet, and when.

    It is asked by ADDRESS, by SUBNET, or by the ID of a pool. The latest comes last.
    """
    if (what is None) == (node is None) or (node is not None and at is not None):
        raise click.UsageError("name an address, a subnet or a pool, perhaps with --at; or --node")
    about = {"node": node} if what is None else {_kind_of(what): what}
    asked = about | {"at": None if at is None else _read_time(at)}
    source = found_plugin(which).client.items("history", **asked)
    entries = [entry for _, entry in zip(range(last), source, strict=False)] if last else [*source]
    entries.reverse()
    entries = with_names(entries, read_noted(surroundings().notes), asked["at"])
    if as_json:
        print_json(entries)
    elif quiet:
        for name in dict.fromkeys(
            entry["address"] or entry["pool"] or entry.get("node") for entry in entries
        ):
            if name:
                click.echo(name)
    else:
        click.echo(table(_HEADINGS, map(_row, entries)))
    if not entries:
        say(
            f"nothing is known of {what or node}"
            + (", as far as the history goes back" if at is None else f" at {at}")
        )


def _row(entry: Answer) -> tuple[object, ...]:
    return (
        moment(entry["time"]),
        _event(entry),
        entry["address"],
        ", ".join(entry["containers"] or entry["networks"]) or entry.get("node"),
        entry["pool"],
        _kind(entry),
        entry["driver"],
        entry["label"],
        entry["tags"],
    )


def _kind(entry: Answer) -> str | None:
    if entry["pool"]:
        return str(entry["kind"] or "pool")
    return "node" if entry.get("node") else None


def _event(entry: Answer) -> str:
    if entry["event"] == "lost":
        return f"{counted(entry['lost'], 'entry', 'entries')} lost"
    return f"{entry['event']}{' (imported)' if entry['imported'] else ''}"


def _kind_of(what: str) -> str:
    """The parameter of the view that this is a value of. Raises BadParameter."""
    for kind, read in (
        ("address", ip_address),
        ("subnet", ip_network),
        ("id", parse_stored_pool_id),
    ):
        try:
            read(what)
        except ValueError:
            continue
        return kind
    raise click.BadParameter(
        f"{what!r} is not an address (10.0.0.2), a subnet (10.0.0.0/24) or the id of a pool "
        f"(local/10.0.0.0/24){_meant(what)}",
        param_hint="ADDRESS|SUBNET|ID",
    )


def _meant(what: str) -> str:
    """What may have been meant by it, as the end of a sentence."""
    try:
        return f"; did you mean {ip_network(what, strict=False)}?"
    except ValueError:
        return "; pyipam leases --filter container=NAME says which address a container has"


def _read_time(text: str) -> str:
    """A time as UNIX seconds. Raises BadParameter."""
    try:
        time = datetime.fromtimestamp(int(text), UTC) if _UNIX_TIME.fullmatch(text) else _date(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a time: write it as 2026-11-27T02:05:22Z or 2026-11-27, or as a UNIX "
            "time in seconds, which has ten digits",
            param_hint="--at",
        ) from None
    if time > datetime.now(UTC):
        raise click.BadParameter(
            f"{text!r} is in the future: it is {moment(datetime.now(UTC).timestamp())} now",
            param_hint="--at",
        )
    return f"{time.timestamp():.3f}"


def _date(text: str) -> datetime:
    """A date, perhaps with a time and an offset from UTC. Raises ValueError."""
    if text.isdecimal():
        # The standard library reads 20261127 as a date, and people mean UNIX times by such, too.
        raise ValueError
    time = datetime.fromisoformat(text)
    if not time.year >= _FIRST_YEAR:
        raise ValueError
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
