"""Docker asks again with the same request while a block collides with something of the host that
is not known here; see the docstring of core/turned_down.py."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted
from tests.support.core import Core, replay, scope, tree_of


def _with_two_unclaimed_pools(free: int) -> Core:
    """A scope of sixteen blocks, of which two leaked and this many are free."""
    core = Core(tree_of(scope("10.20.0.0", 24, child_prefix=28)))
    pools = [core.pool() for _ in range(16 - free)]
    for pool in pools:
        core.gateway(pool)
    core.restart_engine("engine-2")
    for pool in pools[2:]:
        replay(core, pool, core.leases(pool).popitem()[0])
    core.time.pass_seconds(60)
    return core


def test_each_answer_to_the_same_request_is_another_block() -> None:
    core = Core(tree_of(scope("10.20.0.0", 24, child_prefix=28)))

    assert len({core.pool() for _ in range(16)}) == 16


def test_no_unclaimed_pool_ends_for_what_docker_turns_down() -> None:
    core = _with_two_unclaimed_pools(free=3)
    offered = [core.pool() for _ in range(3)]

    with pytest.raises(Exhausted, match="turned them down because they overlap a route or a name"):
        core.pool()
    for pool in offered:
        core.release_pool(pool)
    assert {"local/10.20.0.0/28", "local/10.20.0.16/28"} <= set(core.pools())


def test_an_unclaimed_pool_is_given_out_when_the_last_blocks_are_in_use() -> None:
    core = _with_two_unclaimed_pools(free=3)
    for _ in range(3):
        core.gateway(core.pool())

    assert core.pool() == "local/10.20.0.0/28"


def test_two_networks_at_once_are_not_taken_for_one_that_turns_a_block_down() -> None:
    core = _with_two_unclaimed_pools(free=1)
    core.pool()

    assert core.pool() == "local/10.20.0.0/28"


def test_networks_that_never_use_an_address_are_taken_for_that_only_for_a_moment() -> None:
    core = _with_two_unclaimed_pools(free=3)
    for _ in range(3):
        core.pool()
    core.time.pass_seconds(6)

    assert core.pool() == "local/10.20.0.0/28"


def test_another_request_is_served_meanwhile() -> None:
    core = _with_two_unclaimed_pools(free=3)
    for _ in range(3):
        core.pool()

    assert core.pool(label="other") == "local/10.20.0.0/28"
