"""The order in which scopes are tried, and what is reserved in them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from pyipam.plan.reserved import text_of_entry
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.space.block import AddressRange
from tests.unit.schemas import ROOT, tree_of
from tests.unit.tag_filters import Filter, filters, naively, tag_sets, written


def plan(*tags_below: frozenset[str], top: frozenset[str] = frozenset()) -> ScopeTree:
    """10.0.0.0/8, and below it 10.0.0.0/16, 10.1.0.0/16 and so on with these tags."""
    below = tuple(
        Scope(IPv4Network(f"10.{n}.0.0/16"), 24, tags=tags, depth=1, position=2 + n)
        for n, tags in enumerate(tags_below)
    )
    return ScopeTree(
        [Scope(IPv4Network("10.0.0.0/8"), 24, tags=top, depth=0, position=1, children=below)]
    )


def order(tree: ScopeTree, text: str) -> list[str]:
    return [str(scope) for scope in tree.in_order(parse_tag_filter(text), 4)]


def test_scopes_of_the_first_term_come_first_in_the_order_of_the_schema() -> None:
    a, b = frozenset({"a"}), frozenset({"b"})

    assert order(plan(a, b, a, b), "b,a") == [
        "10.1.0.0/16",
        "10.3.0.0/16",
        "10.0.0.0/16",
        "10.2.0.0/16",
    ]


def test_deeper_scopes_come_before_shallower_ones_within_a_term() -> None:
    a = frozenset({"a"})

    assert order(plan(a, a, top=a), "a") == ["10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/8"]


def test_a_shallower_scope_of_the_first_term_comes_before_deeper_ones_of_the_second() -> None:
    a, b = frozenset({"a"}), frozenset({"b"})

    assert order(plan(b, top=a), "a,b") == ["10.0.0.0/8", "10.0.0.0/16"]


def test_a_scope_that_several_terms_select_is_where_the_first_of_them_puts_it() -> None:
    both, a = frozenset({"a", "b"}), frozenset({"a"})

    assert order(plan(a, both), "a+b,a,b") == ["10.1.0.0/16", "10.0.0.0/16"]


def test_without_a_filter_every_scope_that_can_be_drawn_from_is_tried() -> None:
    tree = plan(frozenset({"a"}), frozenset())

    assert order(tree, "") == ["10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/8"]


def test_scopes_that_cannot_be_drawn_from_are_not_tried() -> None:
    locked = Scope(IPv4Network("10.0.0.0/8"), 24, tags=frozenset({"a"}), lock_down=True)
    childless = Scope(IPv4Network("11.0.0.0/8"), tags=frozenset({"a"}))

    assert order(ScopeTree([locked, childless]), "a") == []


@given(st.data(), filters, st.lists(tag_sets, max_size=5), tag_sets)
def test_any_filter_orders_scopes_as_if_each_term_were_tried_in_turn(
    data: st.DataObject, terms: Filter, below: list[frozenset[str]], top: frozenset[str]
) -> None:
    tree = plan(*below, top=top)
    deepest_first = sorted(tree, key=lambda scope: -scope.depth)
    naive: list[str] = []
    for term in terms:
        naive += [
            str(scope)
            for scope in deepest_first
            if naively(term, scope.tags) and str(scope) not in naive
        ]

    assert order(tree, data.draw(written(terms))) == naive


# Ranges of addresses in 10.0.0.0/22, by their last ten bits.
ranges = st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 1023)), max_size=5).map(
    lambda pairs: [(min(pair), max(pair)) for pair in pairs]
)


@given(ranges, st.dictionaries(st.integers(0, 3), ranges))
def test_the_entries_of_a_scope_are_its_own_and_those_around_it_that_reach_into_it(
    around: list[tuple[int, int]], below: dict[int, list[tuple[int, int]]]
) -> None:
    inside = {
        place: [pair for pair in pairs if {number >> 8 for number in pair} == {place}]
        for place, pairs in below.items()
    }
    children = [
        {"network": f"10.0.{place}.0", "prefix": 24, "reserved": [*map(_range, pairs)]}
        for place, pairs in inside.items()
    ]
    reserved = [*map(_range, around)]
    tree = tree_of(ROOT | {"prefix": 22, "reserved": reserved, "scopes": children})

    for place, scope in zip(inside, tree.roots[0].children, strict=True):
        reaching = [pair for pair in around if pair[0] >> 8 <= place <= pair[1] >> 8]
        assert [*map(str, tree.reserved_entries(scope))] == [
            *(_named(pair, f"10.0.{place}.0/24") for pair in inside[place]),
            *(_named(pair, "10.0.0.0/22") for pair in reaching),
        ]


def _range(pair: tuple[int, int]) -> str:
    first, last = (str(IPv4Address((10 << 24) + number)) for number in pair)
    return f"{first}-{last}"


def _named(pair: tuple[int, int], scope: str) -> str:
    first, last = ((10 << 24) + number for number in pair)
    return f"{text_of_entry(4, AddressRange(first, last))} (scope {scope})"
