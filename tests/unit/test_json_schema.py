"""The JSON Schema for editors: generated from the rules of the reader, and agreeing with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator, ValidationError

from pyipam.plan.object_rules import ObjectRules, member_path
from pyipam.plan.schema import read_schema
from pyipam.plan.schema_rules import ROOT_RULES, SCOPE_RULES, json_schema
from pyipam.plan.tag_filter import TAG
from tests.support.near_schemas import good_schemas, near_schemas

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "docs" / "pyipam-schema.json"
REGENERATE = (
    "import json, pyipam.plan.schema_rules as r; print(json.dumps(r.json_schema(), indent=2))"
)

VALIDATOR = Draft202012Validator(json_schema())
ROOT, SCOPE = ObjectRules(ROOT_RULES), ObjectRules(SCOPE_RULES)


def paths_of(error: ValidationError) -> set[str]:
    """The JSON paths of what an error is about, with those of missing and unknown members."""
    path = "$"
    for step in error.absolute_path:
        path = f"{path}[{step}]" if isinstance(step, int) else member_path(path, str(step))
    assert isinstance(error.schema, dict)
    members = error.instance if isinstance(error.instance, dict) else {}
    match error.validator:
        case "required":
            keys = set(error.schema["required"]) - members.keys()
        case "additionalProperties":
            keys = members.keys() - error.schema["properties"].keys()
        case _:
            return {path}
    return {member_path(path, key) for key in keys}


def refused(document: Any) -> set[str]:
    """The JSON paths of everything that the JSON Schema refuses."""
    return set[str]().union(*map(paths_of, VALIDATOR.iter_errors(document)))


# The same by the rules of the reader, without what those leave to code: for all that a JSON Schema
# can express.


def refused_by_rules(document: Any) -> set[str]:
    return set(refused_in("$", document, ROOT))


def refused_in(path: str, entry: Any, rules: ObjectRules) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield path
        return
    # To JSON Schema, 16.0 is an integer.
    entry = {
        key: int(value) if type(value) is float and value.is_integer() else value
        for key, value in entry.items()
    }
    wrong = rules.errors(path, entry)
    yield from (error.path for errors in wrong.values() for error in errors)
    lists = {key: entry.get(key, []) for key in ("scopes", "tags", "reserved") if key not in wrong}
    for index, scope in enumerate(lists.get("scopes", [])):
        yield from refused_in(f"{path}.scopes[{index}]", scope, SCOPE)
    for index, tag in enumerate(lists.get("tags", [])):
        # In Python, $ also matches before a line feed at the end.
        if not isinstance(tag, str) or not TAG.fullmatch(tag.removesuffix("\n")):
            yield f"{path}.tags[{index}]"
    for index, reserved in enumerate(lists.get("reserved", [])):
        if not isinstance(reserved, str):
            yield f"{path}.reserved[{index}]"


def of_one_scope(**keys: Any) -> dict[str, Any]:
    return {"schema_version": 1, "scopes": [{"network": "10.0.0.0", "prefix": 8} | keys]}


def test_it_is_a_valid_schema_of_draft_2020_12() -> None:
    assert json_schema()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(json_schema())


def test_the_published_file_agrees_with_the_rules() -> None:
    published = json.loads(PUBLISHED.read_text())

    assert published == json_schema(), (
        f"docs/{PUBLISHED.name} is outdated: write the output of python -c {REGENERATE!r} into it"
    )


def test_it_accepts_the_default_schema() -> None:
    assert refused(json.loads((REPOSITORY / "schema.json").read_text())) == set()


def test_it_describes_every_key() -> None:
    described = json_schema()["$defs"]["scope"]["properties"]

    assert list(described) == list(SCOPE_RULES)
    assert all(rule["description"].endswith(".") for rule in described.values())


@pytest.mark.parametrize("key", SCOPE_RULES)
def test_it_refuses_a_value_of_the_wrong_type_for_every_key(key: str) -> None:
    assert refused(of_one_scope(**{key: None})) == {f"$.scopes[0].{key}"}


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
    assert refused(of_one_scope(**keys)) == {path}


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
    assert refused(document) == {path}


@settings(max_examples=30)
@given(good_schemas())
def test_it_accepts_schemas_that_keep_the_rules(document: Any) -> None:
    assert refused(document) == set()


@settings(max_examples=100)
@given(near_schemas())
def test_it_refuses_exactly_what_the_rules_refuse(document: Any) -> None:
    assert refused(document) == refused_by_rules(document)


@settings(max_examples=70)
@given(near_schemas())
def test_what_it_refuses_the_reader_refuses_in_the_same_places(document: Any) -> None:
    errors = read_schema(json.dumps(document))

    if refused(document):
        assert isinstance(errors, list)
        assert refused(document) <= {error.path for error in errors}
