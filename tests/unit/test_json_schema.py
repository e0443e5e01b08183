"""The JSON Schema for editors: generated from the rules of the reader, and agreeing with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from pyipam.plan.schema import read_schema
from pyipam.plan.schema_rules import SCOPE_RULES, json_schema
from tests.support.near_schemas import good_schemas, near_schemas

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "docs" / "pyipam-schema.json"
REGENERATE = (
    "import json, pyipam.plan.schema_rules as r; print(json.dumps(r.json_schema(), indent=2))"
)

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def is_of_type(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def refusals(value: Any, rule: dict[str, Any], path: str = "$") -> Iterator[str]:
    """The paths of what breaks the rule: the part of JSON Schema draft 7 that is used."""
    if "$ref" in rule:
        rule = json_schema()["definitions"][rule["$ref"].rpartition("/")[2]]
    if not is_of_type(value, rule["type"]):
        yield path
        return
    if "enum" in rule and value not in rule["enum"]:
        yield path
    if "minimum" in rule and not rule["minimum"] <= value <= rule.get("maximum", value):
        yield path
    if "pattern" in rule and not re.search(rule["pattern"], value):
        yield path
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from refusals(item, rule["items"], f"{path}[{index}]")
    if isinstance(value, dict):
        yield from (f"{path}.{key}" for key in rule["required"] if key not in value)
        for key, item in value.items():
            if key in rule["properties"]:
                yield from refusals(item, rule["properties"][key], f"{path}.{key}")
            elif not rule["additionalProperties"]:
                yield f"{path}.{key}"


def refused(document: Any) -> list[str]:
    return list(refusals(document, json_schema()))


def of_one_scope(**keys: Any) -> dict[str, Any]:
    return {"schema_version": 1, "scopes": [{"network": "10.0.0.0", "prefix": 8} | keys]}


def test_the_published_file_is_what_the_rules_say_today() -> None:
    published = json.loads(PUBLISHED.read_text())

    assert published == json_schema(), (
        f"docs/{PUBLISHED.name} is old: write into it what python -c {REGENERATE!r} prints"
    )


def test_it_accepts_the_users_example() -> None:
    assert refused(json.loads((REPOSITORY / "schema.json").read_text())) == []


def test_it_describes_every_key() -> None:
    described = json_schema()["definitions"]["scope"]["properties"]

    assert list(described) == list(SCOPE_RULES)
    assert all(rule["description"].endswith(".") for rule in described.values())


@pytest.mark.parametrize("key", SCOPE_RULES)
def test_it_refuses_a_value_of_the_wrong_type_for_every_key(key: str) -> None:
    assert refused(of_one_scope(**{key: None})) == [f"$.scopes[0].{key}"]


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"prefix": 129}, "$.scopes[0].prefix"),
        ({"child_prefix": -1}, "$.scopes[0].child_prefix"),
        ({"tcp_ip_version": 5}, "$.scopes[0].tcp_ip_version"),
        ({"address_space": "swarm"}, "$.scopes[0].address_space"),
        ({"reuse_delay": -1}, "$.scopes[0].reuse_delay"),
        ({"tags": ["a b"]}, "$.scopes[0].tags[0]"),
        ({"tags": ["a", 1]}, "$.scopes[0].tags[1]"),
        ({"reserved": [1]}, "$.scopes[0].reserved[0]"),
        ({"scopes": [{}]}, "$.scopes[0].scopes[0].network"),
        ({"netwrok": 1}, "$.scopes[0].netwrok"),
    ],
)
def test_it_refuses_what_no_rule_allows(keys: dict[str, Any], path: str) -> None:
    assert refused(of_one_scope(**keys)) == [path]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"schema_version": 2, "scopes": []}, "$.schema_version"),
        ({"scopes": []}, "$.schema_version"),
        ({"schema_version": 1}, "$.scopes"),
        ([], "$"),
    ],
)
def test_it_refuses_a_wrong_root(document: Any, path: str) -> None:
    assert refused(document) == [path]


@settings(max_examples=30)
@given(good_schemas())
def test_it_accepts_schemas_that_keep_to_the_rules(document: Any) -> None:
    assert refused(document) == []


@settings(max_examples=70)
@given(near_schemas())
def test_what_it_refuses_the_reader_refuses_too(document: Any) -> None:
    if refused(document):
        assert isinstance(read_schema(json.dumps(document)), list)
