"""The scopes of a schema, and the JSON path of each in its text."""

from __future__ import annotations

from collections.abc import Iterator

from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree


def paths_of(tree: ScopeTree) -> dict[Scope, str]:
    """The JSON path of each scope."""
    return dict(_paths("$", tree.roots))


def _paths(path: str, scopes: tuple[Scope, ...]) -> Iterator[tuple[Scope, str]]:
    for index, scope in enumerate(scopes):
        here = f"{path}.scopes[{index}]"
        yield scope, here
        yield from _paths(here, scope.children)
