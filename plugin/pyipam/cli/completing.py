"""Values for the completion of shells: tags, scopes, pools, nodes, claims, filters.

Whatever goes wrong, nothing is completed, and nothing is printed into the user's line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from pyipam.cli.client import Client
from pyipam.cli.finding import Which, find
from pyipam.cli.surroundings import Surroundings
from pyipam.store.pool_id import SPACES
from pyipam.store.records import LEASE_KINDS

# Enough for a screen, and soon there.
_MOST_VALUES = 200

# The keys of --filter that have a few values only.
_CHOICES: Mapping[str, Iterable[str]] = {
    "space": SPACES,
    "kind": LEASE_KINDS,
    "unclaimed": ("true", "false"),
    "resting": ("true", "false"),
}

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_tags(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The tags of the schema; of several, the last one."""
    before = begun[: max(map(begun.rfind, ",+!")) + 1]
    return _completed(context, begun, lambda client: (before + tag for tag in _tags(client)))


def complete_scopes(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The networks of the scopes."""
    return _completed(context, begun, _scopes)


def complete_pools(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The ids of pools."""
    return _completed(context, begun, _pools)


def complete_nodes(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names of the nodes that share the plan."""
    return _completed(context, begun, _nodes)


def complete_own_claims(
    context: click.Context, _: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The blocks that the node which answers has claimed, and not released."""
    return _completed(context, begun, _own_claims)


def complete_filters(keys: Sequence[str]) -> Completion:
    """The keys of --filter, and the values of those that are known."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        key, equals, _value = begun.partition("=")
        if not equals:
            return [CompletionItem(f"{name}=") for name in keys if name.startswith(key)]
        if key in _CHOICES:
            begun_values = (f"{key}={value}" for value in _CHOICES[key])
            return [CompletionItem(value) for value in begun_values if value.startswith(begun)]
        values = {"tag": _tags, "scope": _scopes, "pool": _pools, "id": _pools, "node": _nodes}.get(
            key
        )
        if values is None:
            return []
        return _completed(context, begun, lambda client: (f"{key}={v}" for v in values(client)))

    return complete


def _completed(
    context: click.Context, begun: str, values: Callable[[Client], Iterator[str]]
) -> list[CompletionItem]:
    given = context.params
    socket = given.get("socket")
    which = Which(
        given.get("plugin") or "", Path(socket) if socket else None, given.get("url") or ""
    )
    try:
        found = find(which, context.find_object(Surroundings) or Surroundings())
        fitting = (value for value in values(found.client) if value.startswith(begun))
        return [
            CompletionItem(value) for value, _ in zip(fitting, range(_MOST_VALUES), strict=False)
        ]
    except Exception:
        return []


def _tags(client: Client) -> Iterator[str]:
    yield from sorted({tag for scope in client.items("scopes") for tag in scope["tags"]})


def _scopes(client: Client) -> Iterator[str]:
    for scope in client.items("scopes"):
        yield scope["network"]


def _pools(client: Client) -> Iterator[str]:
    for pool in client.items("pools"):
        yield pool["id"]


def _nodes(client: Client) -> Iterator[str]:
    for node in client.items_at_once("nodes"):
        yield node["node"]


def _own_claims(client: Client) -> Iterator[str]:
    for aggregate in client.items("aggregates"):
        # What may be in use in those of other nodes is not known.
        if aggregate["pools"] is not None and aggregate["resting_until"] is None:
            yield aggregate["cidr"]
