"""`pyipam plan`: which block a network would get, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from pyipam.cli.client import Answer
from pyipam.cli.completing import complete_tags
from pyipam.cli.finding import Which
from pyipam.cli.options import (
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

_REFUSED = 1
_HEADINGS = ("ORDER", "SCOPE", "FREE", "BLOCK", "TAGS", "WHY NOT")
# The setting DEFAULT_TAGS of a plugin that nobody has set.
_DEFAULT_TAGS = "default"


@dataclass(frozen=True)
class Wish:
    """What a network asks for."""

    tags: str
    prefix: int | None
    version: int
    space: str


@click.command("plan", epilog="Example: sudo pyipam plan ingress+!public --prefix 26")
@click.argument("tags", default="", shell_complete=complete_tags)
@click.option(
    "--prefix",
    type=click.IntRange(1, 128),
    metavar="LENGTH",
    help="Ask for a block with this prefix length.",
)
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
    version = 6 if ipv6 else 4
    if prefix is not None and version_of_length(prefix) != version:
        raise click.UsageError(
            f"--prefix {prefix} is a length of IPv4, of which no network asks for IPv6"
            if ipv6
            else f"--prefix {prefix} is a length of IPv6: add --ipv6"
        )
    wish = Wish(tags, prefix, version, "global" if is_global else "local")
    trial = _ask_schema(schema, wish) if schema is not None else _ask_plugin(which, wish)
    if as_json:
        print_json(trial)
    elif quiet:
        if trial["block"] is not None:
            click.echo(trial["block"])
    else:
        click.echo(plain(trial["outcome"]))
        click.echo()
        click.echo(table(_HEADINGS, _rows(trial)))
    return _REFUSED if trial["block"] is None else 0


def _rows(trial: Answer) -> Iterator[tuple[object, ...]]:
    for scope in trial["scopes"]:
        yield (
            scope["order"],
            scope["network"],
            scope["free"],
            scope["block"],
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
    request = PoolRequest(
        "pyipam",
        "global" if wish.space == "global" else "local",
        wish.version,
        length=wish.prefix,
        tag_filter=parse_tag_filter(wish.tags, "tags"),
    )
    with ipam.reading() as state:
        trial = try_request(state, ipam.policy, request)
    return _answer(asdict(trial))


def _answer(content: dict[str, Any]) -> Answer:
    scopes = [Answer(scope) for scope in content["scopes"]]
    return Answer(content | {"scopes": scopes})
