"""Integers in order, against a sorted list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyipam.space.in_order import InOrder

numbers = st.integers(0, 5000)


@given(st.sets(numbers), st.sets(numbers), st.lists(numbers))
def test_the_first_from_a_number_on_is_found(
    added: set[int], removed: set[int], asked: list[int]
) -> None:
    found = InOrder(added)
    for number in added & removed:
        found.remove(number)

    left = sorted(added - removed)
    for least in asked:
        assert found.first_from(least) == next((each for each in left if each >= least), None)


def test_many_chunks_are_searched_as_one() -> None:
    found = InOrder(range(0, 20_000, 2))
    for number in range(4_000, 12_000, 2):
        found.remove(number)

    assert [found.first_from(least) for least in (0, 1, 3_999, 19_998)] == [0, 2, 12_000, 19_998]
    assert found.first_from(19_999) is None
