"""What each key of the schema means."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from pyipam.plan.scope import seeded_children
from pyipam.space.block import AddressRange
from tests.unit.schemas import ROOT, child_of, scope_of, tree_of


def addresses(first: str, last: str) -> AddressRange:
    return AddressRange(int(ip_address(first)), int(ip_address(last)))


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
def test_network_and_prefix_are_the_network_of_a_scope(network: str, prefix: int) -> None:
    (scope,) = tree_of({"network": network, "prefix": prefix})

    assert scope.network == ip_network(f"{network}/{prefix}")


def test_prefix_defaults_to_the_child_prefix_of_the_parent() -> None:
    assert str(child_of({}, {"network": "10.0.7.0"})) == "10.0.7.0/24"
    assert str(child_of({}, {"network": "10.0.7.0", "prefix": 25})) == "10.0.7.0/25"


def test_child_prefix_is_the_length_of_the_blocks_of_a_scope() -> None:
    assert scope_of(child_prefix=28).child_prefix == 28


def test_no_blocks_can_be_drawn_from_a_scope_without_child_prefix() -> None:
    (scope,) = tree_of({"network": "10.0.0.0", "prefix": 16})

    assert not scope.can_be_drawn_from


@pytest.mark.parametrize(("network", "version"), [("10.0.0.0", 4), ("fc00::", 6)])
def test_tcp_ip_version_may_repeat_the_version_of_the_network(network: str, version: int) -> None:
    (scope,) = tree_of({"network": network, "prefix": 16, "tcp_ip_version": version})

    assert scope.network.version == version


def test_tags_consist_of_letters_digits_and_three_other_characters() -> None:
    assert scope_of(tags=["a", "B-2", "c.d_e", "0"]).tags == {"a", "B-2", "c.d_e", "0"}


def test_children_inherit_tags() -> None:
    assert child_of({"tags": ["above"]}, {"network": "10.0.0.0", "tags": ["own"]}).tags == {
        "above",
        "own",
    }


def test_children_do_not_inherit_tags_that_are_not_propagated() -> None:
    child = {"network": "10.0.0.0", "tags": ["own"]}

    assert child_of({"tags": ["above"], "propagate_tags": False}, child).tags == {"own"}


def test_a_scope_that_propagates_no_tags_does_not_propagate_inherited_ones() -> None:
    middle = {"network": "10.0.0.0", "propagate_tags": False, "child_prefix": 28}
    middle["scopes"] = [{"network": "10.0.0.0"}]

    *_, lowest = tree_of(ROOT | {"tags": ["top"], "scopes": [middle]})

    assert lowest.tags == frozenset()


def test_no_blocks_can_be_drawn_from_a_scope_that_is_locked_down() -> None:
    assert scope_of().can_be_drawn_from
    assert not scope_of(lock_down=True).can_be_drawn_from


def test_lock_down_is_not_inherited() -> None:
    child = child_of({"lock_down": True}, {"network": "10.0.0.0", "child_prefix": 28})

    assert child.can_be_drawn_from


def test_pre_seeded_children_are_all_blocks_outside_the_child_scopes() -> None:
    parent, _ = tree_of(
        ROOT | {"prefix": 22, "pre_seed_children": True, "scopes": [{"network": "10.0.1.0"}]}
    )

    assert [str(block) for block in seeded_children(parent)] == [
        "10.0.0.0/24",
        "10.0.2.0/24",
        "10.0.3.0/24",
    ]


def test_only_pre_seeded_children_can_be_drawn_from_a_scope_that_is_locked_down() -> None:
    scope = scope_of(lock_down=True, pre_seed_children=True)

    assert scope.can_be_drawn_from
    assert scope.only_children


def test_65536_children_can_be_pre_seeded() -> None:
    assert (
        len(list(seeded_children(scope_of(prefix=15, child_prefix=31, pre_seed_children=True))))
        == 65_536
    )


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
def test_reserved_accepts_addresses_ranges_and_cidrs(written: str, first: str, last: str) -> None:
    assert scope_of(reserved=[written]).reserved == (addresses(first, last),)


def test_children_inherit_what_is_reserved_inside_them() -> None:
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


def test_description_is_kept() -> None:
    assert scope_of(description="Käte's lab").description == "Käte's lab"


def test_keys_have_the_documented_defaults() -> None:
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


def test_scopes_have_their_depth_and_position_in_the_file() -> None:
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


def test_a_scope_may_be_as_large_as_its_parent() -> None:
    assert str(child_of({}, {"network": "10.0.0.0", "prefix": 16})) == "10.0.0.0/16"


def test_a_schema_may_have_scopes_of_both_ip_versions() -> None:
    tree = tree_of({"network": "0.0.0.0", "prefix": 0}, {"network": "::", "prefix": 0})

    assert [scope.network.version for scope in tree] == [4, 6]


def test_node_prefix_is_the_length_of_the_blocks_that_nodes_claim() -> None:
    assert scope_of(node_prefix=20).node_prefix == 20
    assert scope_of().node_prefix is None


@pytest.mark.parametrize("keys", [{}, {"address_space": "local"}])
def test_a_scope_with_node_prefix_is_for_networks_of_single_hosts(keys: dict[str, str]) -> None:
    assert scope_of(node_prefix=20, **keys).address_space == "local"


def test_children_do_not_inherit_node_prefix() -> None:
    child = child_of({"node_prefix": 20}, {"network": "10.0.0.0", "child_prefix": 28})

    assert (child.node_prefix, child.address_space) == (None, None)
