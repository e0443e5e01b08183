"""reuse_delay: what was released rests before it is given out again (docs/schema.md)."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, StoreFailure
from tests.support.core import Core, scope, tree_of
from tests.support.reading import pools_in

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


def test_a_full_pool_gives_out_the_address_that_has_rested_for_longest(core: Core) -> None:
    pool = core.pool(length=29)
    for _ in range(6):
        core.address(pool)
    for address in ("10.0.0.5", "10.0.0.2", "10.0.0.3"):
        core.release(pool, address)
        core.time.pass_seconds(1)
    assert core.address(pool) == "10.0.0.5/29"
    core.start()
    assert core.address(pool) == "10.0.0.2/29"
    assert core.address(pool) == "10.0.0.3/29"
    with pytest.raises(Exhausted):
        core.address(pool)


def test_a_rest_that_ends_early_is_logged(core: Core, logged: list[str]) -> None:
    pool = core.pool(length=30)
    for _ in range(2):
        core.address(pool)
    core.release(pool, "10.0.0.2")
    core.address(pool)
    again = "resting address given out again pool=local/10.0.0.0/30 address=10.0.0.2"
    assert [line for line in logged if "level=WARNING" in line] == [f"level=WARNING {again}\n"]


def test_a_container_restarts_in_a_pool_with_room_for_it_alone(core: Core) -> None:
    pool = core.pool(length=30)
    core.gateway(pool)
    for _ in range(3):
        assert core.address(pool) == "10.0.0.2/30"
        core.release(pool, "10.0.0.2")


def test_resting_addresses_outside_an_ip_range_are_not_given_out(core: Core) -> None:
    pool = core.pool("10.0.0.0/24", ip_range="10.0.0.128/31")
    core.address(pool, "10.0.0.9")
    core.release(pool, "10.0.0.9")
    assert [core.address(pool) for _ in range(2)] == ["10.0.0.128/24", "10.0.0.129/24"]
    with pytest.raises(Exhausted, match=r"ip-range 10\.0\.0\.128/31"):
        core.address(pool)


def test_an_address_that_was_given_out_early_does_not_rest_on(core: Core) -> None:
    pool = core.pool(length=30)
    core.gateway(pool)
    core.address(pool)
    core.release(pool, "10.0.0.2")
    core.address(pool)
    core.time.pass_seconds(2 * DELAY)
    with pytest.raises(Exhausted):
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


def _use_and_release(core: Core, *pools: str) -> None:
    for pool in pools:
        core.gateway(pool)
    for pool in pools:
        core.release_pool(pool)
        core.time.pass_seconds(1)


def test_a_full_scope_gives_out_the_block_that_has_rested_for_longest(
    core: Core, logged: list[str]
) -> None:
    pools = [core.pool() for _ in range(4)]
    _use_and_release(core, pools[2], pools[0], pools[3])
    core.start()
    assert [core.pool() for _ in range(3)] == [pools[2], pools[0], pools[3]]
    again = f"level=WARNING resting block given out again pool={pools[2]} was={pools[2]}\n"
    assert next(line for line in logged if "level=WARNING" in line) == again
    with pytest.raises(Exhausted):
        core.pool()


def test_a_free_block_of_another_scope_is_given_out_before_one_that_rests() -> None:
    core = Core(
        tree_of(
            scope("10.0.0.0", 24, child_prefix=24, reuse_delay=DELAY),
            scope("10.1.0.0", 24, child_prefix=24),
        )
    )
    _use_and_release(core, core.pool())
    assert [core.pool() for _ in range(2)] == ["local/10.1.0.0/24", "local/10.0.0.0/24"]


def test_a_smaller_network_gets_a_part_of_a_block_that_rests(core: Core) -> None:
    pools = [core.pool() for _ in range(4)]
    _use_and_release(core, pools[1])
    assert core.pool(length=26) == "local/10.0.1.0/26"
    assert core.pool(length=26) == "local/10.0.1.64/26"


def test_a_larger_network_gets_blocks_that_rest_together(core: Core) -> None:
    pools = [core.pool() for _ in range(4)]
    _use_and_release(core, pools[0], pools[3], pools[2])
    assert core.pool(length=23) == "local/10.0.2.0/23"
    assert core.pool() == pools[0]
    with pytest.raises(Exhausted):
        core.pool()


def test_a_block_that_rests_in_one_space_and_is_held_in_the_other_is_not_given_out(
    core: Core,
) -> None:
    pools = [core.pool() for _ in range(4)]
    core.pool("10.0.1.0/24", space="global")
    _use_and_release(core, pools[1])
    with pytest.raises(Exhausted):
        core.pool()


def test_a_reserved_block_that_rests_is_not_given_out_unasked() -> None:
    plan = scope("10.0.0.0", 23, child_prefix=24, reuse_delay=DELAY, reserved=["10.0.1.0/24"])
    core = Core(tree_of(plan))
    core.pool()
    _use_and_release(core, core.pool("10.0.1.0/24"))
    with pytest.raises(Exhausted):
        core.pool()


def test_a_commit_that_fails_lets_the_block_rest_on(core: Core) -> None:
    pools = [core.pool() for _ in range(4)]
    _use_and_release(core, pools[1], pools[3])
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.pool()
    core.store.fail = False
    assert core.pool() == pools[1]
    core.time.pass_seconds(DELAY)
    assert core.pool() == pools[3]


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
    part = core.pool("10.0.0.0/26", ip_range="10.0.0.0/27", shared=True)
    whole = core.pool("10.0.0.0/26", shared=True)
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
    pool = core.pool("10.0.0.0/26", shared=True)
    core.pool("10.0.0.0/26", driver="alias", shared=True)
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


def test_a_scope_that_the_schema_lacks_during_a_restart_ends_no_rest(core: Core) -> None:
    plan = core.tree
    first = core.pool()
    core.gateway(first)
    core.release_pool(first)
    for tree in (tree_of(scope("10.1.0.0", 22, child_prefix=24)), plan):
        core.tree = tree
        core.start()
        core.pool()
    assert core.pools() == ["local/10.0.1.0/24", "local/10.1.0.0/24"]
    core.time.pass_seconds(DELAY)
    assert core.pool() == first


def test_what_rests_outside_of_every_scope_is_forgotten_after_a_day(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    core.tree = tree_of(scope("10.1.0.0", 22, child_prefix=24))
    core.start()
    core.pool()
    assert pool in [held.id for held, _ in pools_in(core.ipam)]
    core.time.pass_seconds(24 * 60 * 60)
    core.pool()
    assert pool not in [held.id for held, _ in pools_in(core.ipam)]


def test_what_rests_in_a_scope_that_has_left_the_schema_ends_in_its_time(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    core.ipam.use_schema(tree_of(scope("10.1.0.0", 22, child_prefix=24)))
    core.time.pass_seconds(DELAY)
    core.pool()
    assert [held.id for held, _ in pools_in(core.ipam)] == ["local/10.1.0.0/24"]
