"""Schemas to test with: what they give, and the errors in them."""

from __future__ import annotations

import json
from typing import Any

from pyipam.plan.schema import read_schema
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree

Entry = dict[str, Any]

ROOT: Entry = {"network": "10.0.0.0", "prefix": 16, "child_prefix": 24}


def document(*scopes: Any, **members: Any) -> str:
    return json.dumps({"schema_version": 1, "scopes": list(scopes), **members})


def tree_of(*scopes: Entry) -> ScopeTree:
    tree = read_schema(document(*scopes))
    assert isinstance(tree, ScopeTree), tree
    return tree


def scope_of(**keys: Any) -> Scope:
    """The only scope of a schema: ROOT with these keys."""
    (scope,) = tree_of(ROOT | keys)
    return scope


def child_of(parent: Entry, child: Entry) -> Scope:
    """The lower of two scopes."""
    _, scope = tree_of(ROOT | parent | {"scopes": [child]})
    return scope


def errors_in(text: str) -> list[str]:
    errors = read_schema(text)
    assert isinstance(errors, list), "the schema is taken as good"
    return [str(error) for error in errors]


def errors_of(*scopes: Any) -> list[str]:
    return errors_in(document(*scopes))
