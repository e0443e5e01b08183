"""A node is refused nothing because of what other nodes have undone meanwhile."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse, Unavailable
from pyipam.store.records import Put
from tests.support.core import Core, scope, tree_of
from tests.support.reading import leases_in
from tests.support.several_nodes import node, store_of
from tests.support.shared_plan import SharedPlan

_ONE_BLOCK = tree_of(scope("10.0.0.0", 24, child_prefix=24))


def test_a_block_that_another_node_has_just_released_is_given_out(plan: SharedPlan) -> None:
    first, second = node(plan, "first", _ONE_BLOCK), node(plan, "second", _ONE_BLOCK)
    first.pool()
    second.ipam.catch_up()
    store_of(second).is_behind = True

    first.release_pool("local/10.0.0.0/24")

    assert second.pool() == "local/10.0.0.0/24"


def test_a_node_that_is_no_longer_drained_serves_at_once(first: Core, second: Core) -> None:
    second.ipam.catch_up()
    first.make(lambda: first.ipam.drain("second", ["second"]))
    second.ipam.catch_up()
    store_of(second).is_behind = True

    first.make(lambda: first.ipam.undrain("second", ["second"]))

    assert second.pool() == "local/10.0.0.0/24"


def test_a_node_is_drained_although_another_one_has_just_ended_that(
    first: Core, second: Core
) -> None:
    first.make(lambda: first.ipam.drain("second", ["second"]))
    second.ipam.catch_up()
    store_of(second).is_behind = True
    first.make(lambda: first.ipam.undrain("second", ["second"]))

    second.make(lambda: second.ipam.drain("second"))

    with pytest.raises(Unavailable, match="node second is being drained"):
        second.pool()


def test_draining_ends_although_another_node_has_just_begun_it(first: Core, second: Core) -> None:
    second.ipam.catch_up()
    store_of(second).is_behind = True
    first.make(lambda: first.ipam.drain("second", ["second"]))

    second.make(lambda: second.ipam.undrain("second"))

    assert second.pool() == "local/10.0.0.0/24"


def test_a_network_that_another_node_has_just_made_for_the_swarm_is_known(
    first: Core, second: Core
) -> None:
    store_of(second).is_behind = True
    pool = first.pool(space="global")

    assert second.address(pool) == "10.0.0.1/24"


def test_an_address_that_another_node_has_just_released_is_given_out(
    first: Core, second: Core
) -> None:
    pool = first.pool("10.0.9.0/24")
    second.pool("10.0.9.0/24")
    first.address(pool, "10.0.9.77")
    with pytest.raises(InUse):
        second.address(pool, "10.0.9.77")
    store_of(second).is_behind = True

    first.release(pool, "10.0.9.77")
    released = [Put(lease) for lease, _ in leases_in(first.ipam, pool)]
    store_of(second).hear(store_of(first), released)

    assert second.address(pool, "10.0.9.77") == "10.0.9.77/24"


def test_what_is_still_true_is_refused(plan: SharedPlan) -> None:
    first, second = node(plan, "first", _ONE_BLOCK), node(plan, "second", _ONE_BLOCK)
    first.pool()
    store_of(second).is_behind = True

    with pytest.raises(Exhausted, match=r"scope 10\.0\.0\.0/24 is full"):
        second.pool()


def test_the_other_calls_of_the_commit_are_answered_too(plan: SharedPlan) -> None:
    two_blocks = tree_of(scope("10.0.0.0", 23, child_prefix=24))
    first, second = node(plan, "first", two_blocks), node(plan, "second", two_blocks)
    first.pool()
    second.ipam.catch_up()
    store_of(second).is_behind = True
    first.release_pool("local/10.0.0.0/24")

    answers = second.together(
        lambda: second.pool("10.0.1.0/24"), second.pool, lambda: second.address("local/10.0.1.0/24")
    )

    assert answers == ["local/10.0.1.0/24", "local/10.0.0.0/24", "10.0.1.1/24"]


def test_a_database_that_does_not_answer_keeps_no_refusal_waiting_for_long(
    first: Core, second: Core
) -> None:
    second.ipam.catch_up()
    first.make(lambda: first.ipam.drain("second", ["second"]))
    second.ipam.catch_up()

    with pytest.raises(Unavailable, match="node second is being drained"):
        second.pool()

    assert store_of(second).given[-1] == 1.0
