"""`pyipam diff`: what another schema means for what lives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from typing import Any

import click

from pyipam.cli.client import Answer
from pyipam.cli.finding import Which
from pyipam.cli.names import DockerNames, names_for
from pyipam.cli.options import (
    found_plugin,
    print_json,
    prints_json,
    prints_quietly,
    read_file,
    reads_plugin,
)
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.tables import plain
from pyipam.plan.schema import read_schema
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import block_of
from pyipam.store.pool_id import subnet_of
from pyipam.views.scopes import parents_in, text_of_range

_DIFFERENCES_FOUND = 3
_COMPARED = (
    *("parent", "child_prefix", "tags", "lock_down", "pre_seed_children"),
    *("reserved", "reuse_delay", "address_space", "description"),
)
# A scope may have a child that is as large as itself.
_Key = tuple[str, int]


@dataclass(frozen=True)
class Difference:
    """Something that would be different: a scope that is added, removed or changed, or a pool that
    stays outside of every scope."""

    kind: str
    what: str
    detail: str


@click.command("diff")
@click.argument("file")
@reads_plugin
@prints_json
@prints_quietly("Print nothing: the exit code says it.")
def diff_command(file: str, which: Which, as_json: bool, quiet: bool) -> int:
    """Compare the schema in force with the one in FILE, before that is put in force.

    FILE is the schema; - is standard input. The exit code is 3 if there are differences.
    """
    tree = read_schema(read_file(file))
    if not isinstance(tree, ScopeTree):
        raise CommandRefused(
            f"{file} has {len(tree)} errors, the first of them {tree[0]}; pyipam check {file} "
            "shows all"
        )
    found = found_plugin(which)
    present = list(found.client.items("scopes"))
    pools = found.client.items("pools", resting="false")
    differences = [
        *scope_differences(present, tree),
        *pools_outside(pools, tree, names_for(found)),
    ]
    if as_json:
        print_json([asdict(difference) for difference in differences])
    elif not quiet:
        for each in differences:
            click.echo(plain(f"{each.kind:8} {each.what}: {each.detail}"))
        if not differences:
            click.echo("no differences")
    return _DIFFERENCES_FOUND if differences else 0


def scope_differences(present: Iterable[Answer], tree: ScopeTree) -> Iterator[Difference]:
    """What is different in the scopes, in the order of addresses."""
    before: dict[_Key, dict[str, Any]] = {
        (scope["network"], scope["depth"]): {name: scope[name] for name in _COMPARED}
        for scope in present
    }
    after: dict[_Key, dict[str, Any]] = {
        (str(scope), scope.depth): _described(scope, parent)
        for scope, parent in _with_parents(tree)
    }
    for key in sorted(before.keys() | after.keys(), key=_order):
        old, new = before.get(key), after.get(key)
        if new is None and old is not None:
            yield Difference("removed", key[0], f"its tags were {_shown(old['tags'])}")
        elif old is None and new is not None:
            yield Difference("added", key[0], f"its tags are {_shown(new['tags'])}")
        elif old is not None and new is not None:
            changed = [name for name in _COMPARED if old[name] != new[name]]
            if changed:
                texts = (f"{name} {_shown(old[name])} -> {_shown(new[name])}" for name in changed)
                yield Difference("changed", key[0], "; ".join(texts))


def pools_outside(
    pools: Iterable[Answer], tree: ScopeTree, names: DockerNames
) -> Iterator[Difference]:
    """The pools that lie in no scope of the tree."""
    for pool in pools:
        subnet = subnet_of(pool["id"])
        if tree.containing(block_of(ip_network(subnet))) is None:
            networks = ", ".join(names.networks_of(subnet))
            yield Difference(
                "outside",
                pool["id"],
                f"lives on until {f'network {networks}' if networks else 'its network'} is removed",
            )


def _with_parents(tree: ScopeTree) -> Iterator[tuple[Scope, Scope | None]]:
    parents = parents_in(tree)
    for scope in tree:
        yield scope, parents.get(scope)


def _described(scope: Scope, parent: Scope | None) -> dict[str, Any]:
    """A scope as /v1/scopes shows it, as far as it is compared."""
    return {
        "parent": None if parent is None else str(parent),
        "child_prefix": scope.child_prefix,
        "tags": sorted(scope.tags),
        "lock_down": scope.lock_down,
        "pre_seed_children": scope.pre_seed_children,
        "reserved": [text_of_range(scope.block.version, item) for item in scope.reserved],
        "reuse_delay": scope.reuse_delay,
        "address_space": scope.address_space,
        "description": scope.description,
    }


def _order(key: _Key) -> tuple[int, int, int]:
    network = ip_network(key[0])
    return network.version, int(network.network_address), key[1]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value in (None, "") else str(value)
