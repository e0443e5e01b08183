"""What is much is looked at and written in pieces, and comes out as it would in one."""

from __future__ import annotations

import random
from functools import partial

import orjson
import pytest

from pyipam.api.answers import to_json
from pyipam.views.numbers import in_order
from pyipam.views.order import Page
from tests.support.core import Core, scope, tree_of
from tests.support.viewing import Viewer

PLAN = tree_of(scope("10.0.0.0", 8, child_prefix=20, tags=["default"]))


@pytest.fixture
def core() -> Core:
    return Core(PLAN)


def _lower_half_last(numbers: list[int]) -> list[int]:
    half = len(numbers) // 2
    return numbers[half:] + numbers[:half]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 5000])
def test_numbers_come_in_order_however_they_were_given_out(count: int) -> None:
    numbers = list(range(7, 7 + 2 * count, 2))
    shuffled = random.Random(count).sample(numbers, count)

    for given in (numbers, _lower_half_last(numbers), numbers[::-1], shuffled):
        assert list(in_order(given, lambda: None)) == numbers


@pytest.mark.parametrize("limit", [1, 500])
def test_the_free_addresses_of_a_pool_with_many_leases_are_those_between_them(
    core: Core, limit: int
) -> None:
    pool = core.pool()
    core.together(*[partial(core.address, pool)] * 2500)
    for freed in ("10.0.0.1", "10.0.3.232", "10.0.3.233", "10.0.3.234", "10.0.8.0"):
        core.release(pool, freed)

    assert Viewer(core).free_addresses(pool, limit) == [
        "10.0.0.1-10.0.0.1: 1",
        "10.0.3.232-10.0.3.234: 3",
        "10.0.8.0-10.0.8.0: 1",
        "10.0.9.197-10.0.15.254: 1594",
    ]


def test_a_search_for_what_rests_leaves_out_the_pools_where_nothing_does(core: Core) -> None:
    for _ in range(60):
        core.address(core.pool())
    viewer = Viewer(core)

    assert viewer.leases(resting=True) == []

    assert viewer.pauses < 20


@pytest.mark.parametrize("count", [0, 1, 40, 41, 200])
def test_a_long_answer_is_written_as_a_short_one_is(count: int) -> None:
    page = Page(tuple({"number": number, "text": '"],["'} for number in range(count)), "next")
    pauses: list[int] = []

    written = to_json(page, partial(pauses.append, 1))

    assert written == orjson.dumps(page)
    assert len(pauses) == (-(-count // 40) if count > 40 else 0)
