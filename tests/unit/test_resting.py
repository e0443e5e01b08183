"""reuse_delay: what was released rests before it is given out again (docs/schema.md)."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted
from tests.support.core import Core, scope, tree_of

DELAY = 60


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.0.0.0", 22, child_prefix=24, reuse_delay=DELAY)))


def test_a_released_address_rests_for_the_delay(core: Core) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    assert core.address(pool) == "10.0.0.2/24"
    core.time.pass_seconds(DELAY - 1)
    assert core.address(pool) == "10.0.0.3/24"
    core.time.pass_seconds(1)
    assert core.address(pool) == "10.0.0.1/24"


def test_a_resting_address_can_be_requested(core: Core) -> None:
    pool = core.pool()
    core.address(pool, "10.0.0.9")
    core.release(pool, "10.0.0.9")
    assert core.address(pool, "10.0.0.9") == "10.0.0.9/24"


def test_an_address_that_was_requested_while_it_rested_stays_in_use(core: Core) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.address(pool, "10.0.0.1")
    core.time.pass_seconds(2 * DELAY)
    assert core.address(pool) == "10.0.0.2/24"


def test_each_release_starts_a_new_rest(core: Core) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.time.pass_seconds(DELAY - 1)
    core.address(pool, "10.0.0.1")
    core.release(pool, "10.0.0.1")
    core.time.pass_seconds(DELAY - 1)
    assert core.address(pool) == "10.0.0.2/24"


def test_a_full_pool_does_not_end_any_rest_early() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=30, reuse_delay=DELAY)))
    pool = core.pool()
    for _ in range(2):
        core.address(pool)
    core.release(pool, "10.0.0.2")
    with pytest.raises(Exhausted, match="leased or resting"):
        core.address(pool)


def test_a_released_block_that_was_in_use_rests(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.release(pool, "10.0.0.1")
    core.release_pool(pool)
    assert core.pools() == []
    assert core.pool() == "local/10.0.1.0/24"
    core.time.pass_seconds(DELAY)
    assert core.pool() == "local/10.0.0.0/24"


def test_a_block_that_was_released_unused_is_free_at_once(core: Core) -> None:
    core.release_pool(core.pool())
    assert core.pool() == "local/10.0.0.0/24"


def test_a_resting_block_or_a_part_of_it_can_be_requested(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    assert core.pool("10.0.0.0/24") == pool
    core.gateway(pool)
    core.release_pool(pool)
    part = core.pool("10.0.0.0/26")
    assert core.gateway(part) == "10.0.0.1/26"
    core.time.pass_seconds(DELAY)
    assert core.pool(length=26) == "local/10.0.0.64/26"


def test_rest_continues_after_a_restart(core: Core) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.time.pass_seconds(DELAY / 2)
    core.start()
    assert core.address(pool) == "10.0.0.2/24"
    core.time.pass_seconds(DELAY / 2)
    assert core.address(pool) == "10.0.0.1/24"


def test_a_jump_of_the_wall_clock_changes_no_rest_while_running(core: Core) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.time.wall += 10 * DELAY
    assert core.address(pool) == "10.0.0.2/24"
    core.time.wall -= 100 * DELAY
    core.time.monotonic += DELAY
    assert core.address(pool) == "10.0.0.1/24"


def test_after_a_restart_with_the_clock_set_back_nothing_rests_longer_than_the_delay(
    core: Core,
) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.time.wall -= 1000 * DELAY
    core.start()
    core.time.pass_seconds(DELAY)
    assert core.address(pool) == "10.0.0.1/24"


def test_a_schema_without_reuse_delay_ends_every_rest(core: Core) -> None:
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.ipam.use_schema(tree_of(scope("10.0.0.0", 22, child_prefix=24)))
    assert core.address(pool) == "10.0.0.1/24"


def test_what_rests_in_a_pool_that_goes_still_rests_for_another_of_the_subnet() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, reuse_delay=DELAY)))
    part = core.pool("10.0.0.0/26", ip_range="10.0.0.0/27")
    whole = core.pool("10.0.0.0/26")
    core.address(part)
    core.address(part)
    core.release(part, "10.0.0.1")
    core.release_pool(part)
    assert core.address(whole) == "10.0.0.3/26"
    core.start()
    assert core.address(whole) == "10.0.0.4/26"
    core.time.pass_seconds(DELAY)
    assert core.address(whole) == "10.0.0.1/26"
    assert core.address(whole) == "10.0.0.2/26"


def test_what_rests_under_a_driver_name_that_goes_still_rests_for_another() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, reuse_delay=DELAY)))
    pool = core.pool("10.0.0.0/26")
    core.pool("10.0.0.0/26", driver="alias")
    core.address(pool)
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.release_pool(pool)
    assert core.address(pool, driver="alias") == "10.0.0.3/26"
    core.time.pass_seconds(DELAY)
    assert core.address(pool, driver="alias") == "10.0.0.1/26"
    assert core.address(pool, driver="alias") == "10.0.0.2/26"


def test_a_scope_that_the_schema_lacks_for_a_moment_ends_no_rest(core: Core) -> None:
    without = tree_of(scope("10.1.0.0", 22, child_prefix=24))
    first, second = core.pool(), core.pool()
    core.gateway(first)
    core.gateway(second)
    core.release_pool(first)
    core.ipam.use_schema(without)
    core.release_pool(second)
    assert core.pool() == "local/10.1.0.0/24"
    core.ipam.use_schema(core.tree)
    assert core.pool() == "local/10.0.2.0/24"
    core.time.pass_seconds(DELAY)
    assert core.pool() == first


def test_what_rests_in_a_scope_that_has_left_the_schema_ends_in_its_time(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    core.ipam.use_schema(tree_of(scope("10.1.0.0", 22, child_prefix=24)))
    core.time.pass_seconds(DELAY)
    core.pool()
    assert [held.id for held, _ in core.ipam.pools()] == ["local/10.1.0.0/24"]
