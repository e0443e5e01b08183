"""Warnings about scopes that could give a swarm what Docker itself uses."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.plan.docker_ranges import warnings_about_docker_ranges
from tests.support.core import scope, tree_of


def _warnings(*scopes: dict[str, Any]) -> list[str]:
    return list(warnings_about_docker_ranges(tree_of(*scopes)))


@pytest.mark.parametrize(
    ("network", "prefix", "child_prefix", "given"),
    [
        ("10.0.0.0", 8, 24, "can give 10.0.0.0/24 to a network of a swarm"),
        ("10.0.0.0", 8, 20, "can give 10.0.0.0/20 to a network of a swarm"),
        ("10.0.0.128", 25, 28, "can give 10.0.0.128/28 to a network of a swarm"),
        ("172.17.4.0", 22, 30, "can give 172.17.4.0/30 to a network of a swarm"),
    ],
)
def test_a_scope_that_reaches_into_a_range_of_docker_is_warned_about(
    network: str, prefix: int, child_prefix: int, given: str
) -> None:
    (warning,) = _warnings(scope(network, prefix, child_prefix=child_prefix))

    assert given in warning


def test_each_range_is_named_with_who_uses_it() -> None:
    first, second = _warnings(scope("172.16.0.0", 12, child_prefix=24))

    assert "172.17.0.0/16 is what Docker by default uses for docker0" in first
    assert "172.18.0.0/16 is what Docker by default uses for docker_gwbridge" in second


@pytest.mark.parametrize(
    "keys",
    [
        {"child_prefix": 24, "reserved": ["10.0.0.0/24"]},
        {"child_prefix": 26, "reserved": ["10.0.0.0-10.0.0.255"]},
        {"child_prefix": 24, "address_space": "local"},
        {"child_prefix": 24, "lock_down": True},
        {},
    ],
)
def test_nothing_is_said_where_no_swarm_can_get_it(keys: dict[str, Any]) -> None:
    assert _warnings(scope("10.0.0.0", 16, **keys)) == []


def test_reserving_a_part_of_a_block_keeps_nobody_from_getting_the_block() -> None:
    keys = {"child_prefix": 20, "reserved": ["10.0.0.0/24"]}

    assert len(_warnings(scope("10.0.0.0", 16, **keys))) == 1


def test_what_a_child_scope_has_taken_is_not_given_by_its_parent() -> None:
    child = scope("10.0.0.0", 20, address_space="local", child_prefix=24)

    assert _warnings(scope("10.0.0.0", 16, child_prefix=24, scopes=[child])) == []


def test_the_built_in_schema_is_not_warned_about() -> None:
    assert _warnings(scope("100.64.0.0", 17, child_prefix=30)) == []
