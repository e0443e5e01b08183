"""Rules for JSON objects, and the errors in one."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.plan.object_rules import ObjectRules, Rules

RULES: Rules = {
    "name": {"type": "string", "required": True, "empty": False},
    "level": {"type": "integer", "min": 0, "max": 9},
    "delay": {"type": "number", "min": 0, "nullable": True},
    "use": {"type": "string", "allowed": ["gateway", "container", "mirror"]},
    "claims": {
        "type": "list",
        "schema": {
            "type": "list",
            "items": [{"type": "string", "empty": False}, {"type": "integer", "min": 1}],
            "meta": {"wanted": "[driver, references]"},
        },
    },
}

GOOD = {"name": "a", "level": 1, "delay": None, "use": "mirror", "claims": [["b", 2]]}


OBJECT = ObjectRules(RULES)


def errors_in(entry: dict[str, Any]) -> list[str]:
    found = OBJECT.errors("$", entry)
    return [str(error) for errors in found.values() for error in errors]


def test_an_object_that_keeps_the_rules_has_no_errors() -> None:
    assert errors_in(GOOD) == []
    assert errors_in({"name": "a"}) == []


@pytest.mark.parametrize(
    ("member", "error"),
    [
        ({"name": ""}, '$.name: it must be a string that is not empty, not ""'),
        ({"name": None}, "$.name: it must be a string that is not empty, not null"),
        ({"level": True}, "$.level: it must be an integer from 0 to 9, not true"),
        ({"level": 10}, "$.level: it must be an integer from 0 to 9, not 10"),
        ({"delay": -1}, "$.delay: it must be a number of at least 0 or null, not -1"),
        ({"use": "x"}, '$.use: it must be "gateway", "container" or "mirror", not "x"'),
        ({"claims": None}, "$.claims: it must be a list, not null"),
        ({"claims": [["b", 2], 7]}, "$.claims[1]: it must be [driver, references], not 7"),
        ({"claims": [["b"]]}, '$.claims[0]: it must be [driver, references], not ["b"]'),
        ({"claims": [["b", 0]]}, "$.claims[0][1]: it must be an integer of at least 1, not 0"),
        ({"nmae": 1}, "$.nmae: unknown key; did you mean name?"),
        ({"zzz": 1}, "$.zzz: unknown key; the keys are name, level, delay, use, claims"),
        ({"a b": 1}, '$["a b"]: unknown key; the keys are name, level, delay, use, claims'),
    ],
)
def test_a_wrong_member_is_an_error_with_its_path_and_value(
    member: dict[str, Any], error: str
) -> None:
    assert errors_in(GOOD | member) == [error]


def test_a_missing_member_is_an_error() -> None:
    assert errors_in({"level": 1}) == [
        "$.name: it is missing; it must be a string that is not empty"
    ]


def test_errors_are_in_the_order_of_the_object_and_missing_members_are_last() -> None:
    errors = errors_in({"zzz": 1, "level": -1, "claims": [1, ["", 0]]})

    assert [error.partition(": ")[0] for error in errors] == [
        "$.zzz",
        "$.level",
        "$.claims[0]",
        "$.claims[1][0]",
        "$.claims[1][1]",
        "$.name",
    ]


@pytest.mark.parametrize("key", ["level", "delay"])
@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_are_not_numbers(key: str, value: bool) -> None:
    assert len(errors_in(GOOD | {key: value})) == 1
