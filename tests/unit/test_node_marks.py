"""Nodes that are drained, and what a node gives out that was forgotten."""

from __future__ import annotations

import pytest

from pyipam.errors import InvalidRequest, Unavailable
from tests.support.core import Core, scope, tree_of
from tests.unit.aggregates import aggregates, core_with


def drained(core: Core, node: str = "h1") -> None:
    core.make(lambda: core.ipam.drain(node))


@pytest.mark.parametrize("keys", [{}, {"node_prefix": 18}])
def test_a_node_that_is_drained_gives_no_new_network_a_subnet(keys: dict[str, int]) -> None:
    core = core_with(**keys)
    drained(core)

    for subnet in ("", "10.1.0.0/24"):
        with pytest.raises(Unavailable) as refused:
            core.pool(subnet)
        assert str(refused.value) == (
            "node h1 is being drained: networks that exist go on, and no new one gets a subnet; "
            "create it on another node, or end that with `pyipam nodes undrain h1`"
        )
    assert core.pools() == []


def test_what_lives_on_a_drained_node_goes_on() -> None:
    core = core_with()
    pool = core.pool()
    drained(core)

    assert core.gateway(pool) == "10.1.0.1/22"
    core.restart_engine("engine-2")
    assert core.pool("10.1.0.0/22") == pool
    core.release_pool(pool)
    assert aggregates(core) == ["10.1.0.0/20"]


def test_a_drained_node_still_leads_its_swarm_and_mirrors_its_networks() -> None:
    core = Core(tree_of(scope("10.2.0.0", 16, child_prefix=24)))
    drained(core)

    assert core.pool(space="global") == "global/10.2.0.0/24"
    assert core.pool("10.2.0.0/24", is_repeated=True) == "local/10.2.0.0/24"


def test_a_node_stays_drained_after_a_restart() -> None:
    core = core_with()
    drained(core)
    core.start()

    with pytest.raises(Unavailable):
        core.pool()


def test_undrain_ends_it() -> None:
    core = core_with()
    drained(core)

    core.make(lambda: core.ipam.undrain("h1"))

    assert core.pool() == "local/10.1.0.0/22"
    core.start()
    assert core.pool() == "local/10.1.4.0/22"


def test_nothing_is_stored_of_a_node_that_is_no_longer_drained() -> None:
    core = core_with()
    before = dict(core.store.records)
    drained(core)
    core.make(lambda: core.ipam.undrain("h1"))

    assert core.store.records == before


def test_an_unknown_node_cannot_be_drained() -> None:
    core = core_with()

    with pytest.raises(InvalidRequest) as refused:
        drained(core, "h9")

    assert str(refused.value) == "the plan has no node h9; it has h1. Nothing has been done"


def test_a_node_that_only_the_store_has_seen_can_be_drained() -> None:
    core = core_with()

    core.make(lambda: core.ipam.drain("h2", ["h1", "h2"]))

    assert core.pool() == "local/10.1.0.0/22"
