"""Aggregates that a node gives back, and those that end by themselves."""

from __future__ import annotations

import pytest

from pyipam.errors import InUse, InvalidRequest, NotHeld, StoreFailure
from tests.support.core import Core, scope, tree_of
from tests.unit.aggregates import SCOPE, aggregates, core_with, fill, plan_with, resting

KEYLESS = {key: SCOPE[key] for key in SCOPE if key != "node_prefix"}
PLAIN = tree_of(KEYLESS)


def released(core: Core, cidr: str) -> None:
    core.make(lambda: core.ipam.release_aggregate(cidr))


def test_the_last_aggregate_of_a_scope_stays_with_its_node() -> None:
    core = core_with()
    core.release_pool(core.pool())

    core.time.pass_seconds(10_000_000)
    core.ipam.catch_up()

    assert aggregates(core) == ["10.1.0.0/20"]


def test_of_two_empty_aggregates_the_younger_is_released() -> None:
    core = core_with()
    pools = []
    for _ in range(5):
        pools += fill(core, 1)
        core.time.pass_seconds(1)

    for pool in reversed(pools):
        core.release_pool(pool)

    assert (aggregates(core), resting(core)) == (["10.1.0.0/20"], ["10.1.16.0/20"])


def test_an_aggregate_with_a_pool_is_kept_beside_an_empty_one() -> None:
    core = core_with()
    pools = fill(core, 5)
    for pool in pools[:4]:
        core.release_pool(pool)

    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]


@pytest.mark.parametrize(("reuse_delay", "rest"), [(0, 300), (600, 600)])
def test_an_aggregate_rests_for_at_least_300_seconds_before_it_is_free(
    reuse_delay: float, rest: float
) -> None:
    core = core_with(reuse_delay=reuse_delay)
    for pool in fill(core, 5):
        core.release_pool(pool)

    core.time.pass_seconds(rest - 1)
    core.ipam.catch_up()
    assert resting(core) == ["10.1.16.0/20"]

    core.time.pass_seconds(2)
    core.ipam.catch_up()
    assert resting(core) == []


def test_the_rest_of_an_aggregate_goes_on_after_a_restart() -> None:
    core = core_with()
    for pool in fill(core, 5):
        core.release_pool(pool)
    core.time.pass_seconds(200)
    core.start()
    assert resting(core) == ["10.1.16.0/20"]

    core.time.pass_seconds(101)
    core.ipam.catch_up()

    assert resting(core) == []


def test_a_pool_that_rests_does_not_keep_its_aggregate_in_use() -> None:
    core = core_with(reuse_delay=50)
    for pool in fill(core, 5):
        core.release_pool(pool)

    assert resting(core) == ["10.1.16.0/20"]


def test_an_operator_releases_an_empty_aggregate() -> None:
    core = core_with()
    core.release_pool(core.pool())

    released(core, "10.1.0.0/20")

    assert (aggregates(core), resting(core)) == ([], ["10.1.0.0/20"])


def test_an_aggregate_with_pools_is_not_released_and_the_pools_are_named() -> None:
    core = core_with()
    core.pool(label="web")
    core.pool()

    with pytest.raises(InUse) as refused:
        released(core, "10.1.0.0/20")

    assert str(refused.value) == (
        "aggregate 10.1.0.0/20 holds 2 pools: local/10.1.0.0/22 (id web), local/10.1.4.0/22; "
        "remove their networks first. Nothing has been released"
    )


@pytest.mark.parametrize(
    ("cidr", "why"),
    [
        ("10.1.32.0/20", "no node has claimed 10.1.32.0/20; `pyipam claims` lists what they have"),
        (
            "10.1.0.0/22",
            "10.1.0.0/22 is a part of 10.1.0.0/20, which can be released as a whole only",
        ),
    ],
)
def test_only_a_whole_aggregate_of_this_node_is_released(cidr: str, why: str) -> None:
    core = core_with()
    core.release_pool(core.pool())

    with pytest.raises(NotHeld) as refused:
        released(core, cidr)

    assert str(refused.value) == why


def test_what_is_not_a_block_cannot_be_released() -> None:
    core = core_with()

    with pytest.raises(InvalidRequest, match=r"did you mean 10\.1\.0\.0/20"):
        released(core, "10.1.0.1/20")


def test_an_aggregate_is_released_once() -> None:
    core = core_with()
    core.release_pool(core.pool())
    released(core, "10.1.0.0/20")
    core.time.pass_seconds(60)

    with pytest.raises(NotHeld) as refused:
        released(core, "10.1.0.0/20")

    assert str(refused.value) == (
        "aggregate 10.1.0.0/20 was released already, and rests until 2023-11-14T22:18:20Z; nothing "
        "has been done"
    )


