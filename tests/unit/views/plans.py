"""A plan of everything that a view shows: scopes in scopes, tags, rest, and what is reserved."""

from __future__ import annotations

from tests.support.core import scope, tree_of

PLAN = tree_of(
    scope(
        "10.0.0.0",
        16,
        child_prefix=24,
        tags=["default"],
        propagate_tags=False,
        reserved=["10.0.7.0/24", "10.0.0.100-10.0.0.110"],
        scopes=[scope("10.0.128.0", 20, child_prefix=28, tags=["web"], reuse_delay=60)],
    ),
    scope("fc00::", 48, child_prefix=64, tags=["default"]),
)
