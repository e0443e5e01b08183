"""Tag expressions: how they are read, what they select, and in which order."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.errors import InvalidRequest
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import parse_tag_filter

Literal = tuple[bool, str]
Expression = list[list[Literal]]

TAGS = ["a", "b", "c-1", "D.e", "_"]


def selects(text: str, *tags: str) -> bool:
    tag_filter = parse_tag_filter(text)
    assert tag_filter is not None
    return tag_filter.matches(Scope(IPv4Network("10.0.0.0/8"), tags=frozenset(tags)))


@pytest.mark.parametrize(
    ("text", "tags", "selected"),
    [
        ("a", {"a"}, True),
        ("a", {"a", "b"}, True),
        ("a", {"b"}, False),
        ("a", set(), False),
        ("a", {"A"}, False),
        ("a", {"ab"}, False),
        ("a,b", {"b"}, True),
        ("a,b", {"c"}, False),
        ("a+b", {"a", "b", "c"}, True),
        ("a+b", {"a"}, False),
        ("!a", {"b"}, True),
        ("!a", set(), True),
        ("!a", {"a"}, False),
        ("a+!b", {"a"}, True),
        ("a+!b", {"a", "b"}, False),
        ("a+!a", {"a"}, False),
        ("a+b,!c", {"c"}, False),
        ("a+b,!c", {"a", "b", "c"}, True),
        ("a,a", {"a"}, True),
    ],
)
def test_an_expression_selects_by_the_tags_that_a_scope_carries(
    text: str, tags: set[str], selected: bool
) -> None:
    assert selects(text, *tags) is selected


@pytest.mark.parametrize(
    "text",
    [
        '"a+b"',
        "'a+b'",
        "  a+b\t\r\n",
        ' " a + b " ',
        '"a"+"b"',
        "a +b",
        "\"'a'+b\"",
        'zzz , "a + b"',
        "a+! c+b",
        "a+ !c +b",
    ],
)
def test_quotes_and_blanks_around_anything_mean_nothing(text: str) -> None:
    assert selects(text, "a", "b")
    assert not selects(text, "a", "c")


@pytest.mark.parametrize("text", ["", " ", '""', "''", ' " " ', "\t\n"])
def test_nothing_but_quotes_and_blanks_is_no_filter(text: str) -> None:
    assert parse_tag_filter(text) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a,,b", ""),
        ("a,", ""),
        (",a", ""),
        (",", ""),
        ("a+", ""),
        ("+", ""),
        ("a++b", ""),
        ("!", "!"),
        ("!!a", "!!a"),
        ("a,b!c", "b!c"),
        ("a b", "a b"),
        ("a;b", "a;b"),
        ("a|b", "a|b"),
        ("(a)", "(a)"),
        ("null_routed=1", "null_routed=1"),
        ("ä", "ä"),
        ("a\0", "a\0"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_shows_the_part(text: str, part: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_tag_filter(text, "DEFAULT_TAGS")

    assert str(caught.value) == (
        f"DEFAULT_TAGS={text!r} cannot be read at {part!r}: write tags (letters, digits, '_', "
        "'.', '-') joined by '+' if a scope must carry all of them, with '!' before a tag that it "
        "must not carry; separate alternatives by ',', the preferred one first"
    )


def test_the_error_names_the_option_of_a_network_when_nothing_else_is_said() -> None:
    with pytest.raises(InvalidRequest, match=r"^scope_filter_tags='a b' cannot be read"):
        parse_tag_filter("a b")


# Every expression, against evaluating it naively


expressions = st.lists(
    st.lists(st.tuples(st.booleans(), st.sampled_from(TAGS)), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)
tag_sets = st.frozensets(st.sampled_from(TAGS))
padding = st.sampled_from(["", " ", '"', "'", "\t", ' "'])


@st.composite
def written(draw: st.DrawFn, expression: Expression) -> str:
    """The expression as somebody may write it."""

    def padded(text: str) -> str:
        return f"{draw(padding)}{text}{draw(padding)}"

    terms = [
        "+".join(padded(f"{'!' if absent else ''}{tag}") for absent, tag in term)
        for term in expression
    ]
    return padded(",".join(padded(term) for term in terms))


def naively(term: list[Literal], tags: frozenset[str]) -> bool:
    return all((tag in tags) is not absent for absent, tag in term)


@given(st.data(), expressions, tag_sets)
def test_any_expression_selects_as_if_evaluated_term_by_term(
    data: st.DataObject, expression: Expression, tags: frozenset[str]
) -> None:
    text = data.draw(written(expression))

    assert selects(text, *tags) is any(naively(term, tags) for term in expression)


@given(st.text(alphabet="ab!+,\"' \0é"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tag_filter = parse_tag_filter(text)
    except InvalidRequest:
        return
    assert (tag_filter is None) == (not text.strip("\"' "))


# The order in which scopes are tried


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


def test_scopes_of_the_first_term_come_first_and_in_the_order_of_the_schema() -> None:
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


def test_a_scope_that_several_terms_select_stands_where_the_first_of_them_puts_it() -> None:
    both, a = frozenset({"a", "b"}), frozenset({"a"})

    assert order(plan(a, both), "a+b,a,b") == ["10.1.0.0/16", "10.0.0.0/16"]


def test_without_a_filter_every_scope_that_can_be_drawn_from_is_tried() -> None:
    tree = plan(frozenset({"a"}), frozenset())

    assert order(tree, "") == ["10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/8"]


def test_scopes_that_nothing_is_drawn_from_are_not_tried() -> None:
    locked = Scope(IPv4Network("10.0.0.0/8"), 24, tags=frozenset({"a"}), lock_down=True)
    childless = Scope(IPv4Network("11.0.0.0/8"), tags=frozenset({"a"}))

    assert order(ScopeTree([locked, childless]), "a") == []


@given(st.data(), expressions, st.lists(tag_sets, max_size=5), tag_sets)
def test_any_expression_orders_scopes_as_if_each_term_were_tried_in_turn(
    data: st.DataObject, expression: Expression, below: list[frozenset[str]], top: frozenset[str]
) -> None:
    tree = plan(*below, top=top)
    deepest_first = sorted(tree, key=lambda scope: -scope.depth)
    naive: list[str] = []
    for term in expression:
        naive += [
            str(scope)
            for scope in deepest_first
            if naively(term, scope.tags) and str(scope) not in naive
        ]

    assert order(tree, data.draw(written(expression))) == naive


def test_an_expression_longer_than_anybody_writes_is_refused_and_not_remembered() -> None:
    with pytest.raises(InvalidRequest, match="longer than 4096 characters"):
        parse_tag_filter("a," * 2048 + "a")