def test_an_aggregate_keeps_its_length_when_node_prefix_changes() -> None:
    core = core_with()
    fill(core)
    core.ipam.use_schema(plan_with(node_prefix=21))

    assert core.pool() == "local/10.1.16.0/22"
    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/21"]


def test_pools_that_were_there_before_node_prefix_are_in_no_aggregate() -> None:
    core = Core(tree_of(scope("10.1.0.0", 16, child_prefix=22)))
    core.pool()

    core.ipam.use_schema(plan_with())

    assert aggregates(core) == []
    assert core.pool() == "local/10.1.128.0/22"


def test_empty_aggregates_rest_when_node_prefix_is_removed_and_are_free_afterwards() -> None:
    core = core_with()
    core.release_pool(core.pool())
    core.ipam.use_schema(PLAIN)

    core.ipam.catch_up()

    assert (aggregates(core), resting(core)) == ([], ["10.1.0.0/20"])
    assert core.pool() == "local/10.1.16.0/22"
    core.time.pass_seconds(299)
    core.ipam.catch_up()
    assert resting(core) == ["10.1.0.0/20"]
    core.time.pass_seconds(2)
    assert core.pool() == "local/10.1.0.0/22"
    assert (aggregates(core), resting(core)) == ([], [])


def test_other_aggregates_rest_from_the_end_of_their_last_pool_on_then() -> None:
    core = core_with()
    pool = core.pool()
    core.ipam.use_schema(PLAIN)

    assert core.pool() == "local/10.1.16.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]

    core.release_pool(pool)
    core.ipam.catch_up()
    assert (aggregates(core), resting(core)) == ([], ["10.1.0.0/20"])


def test_the_rest_of_an_aggregate_goes_on_when_node_prefix_is_removed() -> None:
    core = core_with()
    core.release_pool(core.pool())
    released(core, "10.1.0.0/20")
    core.time.pass_seconds(200)

    core.ipam.use_schema(PLAIN)
    core.ipam.catch_up()
    assert resting(core) == ["10.1.0.0/20"]

    core.time.pass_seconds(101)
    core.ipam.catch_up()
    assert resting(core) == []


def test_a_pool_that_rests_does_not_keep_an_aggregate_announced_without_node_prefix() -> None:
    core = core_with(reuse_delay=600)
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    core.ipam.use_schema(tree_of(KEYLESS | {"reuse_delay": 600}))

    core.ipam.catch_up()
    assert (aggregates(core), resting(core)) == ([], ["10.1.0.0/20"])

    core.time.pass_seconds(601)
    core.ipam.catch_up()
    assert resting(core) == []


def test_such_an_aggregate_rests_also_where_the_key_is_gone_at_a_restart() -> None:
    core = core_with()
    core.release_pool(core.pool())
    core.tree = PLAIN

    core.start()

    assert (aggregates(core), resting(core)) == ([], ["10.1.0.0/20"])


def test_that_an_aggregate_rests_is_undone_with_the_commit_that_fails() -> None:
    core = core_with()
    core.release_pool(core.pool())
    core.ipam.use_schema(PLAIN)
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.ipam.catch_up()
    assert aggregates(core) == ["10.1.0.0/20"]

    core.store.fail = False
    core.ipam.catch_up()

    assert resting(core) == ["10.1.0.0/20"]


def test_an_aggregate_whose_scope_has_left_the_schema_rests_after_its_last_pool() -> None:
    core = core_with()
    pool = core.pool()
    core.ipam.use_schema(tree_of(scope("10.2.0.0", 16, child_prefix=22)))
    core.ipam.catch_up()
    assert aggregates(core) == ["10.1.0.0/20"]

    core.release_pool(pool)
    core.ipam.catch_up()

    assert (aggregates(core), resting(core)) == ([], ["10.1.0.0/20"])


def test_an_aggregate_that_rests_is_taken_back_when_node_prefix_returns() -> None:
    core = core_with()
    core.release_pool(core.pool())
    core.ipam.use_schema(PLAIN)
    core.ipam.catch_up()

    core.ipam.use_schema(plan_with())

    assert core.pool() == "local/10.1.0.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]


def test_a_scope_that_comes_back_has_the_aggregates_that_it_had() -> None:
    core = core_with()
    core.pool()
    core.ipam.use_schema(tree_of(scope("10.2.0.0", 16, child_prefix=22)))
    core.ipam.catch_up()

    core.ipam.use_schema(plan_with())

    assert core.pool() == "local/10.1.4.0/22"
    assert aggregates(core) == ["10.1.0.0/20"]
