"""`pyipam plan`: which block a network would get, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import click

from pyipam.cli.client import Answer
from pyipam.cli.completing import complete_tags
from pyipam.cli.finding import Which
from pyipam.cli.options import (
    Number,
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    reads_plugin,
)
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.schema_files import sound_schema
from pyipam.cli.tables import plain, table
from pyipam.plan.network_options import version_of_length
from pyipam.space.block import Network, parse_network, parse_subnet

T = TypeVar("T")

_REFUSED = 1
_AGGREGATE = "AGGREGATE"
_HEADINGS = ("ORDER", "SCOPE", "FREE", "BLOCK", _AGGREGATE, "TAGS", "WHY NOT")
# The setting DEFAULT_TAGS of a plugin that nobody has set.
_DEFAULT_TAGS = "default"


@dataclass(frozen=True)
class Wish:
    """What a network asks for: a block of an IP version, or a subnet."""

    tags: str
    prefix: int | None
    version: int | None
    subnet: str | None
    space: str


@click.command("plan", epilog="Example: sudo pyipam plan ingress+!public --prefix 26")
@click.argument("tags", default="", shell_complete=complete_tags)
@click.option(
    "--prefix",
    type=Number(1, 128),
    metavar="LENGTH",
    help="Ask for a block with this prefix length.",
)
@click.option("--subnet", metavar="SUBNET", help="Ask for this subnet, as --subnet of Docker.")
@click.option("--ipv6", is_flag=True, help="Ask for an IPv6 block.")
@click.option("--global", "is_global", is_flag=True, help="Ask for a network of a swarm.")
@click.option(
    "--schema",
    metavar="FILE",
    help="Ask the schema in FILE, as if nothing were given out yet. Needs no plugin.",
)
@reads_plugin
@prints_json
@prints_quietly("Print the block alone.")
def plan_command(
    tags: str,
    prefix: int | None,
    subnet: str | None,
    ipv6: bool,
    is_global: bool,
    schema: str | None,
    which: Which,
    as_json: bool,
    quiet: bool,
) -> int:
    """Show which block a network would get, and why.

    Nothing is taken. TAGS are written as in --ipam-opt scope_filter_tags; without them, the
    plugin's DEFAULT_TAGS count. The exit code is 1 if the network would be refused.
    """
    if subnet is not None and (prefix is not None or ipv6):
        raise click.UsageError(
            "--subnet already has a prefix length and an IP version: leave out --prefix and --ipv6"
        )
    if schema is not None and which != Which():
        raise click.UsageError(
            "--schema asks the file instead of a plugin: leave out --plugin, --socket and --url"
        )
    version = 6 if ipv6 else 4
    if prefix is not None and version_of_length(prefix) != version:
        raise click.UsageError(
            f"--prefix {prefix} is a length of IPv4: leave out --ipv6, or ask for a longer one (64)"
            if ipv6
            else f"--prefix {prefix} is a length of IPv6: add --ipv6"
        )
    space = "global" if is_global else "local"
    wish = Wish(tags, prefix, version if subnet is None else None, subnet, space)
    trial = _ask_schema(schema, wish) if schema is not None else _ask_plugin(which, wish)
    if as_json:
        print_json(trial)
    elif quiet:
        if trial["block"] is not None:
            click.echo(trial["block"])
    else:
        click.echo(plain(trial["outcome"]))
        if trial["scopes"]:
            click.echo()
            click.echo(table(*_table_of(trial)))
    return _REFUSED if trial["block"] is None else 0


def _table_of(trial: Answer) -> tuple[Sequence[str], list[Sequence[object]]]:
    """The headings and the rows; the aggregates are a column where nodes claim any."""
    rows: list[Sequence[object]] = list(_rows(trial))
    if any(scope.get("aggregate") for scope in trial["scopes"]):
        return _HEADINGS, rows
    at = _HEADINGS.index(_AGGREGATE)
    return _without(_HEADINGS, at), [_without(row, at) for row in rows]


def _without(row: Sequence[T], at: int) -> Sequence[T]:
    return (*row[:at], *row[at + 1 :])


def _rows(trial: Answer) -> Iterator[tuple[object, ...]]:
    for scope in trial["scopes"]:
        aggregate = scope.get("aggregate")
        yield (
            scope["order"],
            scope["network"],
            scope["free"],
            scope["block"],
            f"{aggregate} (to be claimed)" if scope.get("claims") else aggregate,
            ",".join(scope["tags"]),
            scope["reason"] or "",
        )


def _ask_plugin(which: Which, wish: Wish) -> Answer:
    answer = found_plugin(which).client.get("plan", **asdict(wish))
    if not isinstance(answer, Answer):
        raise CommandRefused("the plugin's answer is not an object: is it of another version?")
    return answer


def _ask_schema(file: str, wish: Wish) -> Answer:
    """The same, of a schema, in a core without a plugin."""
    from pyipam.core.clock import Clock
    from pyipam.core.ipam import Ipam
    from pyipam.core.requests import PoolRequest
    from pyipam.core.selection import Policy
    from pyipam.plan.tag_filter import parse_tag_filter
    from pyipam.store.memory import MemoryStore
    from pyipam.views.trial import try_request

    tree = sound_schema(file)
    ipam = Ipam(MemoryStore(), Policy(default_filter=parse_tag_filter(_DEFAULT_TAGS)), Clock())
    ipam.load(tree)
    subnet = None if wish.subnet is None else _network(wish.subnet)
    request = PoolRequest(
        "pyipam",
        "global" if wish.space == "global" else "local",
        wish.version or (subnet.version if subnet else 4),
        subnet,
        length=wish.prefix,
        tag_filter=parse_tag_filter(wish.tags, "tags"),
    )
    with ipam.reading() as state:
        trial = try_request(state, ipam.policy, request)
    return _answer(asdict(trial))


def _network(text: str) -> Network:
    try:
        return parse_network(str(parse_subnet(text)))
    except ValueError as error:
        raise CommandRefused(f"subnet={text!r} {error}") from None


def _answer(content: dict[str, Any]) -> Answer:
    scopes = [Answer(scope) for scope in content["scopes"]]
    return Answer(content | {"scopes": scopes})
