"""What the commands show of scopes whose blocks nodes claim."""

from __future__ import annotations

import json

import pytest

from tests.support.in_process import InProcess
from tests.unit.aggregates import SCOPE
from tests.unit.cli.host import Host
from tests.unit.cli.plans import make_network


@pytest.fixture
def schema() -> str:
    return json.dumps({"schema_version": 1, "scopes": [SCOPE]})


def test_scopes_show_what_this_node_would_get_and_who_has_how_much(
    host: Host, plugin: InProcess
) -> None:
    make_network(plugin)

    (row,) = host.run("scopes").cells

    assert row[1:5] == ["64 of /22", "1", "63", "10.1.4.0/22"]
    assert row[-1] == "nodes claim /20 blocks (1 of this node, 0 of others, 15 free); local only"
