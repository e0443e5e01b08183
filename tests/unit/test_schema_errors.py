"""The errors in the scopes of a schema: where they are, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.schemas import ROOT, Entry, document, errors_in, errors_of, tree_of

INTEGER = "it must be an integer from 0 to 128, not"
FLAG = "it must be true or false, not"
LIST = "it must be a list, not"
STRING = "it must be a string, not"
TAG = "is not a valid tag: use letters, digits, '_', '.' and '-'"
RESERVED = "is not an IPv4 address, a range a-b in ascending order, or a CIDR without host bits"


@pytest.mark.parametrize(
    ("key", "value", "where", "message"),
    [
        ("network", 10, "", f"{STRING} 10"),
        ("network", None, "", f"{STRING} null"),
        ("network", "ten", "", '"ten" is not an IPv4 or IPv6 address'),
        ("network", "10.0.0", "", '"10.0.0" is not an IPv4 or IPv6 address'),
        ("network", "10.0.0.0/8", "", '"10.0.0.0/8" is not an IPv4 or IPv6 address'),
        ("network", "10.0.0.04", "", '"10.0.0.04" is not an IPv4 or IPv6 address'),
        ("network", "fe80::%eth0", "", '"fe80::%eth0" must not have a zone'),
        ("prefix", "16", "", f'{INTEGER} "16"'),
        ("prefix", 16.0, "", f"{INTEGER} 16.0"),
        ("prefix", True, "", f"{INTEGER} true"),
        ("prefix", -1, "", f"{INTEGER} -1"),
        ("prefix", 129, "", f"{INTEGER} 129"),
        ("prefix", 33, "", "33 is longer than an address, which has 32 bits"),
        ("prefix", False, "", f"{INTEGER} false"),
        ("child_prefix", True, "", f"{INTEGER} true"),
        ("child_prefix", [24], "", f"{INTEGER} [24]"),
        ("child_prefix", 15, "", "it must be from 16 (the length of the scope) to 32, not 15"),
        ("child_prefix", 33, "", "it must be from 16 (the length of the scope) to 32, not 33"),
        ("tcp_ip_version", 5, "", "it must be 4 or 6, not 5"),
        ("tcp_ip_version", "4", "", 'it must be 4 or 6, not "4"'),
        ("tcp_ip_version", 6, "", "6 does not match network 10.0.0.0, which is IPv4"),
        ("tags", "a", "", f'{LIST} "a"'),
        ("tags", {"a": 1}, "", f'{LIST} {{"a": 1}}'),
        ("tags", ["a", "b c"], "[1]", f'"b c" {TAG}'),
        ("tags", ["a", ""], "[1]", f'"" {TAG}'),
        ("tags", ["a\n"], "[0]", f'"a\\n" {TAG}'),
        ("tags", ["a+b"], "[0]", f'"a+b" {TAG}'),
        ("tags", ["ä"], "[0]", f'"ä" {TAG}'),
        ("tags", [4], "[0]", f"4 {TAG}"),
        ("propagate_tags", "yes", "", f'{FLAG} "yes"'),
        ("lock_down", 1, "", f"{FLAG} 1"),
        ("pre_seed_children", None, "", f"{FLAG} null"),
        ("scopes", {}, "", f"{LIST} {{}}"),
        ("scopes", [7], "[0]", "a scope must be an object, not 7"),
        ("reserved", "10.0.0.1", "", f'{LIST} "10.0.0.1"'),
        ("reserved", [9], "[0]", f"9 {RESERVED}"),
        ("reserved", ["10.0.0.9-10.0.0.8"], "[0]", f'"10.0.0.9-10.0.0.8" {RESERVED}'),
        ("reserved", ["10.0.0.1-"], "[0]", f'"10.0.0.1-" {RESERVED}'),
        ("reserved", ["10.0.0.1/24"], "[0]", f'"10.0.0.1/24" {RESERVED}'),
        ("reserved", ["10.0.0.1", "fc00::1"], "[1]", f'"fc00::1" {RESERVED}'),
        ("reserved", ["fe80::1%eth0"], "[0]", f'"fe80::1%eth0" {RESERVED}'),
        ("reserved", ["10.0.0.9-fc00::"], "[0]", f'"10.0.0.9-fc00::" {RESERVED}'),
        ("reserved", ["10.1.0.1"], "[0]", '"10.1.0.1" is not inside the scope, 10.0.0.0/16'),
        ("reserved", ["10.0.0.0/8"], "[0]", '"10.0.0.0/8" is not inside the scope, 10.0.0.0/16'),
        ("reuse_delay", -1, "", "it must be a number of at least 0, not -1"),
        ("reuse_delay", "1h", "", 'it must be a number of at least 0, not "1h"'),
        ("reuse_delay", False, "", "it must be a number of at least 0, not false"),
        (
            "reuse_delay",
            316_224_001,
            "",
            "it must be at most 316224000 seconds (ten years), not 316224001",
        ),
        ("address_space", "swarm", "", 'it must be "local" or "global", not "swarm"'),
        ("description", 1, "", f"{STRING} 1"),
    ],
)
def test_a_wrong_value_is_an_error_that_shows_it_and_says_what_is_expected(
    key: str, value: Any, where: str, message: str
) -> None:
    assert errors_of(ROOT | {key: value}) == [f"$.scopes[0].{key}{where}: {message}"]


@pytest.mark.parametrize("scope", [None, 4, "10.0.0.0/8", [], True])
def test_a_scope_that_is_not_an_object_is_an_error(scope: Any) -> None:
    assert errors_of(scope) == [
        f"$.scopes[0]: a scope must be an object, not {json.dumps(scope)}",
    ]


def test_network_is_required() -> None:
    assert errors_of({"prefix": 8}) == ["$.scopes[0].network: it is missing; it must be a string"]


def test_prefix_is_required_in_a_root() -> None:
    assert errors_of({"network": "10.0.0.0"}) == [
        "$.scopes[0].prefix: it is missing; a root scope must have a prefix"
    ]


def test_prefix_is_required_if_the_parent_has_no_child_prefix() -> None:
    parent = {"network": "10.0.0.0", "prefix": 8, "scopes": [{"network": "10.1.0.0"}]}

    assert errors_of(parent) == [
        "$.scopes[0].scopes[0].prefix: it is missing, and the parent, 10.0.0.0/8, has no "
        "child_prefix"
    ]


def test_host_bits_are_an_error_that_names_the_network_without_them() -> None:
    assert errors_of(ROOT | {"network": "10.0.3.0"}) == [
        "$.scopes[0].network: 10.0.3.0/16 has host bits set; did you mean 10.0.0.0/16?"
    ]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("netwrok", "network"),
        ("childprefix", "child_prefix"),
        ("tag", "tags"),
        ("reserve", "reserved"),
        ("Lock_Down", "lock_down"),
    ],
)
def test_an_unknown_key_is_an_error_that_suggests_a_similar_one(key: str, nearest: str) -> None:
    assert errors_of(ROOT | {key: 1}) == [
        f"$.scopes[0].{key}: unknown key; did you mean {nearest}?"
    ]


def test_an_unknown_key_that_resembles_none_is_an_error_that_lists_the_known_ones() -> None:
    (error,) = errors_of(ROOT | {"zzz": 1})

    assert error.startswith("$.scopes[0].zzz: unknown key; the keys are network, ")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a b", '$.scopes[0]["a b"]'),
        ("", '$.scopes[0][""]'),
        ('"', '$.scopes[0]["\\""]'),
        ("x\ny", '$.scopes[0]["x\\ny"]'),
    ],
)
def test_a_key_that_is_not_a_word_is_quoted_in_the_path(key: str, path: str) -> None:
    (error,) = errors_of(ROOT | {key: 1})

    assert error.startswith(f"{path}: unknown key; ")


def test_a_key_that_is_given_twice_is_an_error() -> None:
    text = document(ROOT).replace('"prefix"', '"tags": ["a"], "tags": ["b"], "prefix"')

    assert errors_in(text) == ["$.scopes[0].tags: this key is given more than once"]


def test_a_key_that_is_given_twice_in_the_root_is_an_error() -> None:
    assert errors_in('{"schema_version": 1, "scopes": [], "scopes": []}') == [
        "$.scopes: this key is given more than once"
    ]


# Between scopes


def test_a_child_outside_its_parent_is_an_error_that_names_both() -> None:
    assert errors_of(ROOT | {"scopes": [{"network": "10.1.0.0"}]}) == [
        "$.scopes[0].scopes[0].network: 10.1.0.0/24 is not inside its parent, 10.0.0.0/16"
    ]


def test_a_child_larger_than_its_parent_is_an_error() -> None:
    assert errors_of(ROOT | {"scopes": [{"network": "10.0.0.0", "prefix": 8}]}) == [
        "$.scopes[0].scopes[0].network: 10.0.0.0/8 is not inside its parent, 10.0.0.0/16"
    ]


def test_a_child_of_the_other_ip_version_is_an_error() -> None:
    assert errors_of(ROOT | {"scopes": [{"network": "fc00::", "prefix": 64}]}) == [
        "$.scopes[0].scopes[0].network: fc00::/64 is not of the IP version of its parent, "
        "10.0.0.0/16"
    ]


def test_a_scope_that_is_declared_twice_is_an_error_with_the_path_of_the_other_one() -> None:
    assert errors_of(ROOT, {"network": "11.0.0.0", "prefix": 8}, ROOT) == [
        "$.scopes[2].network: 10.0.0.0/16 is the same as 10.0.0.0/16 at $.scopes[0]"
    ]


@pytest.mark.parametrize("swapped", [False, True])
def test_overlapping_scopes_are_an_error_that_names_both(swapped: bool) -> None:
    wide, narrow = ROOT, {"network": "10.0.9.0", "prefix": 24}
    scopes = (narrow, wide) if swapped else (wide, narrow)
    names = ["10.0.0.0/16", "10.0.9.0/24"]
    first, second = reversed(names) if swapped else names

    assert errors_of(*scopes) == [f"$.scopes[1].network: {second} overlaps {first} at $.scopes[0]"]


def test_each_scope_that_overlaps_a_wider_one_is_an_error() -> None:
    narrow = [{"network": f"10.0.{number}.0", "prefix": 24} for number in range(3)]

    assert [error.partition(":")[0] for error in errors_of(ROOT, *narrow)] == [
        f"$.scopes[{number}].network" for number in (1, 2, 3)
    ]


def test_overlapping_children_are_an_error() -> None:
    children = [{"network": "10.0.0.0", "prefix": 20}, {"network": "10.0.8.0"}]

    assert errors_of(ROOT | {"scopes": children}) == [
        "$.scopes[0].scopes[1].network: 10.0.8.0/24 overlaps 10.0.0.0/20 at $.scopes[0].scopes[0]"
    ]


@pytest.mark.parametrize(
    ("network", "prefix", "width"), [("10.0.0.0", 24, 32), ("fd00::", 64, 128)]
)
def test_blocks_of_one_address_are_an_error(network: str, prefix: int, width: int) -> None:
    keys = {"network": network, "prefix": prefix, "child_prefix": width}
    assert errors_of(keys) == [
        f"$.scopes[0].child_prefix: it must be at most {width - 1}, not {width}: a block of one "
        "address has room for the gateway of a network, and for no container"
    ]
    assert tree_of(keys | {"child_prefix": width - 1})
    assert tree_of(keys | {"lock_down": True})


def test_too_many_pre_seeded_children_are_an_error_with_their_number() -> None:
    assert errors_of(ROOT | {"prefix": 14, "child_prefix": 31, "pre_seed_children": True}) == [
        "$.scopes[0].pre_seed_children: 10.0.0.0/14 would have 131072 children of /31; at most "
        "65536 can be pre-seeded"
    ]


def test_children_cannot_be_pre_seeded_without_child_prefix() -> None:
    assert errors_of({"network": "10.0.0.0", "prefix": 8, "pre_seed_children": True}) == [
        "$.scopes[0].pre_seed_children: it needs a child_prefix"
    ]


# All at once


def test_all_errors_are_reported_at_once() -> None:
    scopes = [
        ROOT | {"tags": ["a b"], "colour": "red", "scopes": [{"network": "10.1.0.0"}]},
        {"network": "10.0.3.0", "prefix": 24, "reserved": ["x"], "address_space": "moon"},
        {"network": "fc00::", "prefix": 200},
    ]

    paths = [error.partition(": ")[0] for error in errors_of(*scopes)]

    assert sorted(paths) == [
        "$.scopes[0].colour",
        "$.scopes[0].scopes[0].network",
        "$.scopes[0].tags[0]",
        "$.scopes[1].address_space",
        "$.scopes[1].network",
        "$.scopes[1].reserved[0]",
        "$.scopes[2].prefix",
    ]


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param({"network": "ten"}, id="no-address"),
        pytest.param({"network": "10.0.0.1"}, id="host-bits"),
        pytest.param({"prefix": 77}, id="too-long"),
    ],
)
def test_errors_below_a_scope_with_a_wrong_network_are_reported_too(
    parent: Entry,
) -> None:
    children = [
        {"network": "10.0.0.0", "tags": ["a b"], "reserved": ["x"]},
        {"netwrok": "10.0.0.0"},
        {"network": "10.0.0.1", "prefix": 24},
    ]

    errors = errors_of(ROOT | parent | {"reserved": ["y"], "scopes": children})

    paths = sorted(error.partition(": ")[0] for error in errors)
    assert paths[0] in ("$.scopes[0].network", "$.scopes[0].prefix")
    assert paths[1:] == [
        "$.scopes[0].reserved[0]",
        "$.scopes[0].scopes[0].reserved[0]",
        "$.scopes[0].scopes[0].tags[0]",
        "$.scopes[0].scopes[1].network",
        "$.scopes[0].scopes[1].netwrok",
        "$.scopes[0].scopes[2].network",
    ]


@pytest.mark.parametrize(
    ("parent", "path"),
    [
        pytest.param({"prefix": "16"}, "$.scopes[0].prefix", id="prefix"),
        pytest.param({"child_prefix": "24"}, "$.scopes[0].child_prefix", id="type"),
        pytest.param({"child_prefix": 8}, "$.scopes[0].child_prefix", id="child_prefix"),
        pytest.param({"tcp_ip_version": 6}, "$.scopes[0].tcp_ip_version", id="tcp_ip_version"),
    ],
)
def test_one_mistake_is_one_error_even_if_others_depend_on_it(parent: Entry, path: str) -> None:
    hanging = {"pre_seed_children": True, "scopes": [{"network": "10.0.0.0", "tags": ["a"]}]}

    assert [error.partition(":")[0] for error in errors_of(ROOT | parent | hanging)] == [path]


def test_children_of_a_misplaced_scope_are_compared_with_it() -> None:
    inner = {"network": "10.9.0.0", "prefix": 24, "scopes": [{"network": "10.0.0.0", "prefix": 25}]}

    assert [error.partition(":")[0] for error in errors_of(ROOT | {"scopes": [inner]})] == [
        "$.scopes[0].scopes[0].network",
        "$.scopes[0].scopes[0].scopes[0].network",
    ]


@pytest.mark.parametrize(
    ("keys", "where", "message"),
    [
        (
            {"node_prefix": 15},
            "node_prefix",
            "it must be from 16 (the length of the scope) to 23 (shorter than child_prefix), "
            "not 15",
        ),
        (
            {"node_prefix": 24},
            "node_prefix",
            "it must be from 16 (the length of the scope) to 23 (shorter than child_prefix), "
            "not 24",
        ),
        (
            {"node_prefix": 16, "child_prefix": 16},
            "node_prefix",
            "10.0.0.0/16 has no room for it: it must be shorter than child_prefix, and not shorter "
            "than the scope",
        ),
        (
            {"node_prefix": 20, "pre_seed_children": True},
            "pre_seed_children",
            "it must be false or left out: nodes claim the blocks of a scope with node_prefix when "
            "they need them",
        ),
        (
            {"node_prefix": 20, "address_space": "global"},
            "address_space",
            'it must be "local" or left out: the blocks of a scope with node_prefix are for '
            "networks of single hosts, and a network of a swarm spans nodes",
        ),
        ({"node_prefix": "20"}, "node_prefix", 'it must be an integer from 0 to 128, not "20"'),
    ],
)
def test_node_prefix_must_fit_the_other_keys(
    keys: dict[str, Any], where: str, message: str
) -> None:
    assert errors_of(ROOT | keys) == [f"$.scopes[0].{where}: {message}"]


def test_node_prefix_needs_a_child_prefix() -> None:
    assert errors_of({"network": "10.0.0.0", "prefix": 16, "node_prefix": 20}) == [
        "$.scopes[0].node_prefix: it needs a child_prefix, which must be longer"
    ]
