"""What is released counts as resting or held back, until it is given out again."""

from __future__ import annotations

from tests.support.core import Core, scope, tree_of
from tests.support.counting import kept


def test_released_leases_count_as_resting_or_held_back() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=28, reuse_delay=60)))
    pool, gone = core.pool(), core.pool()
    for address in ("", "", "10.0.0.9"):
        core.address(pool, address)
    core.release(pool, "10.0.0.1")
    core.release(pool, "10.0.0.9")
    core.address(gone)
    core.release_pool(gone)

    assert kept(core.ipam) == {
        "pools": 2,
        "resting_pools": 1,
        "leases": 3,
        "resting_leases": 1,
        "held_back_leases": 1,
        "unclaimed": 0,
    }
