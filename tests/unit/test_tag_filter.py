"""Tag filters: how they are read, and which scopes they select."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.errors import InvalidRequest
from pyipam.plan.scope import Scope
from pyipam.plan.tag_filter import parse_tag_filter
from tests.unit.tag_filters import Filter, filters, naively, tag_sets, written


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
def test_a_filter_selects_by_the_tags_that_a_scope_carries(
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
def test_quotes_and_blanks_are_ignored(text: str) -> None:
    assert selects(text, "a", "b")
    assert not selects(text, "a", "c")


@pytest.mark.parametrize("text", ["", " ", '""', "''", ' " " ', "\t\n"])
def test_only_quotes_and_blanks_are_not_a_filter(text: str) -> None:
    assert parse_tag_filter(text) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
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
def test_what_cannot_be_read_is_an_error_that_quotes_the_part(text: str, part: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_tag_filter(text, "DEFAULT_TAGS")

    assert str(caught.value) == (
        f"DEFAULT_TAGS={text!r} cannot be read at {part!r}: write tags (letters, digits, '_', "
        "'.', '-') joined by '+' if a scope must carry all of them, with '!' before a tag that it "
        "must not carry; separate alternatives by ',', the preferred one first"
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a+", "it ends after '+'"),
        ("a,", "it ends after ','"),
        (" 'a+' ", "it ends after '+'"),
        ("+", "it ends after '+'"),
        (",a", "it begins with ','"),
        ("+a", "it begins with '+'"),
        ("a,,b", "there is no tag between two of its separators"),
        ("a++b", "there is no tag between two of its separators"),
    ],
)
def test_a_missing_tag_is_an_error_that_says_where_it_is_missing(text: str, where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_tag_filter(text)

    start = f"scope_filter_tags={text!r} cannot be read: {where}: write tags"
    assert str(caught.value).startswith(start)


def test_the_error_names_the_option_of_a_network_by_default() -> None:
    with pytest.raises(InvalidRequest, match=r"^scope_filter_tags='a b' cannot be read"):
        parse_tag_filter("a b")


def test_a_filter_of_more_than_4096_characters_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="longer than 4096 characters"):
        parse_tag_filter("a," * 2048 + "a")


# Every filter, against evaluating it naively


@given(st.data(), filters, tag_sets)
def test_any_filter_selects_as_if_evaluated_term_by_term(
    data: st.DataObject, terms: Filter, tags: frozenset[str]
) -> None:
    text = data.draw(written(terms))

    assert selects(text, *tags) is any(naively(term, tags) for term in terms)


@given(st.text(alphabet="ab!+,\"' \0é"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tag_filter = parse_tag_filter(text)
    except InvalidRequest:
        return
    assert (tag_filter is None) == (not text.strip("\"' "))
