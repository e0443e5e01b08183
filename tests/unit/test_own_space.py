"""In which order a node draws from its aggregates."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pyipam.core.own_space import OwnSpace
from pyipam.plan.scope import Scope
from pyipam.space.block import Block, block_of
from pyipam.space.buddy import BuddyAllocator
from tests.unit.aggregates import plan_with

FIRST, SECOND, THIRD = (
    block_of(ip_network(cidr)) for cidr in ("10.1.0.0/20", "10.1.16.0/20", "10.1.64.0/20")
)


@pytest.fixture
def scope() -> Scope:
    return next(iter(plan_with()))


@pytest.fixture
def own(scope: Scope) -> OwnSpace:
    space = OwnSpace()
    for block in (THIRD, FIRST, SECOND):
        space.add(block, scope, BuddyAllocator(block.start, block.length, block.width))
    return space


def take(own: OwnSpace, aggregate: Block, length: int, count: int = 1) -> None:
    for _ in range(count):
        free = own.change(aggregate)
        start = free.lowest(length)
        assert start is not None
        free.hold(start, length)


def test_equally_full_aggregates_are_drawn_from_in_the_order_of_their_addresses(
    own: OwnSpace, scope: Scope
) -> None:
    assert list(own.fullest(scope, 22)) == [FIRST, SECOND, THIRD]


def test_the_fullest_aggregate_is_drawn_from_first(own: OwnSpace, scope: Scope) -> None:
    take(own, THIRD, 22, count=2)
    take(own, SECOND, 22)

    assert list(own.fullest(scope, 22)) == [THIRD, SECOND, FIRST]


def test_what_is_given_back_changes_the_order(own: OwnSpace, scope: Scope) -> None:
    take(own, THIRD, 22, count=2)
    assert next(own.fullest(scope, 22)) == THIRD

    own.change(THIRD).release(THIRD.start, 22)
    own.change(THIRD).release(THIRD.start + 1024, 22)

    assert list(own.fullest(scope, 22)) == [FIRST, SECOND, THIRD]


def test_an_aggregate_without_a_block_of_that_length_is_left_out(
    own: OwnSpace, scope: Scope
) -> None:
    take(own, FIRST, 22, count=3)
    take(own, SECOND, 22, count=4)

    assert list(own.fullest(scope, 21)) == [THIRD]
    assert list(own.fullest(scope, 22)) == [FIRST, THIRD]


@pytest.mark.parametrize("length", [19, 20])
def test_no_aggregate_has_a_block_as_large_as_itself(
    own: OwnSpace, scope: Scope, length: int
) -> None:
    assert list(own.fullest(scope, length)) == []


def test_an_aggregate_that_rests_is_not_drawn_from(own: OwnSpace, scope: Scope) -> None:
    own.rest(SECOND)
    own.rest(FIRST)

    assert list(own.fullest(scope, 22)) == [THIRD]
    assert list(own.at_rest(scope)) == [FIRST, SECOND]

    own.use(SECOND)
    own.use(SECOND)
    assert list(own.fullest(scope, 22)) == [SECOND, THIRD]
    assert list(own.at_rest(scope)) == [FIRST]


def test_the_buddies_are_those_of_aggregates_in_use(own: OwnSpace, scope: Scope) -> None:
    assert own.buddies(scope, 20) == {FIRST.start, SECOND.start, THIRD.start + (1 << 12)}

    own.rest(FIRST)
    assert own.buddies(scope, 20) == {FIRST.start, THIRD.start + (1 << 12)}


def test_aggregates_beside_each_other_have_a_buddy_together(own: OwnSpace, scope: Scope) -> None:
    assert own.buddies(scope, 19) == {FIRST.start + (1 << 13)}

    own.rest(SECOND)
    assert own.buddies(scope, 19) == set()


def test_an_aggregate_is_found_around_a_block_and_inside_one(own: OwnSpace) -> None:
    inside = block_of(ip_network("10.1.17.0/24"))
    around = block_of(ip_network("10.1.0.0/18"))

    assert own.around(inside) == SECOND
    assert own.around(around) is None
    assert list(own.inside(around)) == [FIRST, SECOND]
    assert list(own.inside(inside)) == []


def test_nothing_is_known_of_an_aggregate_that_is_removed(own: OwnSpace, scope: Scope) -> None:
    for block in (FIRST, SECOND, THIRD):
        own.remove(block)

    assert not own
    assert list(own.fullest(scope, 22)) == []
    assert own.around(FIRST) is None
    assert own.buddies(scope, 20) == set()
