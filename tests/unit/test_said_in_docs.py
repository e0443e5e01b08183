"""What a new user has to know before anything goes wrong is said where it is looked for."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from tests.support.program import DEFAULT_SCHEMA

ROOT = Path(__file__).parents[2]
SHARED_RANGE = "100.64.0.0/10"


@pytest.mark.parametrize("page", ["README.md", "docs/schema.md", "docs/setups.md"])
def test_the_built_in_plan_lies_where_tailnets_do(page: str) -> None:
    built_in = read_schema(DEFAULT_SCHEMA.read_text())
    assert isinstance(built_in, ScopeTree)
    lying_there = [
        root
        for root in built_in.roots
        if root.network.version == 4 and root.network.overlaps(ip_network(SHARED_RANGE))
    ]
    text = (ROOT / page).read_text()
    assert lying_there
    assert SHARED_RANGE in text
    assert "Tailscale" in text
