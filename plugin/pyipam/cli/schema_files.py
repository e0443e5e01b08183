"""The schema in a file that a command compares or asks."""

from __future__ import annotations

from pyipam.cli.options import read_file
from pyipam.cli.refusal import CommandRefused
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree


def sound_schema(file: str) -> ScopeTree:
    """The schema in a file; - is standard input. Raises CommandRefused if it has errors."""
    tree = read_schema(read_file(file))
    if isinstance(tree, ScopeTree):
        return tree
    if len(tree) == 1:
        raise CommandRefused(f"{file} has an error: {tree[0]}")
    raise CommandRefused(
        f"{file} has {len(tree)} errors, the first of them {tree[0]}; pyipam check {file} shows all"
    )
