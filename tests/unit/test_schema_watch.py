"""When a schema keeps new networks from getting a subnet, though its file is right."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import Unavailable
from pyipam.plan.schema_source import SchemaInForce
from pyipam.runtime.schema_watch import SchemaWatch
from pyipam.settings import read_settings
from tests.support.core import Core, scope, tree_of

WITH_NODE_PREFIX = tree_of(scope("10.1.0.0", 16, node_prefix=20, child_prefix=26))


class _Source:
    """A source of one schema."""

    def start(self) -> SchemaInForce:
        return SchemaInForce("mount", WITH_NODE_PREFIX)


def started(core: Core, **settings: str) -> SchemaWatch:
    source: Any = _Source()
    watch = SchemaWatch(source, read_settings(settings), lambda: None)
    watch.start()
    watch.take_effect(core.ipam)
    return watch


def test_a_shared_store_gives_no_new_network_a_subnet_while_a_scope_has_node_prefix() -> None:
    core = Core(WITH_NODE_PREFIX)
    core.announce()
    held = core.pool()

    watch = started(core, STORE_URL="mongodb://127.0.0.1/plan")

    with pytest.raises(
        Unavailable, match=r"scope 10\.1\.0\.0/16 has a node_prefix, .* remove the key"
    ):
        core.pool()
    assert watch.new_pools_refused
    assert core.address(held)


def test_the_default_store_gives_networks_subnets_of_scopes_with_node_prefix() -> None:
    core = Core(WITH_NODE_PREFIX)

    watch = started(core)

    assert not watch.new_pools_refused
    assert core.pool()
