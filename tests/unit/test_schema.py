"""Reading the schema: the default one, files that are not schemas, and any input."""

from __future__ import annotations

import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from tests.support.near_schemas import good_schemas, json_values, near_schemas
from tests.unit.schemas import ROOT, Entry, document, errors_in, errors_of, tree_of

DEFAULT_SCHEMA = Path(__file__).parents[2] / "schema.json"


def test_the_default_schema_is_read() -> None:
    tree = read_schema(DEFAULT_SCHEMA.read_text())

    assert isinstance(tree, ScopeTree)
    assert [str(root) for root in tree.roots] == ["fc00:f00f::/32", "100.64.0.0/17"]
    assert [str(scope) for scope in tree.in_order(None, 4)] == [
        "100.64.0.0/20",
        "100.64.16.0/20",
        "100.64.32.0/20",
        "100.64.48.0/20",
        "100.64.64.0/20",
        "100.64.80.0/20",
    ]
    assert [str(scope) for scope in tree.in_order(None, 6)] == [
        f"fc00:f00f:{number}::/48".replace(":0::", "::") for number in range(6)
    ]


def test_the_readme_lists_the_scopes_of_the_default_schema() -> None:
    readme = DEFAULT_SCHEMA.with_name("README.md").read_text()
    rows = re.findall(r"^\| (`.+`) \| (\S+/\d+) \| (\S+/\d+) \|$", readme, re.M)
    listed = {scope: re.findall("`(.+?)`", tags) for tags, *scopes in rows for scope in scopes}

    assert {scope: sorted(tags) for scope, tags in listed.items()} == {
        str(ip_network((scope["network"], root["child_prefix"]))): sorted(scope["tags"])
        for root in json.loads(DEFAULT_SCHEMA.read_text())["scopes"]
        for scope in root["scopes"]
    }


def test_a_schema_may_have_no_scopes() -> None:
    assert list(tree_of()) == []


# What is not a schema


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "{",
            "$: this is not valid JSON: Expecting property name enclosed in double quotes at",
        ),
        (
            '{"a": 1,\n "b" 2}',
            "$: this is not valid JSON: Expecting ':' delimiter at line 2, column 6",
        ),
        ("# a comment", "$: this is not valid JSON: Expecting value at line 1, column 1"),
        ("", "$: this is not valid JSON: Expecting value at line 1, column 1"),
        ('{"prefix": NaN}', "$: this cannot be read as JSON: NaN is not a JSON number"),
        ("[]", "$: the schema must be an object, not []"),
        ("null", "$: the schema must be an object, not null"),
        ('"x"', '$: the schema must be an object, not "x"'),
    ],
)
def test_anything_but_a_json_object_is_an_error(text: str, error: str) -> None:
    (found,) = errors_in(text)

    assert found.startswith(error)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "it must be 1, not 2"),
        ("1", 'it must be 1, not "1"'),
        (True, "it must be 1, not true"),
        (None, "it must be 1, not null"),
    ],
)
def test_the_version_must_be_1(version: Any, message: str) -> None:
    assert errors_in(document(schema_version=version)) == [f"$.schema_version: {message}"]


def test_version_and_scopes_are_required() -> None:
    assert sorted(errors_in("{}")) == [
        "$.schema_version: it is missing; it must be 1",
        "$.scopes: it is missing; it must be a list",
    ]


def test_an_unknown_key_of_the_root_is_an_error() -> None:
    assert errors_in(document(scope=[])) == ["$.scope: unknown key; did you mean scopes?"]


def test_scopes_may_be_nested_32_levels_deep() -> None:
    def nested(levels: int) -> Entry:
        scope: Entry = {"network": "10.0.0.0", "prefix": 8}
        for _ in range(levels - 1):
            scope = {"network": "10.0.0.0", "prefix": 8, "scopes": [scope]}
        return scope

    assert len(list(tree_of(nested(32)))) == 32
    assert errors_of(nested(33)) == [
        f"${'.scopes[0]' * 32}.scopes: scopes are nested deeper than 32 levels"
    ]


@pytest.mark.parametrize("depth", [*range(850, 1000, 3), 100_000])
@pytest.mark.parametrize("shape", ["lists", "objects", "a-network-of-lists"])
def test_json_that_is_nested_too_deeply_is_an_error(shape: str, depth: int) -> None:
    lists = "[" * depth + "]" * depth
    text = {
        "lists": lists,
        "objects": '{"scopes":' * depth + "1" + "}" * depth,
        "a-network-of-lists": document(ROOT).replace('"10.0.0.0"', lists),
    }[shape]

    assert errors_in(text)


def test_a_number_with_thousands_of_digits_is_an_error() -> None:
    assert errors_in(document(ROOT).replace("16", "9" * 5000))


def test_a_long_value_is_cut_in_the_message() -> None:
    (error,) = errors_of(ROOT | {"network": "x" * 1000})

    assert error == f'$.scopes[0].network: "{"x" * 56}... is not an IPv4 or IPv6 address'


# Any input


def check_consistent(tree: ScopeTree) -> None:
    for scope in tree:
        if scope.child_prefix is not None:
            assert scope.network.prefixlen <= scope.child_prefix <= scope.network.max_prefixlen
    for siblings in [tree.roots, *(scope.children for scope in tree)]:
        for index, one in enumerate(siblings):
            for other in siblings[index + 1 :]:
                assert not one.network.overlaps(other.network)
    for scope in tree:
        for child in scope.children:
            assert child.network.version == scope.network.version
            assert child.network.overlaps(scope.network)
            assert child.network.prefixlen >= scope.network.prefixlen


@settings(max_examples=30)
@given(good_schemas())
def test_a_valid_schema_gives_a_tree_of_all_its_scopes(
    value: Any,
) -> None:
    tree = read_schema(json.dumps(value))

    assert isinstance(tree, ScopeTree), tree
    assert len(list(tree)) == json.dumps(value).count('"network"')
    check_consistent(tree)


@settings(max_examples=70)
@given(near_schemas() | json_values)
def test_any_json_gives_errors_or_a_consistent_tree(value: Any) -> None:
    result = read_schema(json.dumps(value))

    if isinstance(result, ScopeTree):
        check_consistent(result)
    else:
        assert result
        for error in result:
            assert error.path.startswith("$")
            str(error).encode()


@given(st.text())
def test_any_text_gives_errors_or_a_tree(text: str) -> None:
    result = read_schema(text)

    assert isinstance(result, ScopeTree) or result
