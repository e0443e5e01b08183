"""The schema: what each key means, what is refused and with which words."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyipam.plan.schema import read_schema
from pyipam.plan.scope import Scope, seeded_children
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import AddressRange
from tests.support.near_schemas import good_schemas, json_values, near_schemas

EXAMPLE = Path(__file__).parents[2] / "schema.json"

Entry = dict[str, Any]

ROOT: Entry = {"network": "10.0.0.0", "prefix": 16, "child_prefix": 24}


def document(*scopes: Any, **members: Any) -> str:
    return json.dumps({"schema_version": 1, "scopes": list(scopes), **members})


def tree_of(*scopes: Entry) -> ScopeTree:
    tree = read_schema(document(*scopes))
    assert isinstance(tree, ScopeTree), tree
    return tree


def scope_of(**keys: Any) -> Scope:
    """The only scope of a schema: ROOT with these keys."""
    (scope,) = tree_of(ROOT | keys)
    return scope


def child_of(parent: Entry, child: Entry) -> Scope:
    """The lower of two scopes."""
    _, scope = tree_of(ROOT | parent | {"scopes": [child]})
    return scope


def errors_in(text: str) -> list[str]:
    errors = read_schema(text)
    assert isinstance(errors, list), "the schema is taken as good"
    return [str(error) for error in errors]


def errors_of(*scopes: Any) -> list[str]:
    return errors_in(document(*scopes))


def addresses(first: str, last: str) -> AddressRange:
    return AddressRange(int(ip_address(first)), int(ip_address(last)))


# The user's example


def test_the_example_loads_as_it_is() -> None:
    tree = read_schema(EXAMPLE.read_text())

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


def test_a_schema_without_scopes_is_good_and_gives_out_nothing() -> None:
    assert list(tree_of()) == []


# What each key means


@pytest.mark.parametrize(
    ("network", "prefix"),
    [
        ("10.0.0.0", 8),
        ("100.64.0.0", 17),
        ("0.0.0.0", 0),
        ("192.0.2.1", 32),
        ("::", 0),
        ("fc00:f00f::", 32),
        ("fc00:f00f:0::", 48),
        ("2001:db8::1", 128),
    ],
)
def test_network_and_prefix_say_where_a_scope_is(network: str, prefix: int) -> None:
    (scope,) = tree_of({"network": network, "prefix": prefix})

    assert scope.network == ip_network(f"{network}/{prefix}")


def test_the_prefix_of_a_scope_below_is_its_parents_child_prefix_unless_it_says_another() -> None:
    assert str(child_of({}, {"network": "10.0.7.0"})) == "10.0.7.0/24"
    assert str(child_of({}, {"network": "10.0.7.0", "prefix": 25})) == "10.0.7.0/25"


def test_child_prefix_is_the_length_of_the_blocks_that_are_drawn() -> None:
    assert scope_of(child_prefix=28).child_prefix == 28


def test_nothing_can_be_drawn_from_a_scope_without_child_prefix() -> None:
    (scope,) = tree_of({"network": "10.0.0.0", "prefix": 16})

    assert not scope.can_be_drawn_from


@pytest.mark.parametrize(("network", "version"), [("10.0.0.0", 4), ("fc00::", 6)])
def test_tcp_ip_version_may_repeat_what_the_network_says(network: str, version: int) -> None:
    (scope,) = tree_of({"network": network, "prefix": 16, "tcp_ip_version": version})

    assert scope.network.version == version


def test_tags_are_names_of_letters_digits_and_three_signs() -> None:
    assert scope_of(tags=["a", "B-2", "c.d_e", "0"]).tags == {"a", "B-2", "c.d_e", "0"}


def test_scopes_below_carry_the_tags_of_those_above() -> None:
    assert child_of({"tags": ["above"]}, {"network": "10.0.0.0", "tags": ["own"]}).tags == {
        "above",
        "own",
    }


def test_scopes_below_do_not_carry_tags_that_are_not_propagated() -> None:
    child = {"network": "10.0.0.0", "tags": ["own"]}

    assert child_of({"tags": ["above"], "propagate_tags": False}, child).tags == {"own"}


def test_a_scope_that_propagates_nothing_keeps_back_what_it_inherited_too() -> None:
    middle = {"network": "10.0.0.0", "propagate_tags": False, "child_prefix": 28}
    middle["scopes"] = [{"network": "10.0.0.0"}]

    *_, lowest = tree_of(ROOT | {"tags": ["top"], "scopes": [middle]})

    assert lowest.tags == frozenset()


def test_nothing_is_drawn_from_the_own_space_of_a_scope_that_is_locked_down() -> None:
    assert scope_of().can_be_drawn_from
    assert not scope_of(lock_down=True).can_be_drawn_from


def test_lock_down_is_not_inherited() -> None:
    child = child_of({"lock_down": True}, {"network": "10.0.0.0", "child_prefix": 28})

    assert child.can_be_drawn_from


def test_pre_seeded_children_are_all_blocks_of_the_scopes_own_space() -> None:
    parent, _ = tree_of(
        ROOT | {"prefix": 22, "pre_seed_children": True, "scopes": [{"network": "10.0.1.0"}]}
    )

    assert [str(block) for block in seeded_children(parent)] == [
        "10.0.0.0/24",
        "10.0.2.0/24",
        "10.0.3.0/24",
    ]


def test_a_scope_that_is_locked_down_gives_out_the_children_that_it_pre_seeds() -> None:
    scope = scope_of(lock_down=True, pre_seed_children=True)

    assert scope.can_be_drawn_from
    assert scope.only_children


def test_65536_children_can_be_seeded() -> None:
    assert len(list(seeded_children(scope_of(child_prefix=32, pre_seed_children=True)))) == 65_536


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        pytest.param("10.0.0.9", "10.0.0.9", "10.0.0.9", id="an-address"),
        pytest.param("10.0.0.9-10.0.0.20", "10.0.0.9", "10.0.0.20", id="a-range"),
        pytest.param(" 10.0.0.9 - 10.0.0.9 ", "10.0.0.9", "10.0.0.9", id="a-range-with-blanks"),
        pytest.param("10.0.3.0/24", "10.0.3.0", "10.0.3.255", id="a-cidr"),
        pytest.param("10.0.0.0/16", "10.0.0.0", "10.0.255.255", id="the-whole-scope"),
    ],
)
def test_reserved_takes_addresses_ranges_and_cidrs(written: str, first: str, last: str) -> None:
    assert scope_of(reserved=[written]).reserved == (addresses(first, last),)


def test_what_is_reserved_in_a_scope_is_reserved_in_the_scopes_below() -> None:
    child = child_of(
        {"reserved": ["10.0.6.250-10.0.7.5", "10.0.9.0/24"]},
        {"network": "10.0.7.0", "reserved": ["10.0.7.9"]},
    )

    assert child.reserved == (
        addresses("10.0.7.0", "10.0.7.5"),
        addresses("10.0.7.9", "10.0.7.9"),
    )


@pytest.mark.parametrize("delay", [0, 0.5, 3600, 316_224_000])
def test_reuse_delay_is_a_number_of_seconds(delay: float) -> None:
    assert scope_of(reuse_delay=delay).reuse_delay == delay


@pytest.mark.parametrize("space", ["local", "global"])
def test_address_space_is_local_or_global(space: str) -> None:
    assert scope_of(address_space=space).address_space == space


def test_description_is_kept_for_people() -> None:
    assert scope_of(description="Käte's lab").description == "Käte's lab"


def test_what_is_not_said_has_the_defaults_of_the_documentation() -> None:
    scope = scope_of()

    assert scope.tags == frozenset()
    assert scope.propagate_tags
    assert not scope.lock_down
    assert not scope.pre_seed_children
    assert scope.reserved == ()
    assert scope.reuse_delay == 0
    assert scope.address_space is None
    assert scope.description == ""
    assert scope.children == ()


def test_depth_and_position_follow_the_order_of_the_file() -> None:
    inner = {"network": "10.0.0.0", "child_prefix": 26, "scopes": [{"network": "10.0.0.0"}]}
    tree = tree_of(ROOT | {"scopes": [inner]}, {"network": "11.0.0.0", "prefix": 8})

    assert [(str(scope), scope.depth) for scope in tree] == [
        ("10.0.0.0/16", 0),
        ("10.0.0.0/24", 1),
        ("10.0.0.0/26", 2),
        ("11.0.0.0/8", 0),
    ]
    positions = [scope.position for scope in tree]
    assert positions == sorted(set(positions))


def test_a_scope_may_be_as_large_as_the_one_above_it() -> None:
    assert str(child_of({}, {"network": "10.0.0.0", "prefix": 16})) == "10.0.0.0/16"


def test_scopes_of_both_families_may_stand_beside_each_other() -> None:
    tree = tree_of({"network": "0.0.0.0", "prefix": 0}, {"network": "::", "prefix": 0})

    assert [scope.network.version for scope in tree] == [4, 6]


# What is refused: one key


WHOLE = "it must be a whole number, 0 to 128, not"
FLAG = "it must be true or false, not"
LIST = "it must be a list, not"
TEXT = "it must be a text, not"
TAG = "write letters, digits, '_', '.' and '-'"
FORMS = "IPv4 address, range a-b with a not after b, or CIDR without host bits"


@pytest.mark.parametrize(
    ("key", "value", "where", "message"),
    [
        ("network", 10, "", f"{TEXT} 10"),
        ("network", None, "", f"{TEXT} null"),
        ("network", "ten", "", '"ten" is no address of IPv4 or IPv6'),
        ("network", "10.0.0", "", '"10.0.0" is no address of IPv4 or IPv6'),
        ("network", "10.0.0.0/8", "", '"10.0.0.0/8" is no address of IPv4 or IPv6'),
        ("network", "10.0.0.04", "", '"10.0.0.04" is no address of IPv4 or IPv6'),
        ("network", "fe80::%eth0", "", '"fe80::%eth0" must not name a zone'),
        ("prefix", "16", "", f'{WHOLE} "16"'),
        ("prefix", 16.0, "", f"{WHOLE} 16.0"),
        ("prefix", True, "", f"{WHOLE} true"),
        ("prefix", -1, "", f"{WHOLE} -1"),
        ("prefix", 129, "", f"{WHOLE} 129"),
        ("prefix", 33, "", "33 is longer than an address of 32 bits"),
        ("prefix", False, "", f"{WHOLE} false"),
        ("child_prefix", True, "", f"{WHOLE} true"),
        ("child_prefix", [24], "", f"{WHOLE} [24]"),
        ("child_prefix", 15, "", "15 must be from 16 (the scope itself) to 32"),
        ("child_prefix", 33, "", "33 must be from 16 (the scope itself) to 32"),
        ("tcp_ip_version", 5, "", "it must be 4 or 6, not 5"),
        ("tcp_ip_version", "4", "", 'it must be 4 or 6, not "4"'),
        ("tcp_ip_version", 6, "", "6 does not agree with network 10.0.0.0, which is IPv4"),
        ("tags", "a", "", f'{LIST} "a"'),
        ("tags", {"a": 1}, "", f'{LIST} {{"a": 1}}'),
        ("tags", ["a", "b c"], "[1]", f'"b c" is no tag: {TAG}'),
        ("tags", ["a", ""], "[1]", f'"" is no tag: {TAG}'),
        ("tags", ["a\n"], "[0]", f'"a\\n" is no tag: {TAG}'),
        ("tags", ["a+b"], "[0]", f'"a+b" is no tag: {TAG}'),
        ("tags", ["ä"], "[0]", f'"ä" is no tag: {TAG}'),
        ("tags", [4], "[0]", f"4 is no tag: {TAG}"),
        ("propagate_tags", "yes", "", f'{FLAG} "yes"'),
        ("lock_down", 1, "", f"{FLAG} 1"),
        ("pre_seed_children", None, "", f"{FLAG} null"),
        ("scopes", {}, "", f"{LIST} {{}}"),
        ("scopes", [7], "[0]", "a scope must be an object, not 7"),
        ("reserved", "10.0.0.1", "", f'{LIST} "10.0.0.1"'),
        ("reserved", [9], "[0]", f"9 is no {FORMS}"),
        ("reserved", ["10.0.0.9-10.0.0.8"], "[0]", f'"10.0.0.9-10.0.0.8" is no {FORMS}'),
        ("reserved", ["10.0.0.1-"], "[0]", f'"10.0.0.1-" is no {FORMS}'),
        ("reserved", ["10.0.0.1/24"], "[0]", f'"10.0.0.1/24" is no {FORMS}'),
        ("reserved", ["10.0.0.1", "fc00::1"], "[1]", f'"fc00::1" is no {FORMS}'),
        ("reserved", ["fe80::1%eth0"], "[0]", f'"fe80::1%eth0" is no {FORMS}'),
        ("reserved", ["10.0.0.9-fc00::"], "[0]", f'"10.0.0.9-fc00::" is no {FORMS}'),
        ("reserved", ["10.1.0.1"], "[0]", '"10.1.0.1" is not inside the scope, 10.0.0.0/16'),
        ("reserved", ["10.0.0.0/8"], "[0]", '"10.0.0.0/8" is not inside the scope, 10.0.0.0/16'),
        ("reuse_delay", -1, "", "it must be a number, 0 or more, not -1"),
        ("reuse_delay", "1h", "", 'it must be a number, 0 or more, not "1h"'),
        ("reuse_delay", False, "", "it must be a number, 0 or more, not false"),
        (
            "reuse_delay",
            316_224_001,
            "",
            "316224001 is longer than 316224000 seconds (ten years)",
        ),
        ("address_space", "swarm", "", 'it must be "local" or "global", not "swarm"'),
        ("description", 1, "", f"{TEXT} 1"),
    ],
)
def test_a_wrong_value_is_an_error_that_shows_it_and_says_what_would_do(
    key: str, value: Any, where: str, message: str
) -> None:
    assert errors_of(ROOT | {key: value}) == [f"$.scopes[0].{key}{where}: {message}"]


@pytest.mark.parametrize("scope", [None, 4, "10.0.0.0/8", [], True])
def test_a_scope_that_is_no_object_is_an_error(scope: Any) -> None:
    assert errors_of(scope) == [
        f"$.scopes[0]: a scope must be an object, not {json.dumps(scope)}",
    ]


def test_network_must_be_there() -> None:
    assert errors_of({"prefix": 8}) == ["$.scopes[0].network: it is missing; it must be a text"]


def test_a_root_scope_must_say_its_prefix() -> None:
    assert errors_of({"network": "10.0.0.0"}) == [
        "$.scopes[0].prefix: a root scope must say its prefix (its length in bits)"
    ]


def test_a_scope_must_say_its_prefix_when_the_one_above_has_no_child_prefix() -> None:
    parent = {"network": "10.0.0.0", "prefix": 8, "scopes": [{"network": "10.1.0.0"}]}

    assert errors_of(parent) == [
        "$.scopes[0].scopes[0].prefix: it must be given: the scope above, 10.0.0.0/8, has no "
        "child_prefix"
    ]


def test_host_bits_are_an_error_that_names_the_network_that_was_meant() -> None:
    assert errors_of(ROOT | {"network": "10.0.3.0"}) == [
        "$.scopes[0].network: 10.0.3.0/16 has host bits set: the network that it lies in is "
        "10.0.0.0/16"
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
def test_an_unknown_key_is_an_error_with_the_nearest_known_one(key: str, nearest: str) -> None:
    assert errors_of(ROOT | {key: 1}) == [
        f"$.scopes[0].{key}: this key is not known; did you mean {nearest}?"
    ]


def test_an_unknown_key_that_is_near_to_none_is_an_error_that_lists_them() -> None:
    (error,) = errors_of(ROOT | {"zzz": 1})

    assert error.startswith("$.scopes[0].zzz: this key is not known; the keys here are network, ")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a b", '$.scopes[0]["a b"]'),
        ("", '$.scopes[0][""]'),
        ('"', '$.scopes[0]["\\""]'),
        ("x\ny", '$.scopes[0]["x\\ny"]'),
    ],
)
def test_a_key_that_is_no_plain_word_is_quoted_in_the_path(key: str, path: str) -> None:
    (error,) = errors_of(ROOT | {key: 1})

    assert error.startswith(f"{path}: this key is not known; ")


def test_a_key_that_stands_there_twice_is_an_error() -> None:
    text = document(ROOT).replace('"prefix"', '"tags": ["a"], "tags": ["b"], "prefix"')

    assert errors_in(text) == ["$.scopes[0].tags: this key stands here more than once"]


def test_a_key_that_stands_twice_in_the_root_is_an_error() -> None:
    assert errors_in('{"schema_version": 1, "scopes": [], "scopes": []}') == [
        "$.scopes: this key stands here more than once"
    ]


# What is refused: between scopes


def test_a_child_outside_its_parent_is_an_error_that_names_both() -> None:
    assert errors_of(ROOT | {"scopes": [{"network": "10.1.0.0"}]}) == [
        "$.scopes[0].scopes[0].network: 10.1.0.0/24 is not inside the scope above, 10.0.0.0/16"
    ]


def test_a_child_larger_than_its_parent_is_an_error() -> None:
    assert errors_of(ROOT | {"scopes": [{"network": "10.0.0.0", "prefix": 8}]}) == [
        "$.scopes[0].scopes[0].network: 10.0.0.0/8 is not inside the scope above, 10.0.0.0/16"
    ]


def test_a_child_of_the_other_family_is_an_error() -> None:
    assert errors_of(ROOT | {"scopes": [{"network": "fc00::", "prefix": 64}]}) == [
        "$.scopes[0].scopes[0].network: fc00::/64 is not of the family of the scope above, "
        "10.0.0.0/16"
    ]


def test_two_scopes_of_one_network_are_an_error_that_says_where_the_other_is() -> None:
    assert errors_of(ROOT, {"network": "11.0.0.0", "prefix": 8}, ROOT) == [
        "$.scopes[2].network: 10.0.0.0/16 is the same as 10.0.0.0/16 at $.scopes[0]"
    ]


@pytest.mark.parametrize("swapped", [False, True])
def test_scopes_that_overlap_are_an_error_that_names_both(swapped: bool) -> None:
    wide, narrow = ROOT, {"network": "10.0.9.0", "prefix": 24}
    scopes = (narrow, wide) if swapped else (wide, narrow)
    names = ["10.0.0.0/16", "10.0.9.0/24"]
    first, second = reversed(names) if swapped else names

    assert errors_of(*scopes) == [f"$.scopes[1].network: {second} overlaps {first} at $.scopes[0]"]


def test_every_scope_inside_a_wide_one_is_an_error_of_its_own() -> None:
    narrow = [{"network": f"10.0.{number}.0", "prefix": 24} for number in range(3)]

    assert [error.partition(":")[0] for error in errors_of(ROOT, *narrow)] == [
        f"$.scopes[{number}].network" for number in (1, 2, 3)
    ]


def test_children_that_overlap_are_an_error() -> None:
    children = [{"network": "10.0.0.0", "prefix": 20}, {"network": "10.0.8.0"}]

    assert errors_of(ROOT | {"scopes": children}) == [
        "$.scopes[0].scopes[1].network: 10.0.8.0/24 overlaps 10.0.0.0/20 at $.scopes[0].scopes[0]"
    ]


def test_too_many_seeded_children_are_an_error_that_says_how_many_it_would_be() -> None:
    assert errors_of(ROOT | {"prefix": 15, "child_prefix": 32, "pre_seed_children": True}) == [
        "$.scopes[0].pre_seed_children: 10.0.0.0/15 would have 131072 children of /32; at most "
        "65536 are seeded"
    ]


def test_children_cannot_be_seeded_without_a_child_prefix() -> None:
    assert errors_of({"network": "10.0.0.0", "prefix": 8, "pre_seed_children": True}) == [
        "$.scopes[0].pre_seed_children: it needs a child_prefix to seed blocks of"
    ]


# What is refused: the file


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "$: this is no JSON: Expecting property name enclosed in double quotes at line 1"),
        ('{"a": 1,\n "b" 2}', "$: this is no JSON: Expecting ':' delimiter at line 2, column 6"),
        ("# a comment", "$: this is no JSON: Expecting value at line 1, column 1"),
        ("", "$: this is no JSON: Expecting value at line 1, column 1"),
        ('{"prefix": NaN}', "$: this is no JSON that can be read: NaN is not a number of JSON"),
        ("[]", "$: the schema must be an object, not []"),
        ("null", "$: the schema must be an object, not null"),
        ('"x"', '$: the schema must be an object, not "x"'),
    ],
)
def test_what_is_no_json_object_is_an_error_that_says_where(text: str, error: str) -> None:
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


def test_version_and_scopes_must_be_there() -> None:
    assert sorted(errors_in("{}")) == [
        "$.schema_version: it is missing; it must be 1",
        "$.scopes: it is missing; it must be a list",
    ]


def test_an_unknown_key_of_the_root_is_an_error() -> None:
    assert errors_in(document(scope=[])) == ["$.scope: this key is not known; did you mean scopes?"]


def test_32_levels_of_scopes_are_good_and_33_are_an_error() -> None:
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
def test_deep_nesting_is_an_error_and_no_trace(shape: str, depth: int) -> None:
    lists = "[" * depth + "]" * depth
    text = {
        "lists": lists,
        "objects": '{"scopes":' * depth + "1" + "}" * depth,
        "a-network-of-lists": document(ROOT).replace('"10.0.0.0"', lists),
    }[shape]

    assert errors_in(text)


def test_a_number_of_many_digits_is_an_error_and_no_trace() -> None:
    assert errors_in(document(ROOT).replace("16", "9" * 5000))


def test_a_long_value_is_cut_in_the_message() -> None:
    (error,) = errors_of(ROOT | {"network": "x" * 1000})

    assert error == f'$.scopes[0].network: "{"x" * 56}... is no address of IPv4 or IPv6'


# Everything at once


def test_all_errors_are_reported_at_once_each_with_its_path() -> None:
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
def test_errors_below_a_scope_whose_network_cannot_be_known_are_reported_too(
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
def test_one_mistake_is_one_error_however_much_hangs_on_it(parent: Entry, path: str) -> None:
    hanging = {"pre_seed_children": True, "scopes": [{"network": "10.0.0.0", "tags": ["a"]}]}

    assert [error.partition(":")[0] for error in errors_of(ROOT | parent | hanging)] == [path]


def test_children_of_a_scope_that_is_misplaced_are_held_against_it() -> None:
    inner = {"network": "10.9.0.0", "prefix": 24, "scopes": [{"network": "10.0.0.0", "prefix": 25}]}

    assert [error.partition(":")[0] for error in errors_of(ROOT | {"scopes": [inner]})] == [
        "$.scopes[0].scopes[0].network",
        "$.scopes[0].scopes[0].scopes[0].network",
    ]


# Any input


def check_sound(tree: ScopeTree) -> None:
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
def test_a_schema_that_keeps_to_the_rules_gives_a_sound_tree_of_all_its_scopes(
    value: Any,
) -> None:
    tree = read_schema(json.dumps(value))

    assert isinstance(tree, ScopeTree), tree
    assert len(list(tree)) == json.dumps(value).count('"network"')
    check_sound(tree)


@settings(max_examples=70)
@given(near_schemas() | json_values)
def test_any_json_gives_errors_or_a_sound_tree(value: Any) -> None:
    result = read_schema(json.dumps(value))

    if isinstance(result, ScopeTree):
        check_sound(result)
    else:
        assert result
        for error in result:
            assert error.path.startswith("$")
            str(error).encode()


@given(st.text())
def test_any_text_gives_errors_or_a_tree(text: str) -> None:
    result = read_schema(text)

    assert isinstance(result, ScopeTree) or result
