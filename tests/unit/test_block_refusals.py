"""Why a network gets no block: the cause that holds, and what helps (design of messages in
docs/architecture.md, "Docker")."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import Exhausted, InvalidRequest, NotManaged
from tests.support.core import Core, scope, tree_of


def _refusal(core: Core, **wishes: Any) -> str:
    with pytest.raises((Exhausted, NotManaged)) as caught:
        core.pool(**wishes)
    return str(caught.value)


def test_a_scope_with_room_for_smaller_blocks_says_which() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25)))
    for subnet in ("10.0.0.0/26", "10.0.0.128/26"):
        core.pool(subnet)
    message = _refusal(core)
    assert "all 2 of its /25 blocks are taken at least in part" in message
    assert "its largest free block is a /26" in message
    assert "ask for a smaller block (--ipam-opt prefix=26)" in message


def test_reserved_blocks_are_to_be_had_by_name() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, reserved=["10.0.0.128/25"])))
    core.pool()
    message = _refusal(core)
    assert "1 of its 2 /25 blocks are taken, 1 is reserved" in message
    assert "ask for a reserved block by name (--subnet)" in message


def test_blocks_of_the_scopes_below_are_not_called_taken_by_networks() -> None:
    below = scope("10.0.0.0", 25, child_prefix=25, tags=["below"])
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, tags=["a"], scopes=[below])))
    core.pool(tags="a+!below")
    assert "are taken or belong to the scopes below it" in _refusal(core, tags="a+!below")


def test_a_scope_that_gives_out_only_its_children_is_helped_by_no_prefix() -> None:
    plan = scope("10.0.0.0", 16, child_prefix=24, lock_down=True, pre_seed_children=True)
    message = _refusal(Core(tree_of(plan)), length=28)
    assert "gives out only its /24 children (lock_down)" in message
    assert message.endswith("What helps: ask for a /24, by leaving out prefix")


def test_a_scope_that_is_too_small_is_helped_by_a_smaller_block_alone() -> None:
    message = _refusal(Core(tree_of(scope("10.0.0.0", 20, child_prefix=24))), length=8)
    assert message.endswith("What helps: ask for a smaller block (--ipam-opt prefix=20 or longer)")


def test_a_scope_of_the_other_address_space_names_the_tags_of_those_that_serve() -> None:
    core = Core(
        tree_of(
            scope("10.0.0.0", 16, child_prefix=24, address_space="local", tags=["default"]),
            scope("10.1.0.0", 16, child_prefix=24, address_space="global", tags=["swarm"]),
        )
    )
    message = _refusal(core, space="global")
    assert "is for single-host networks only (address_space local)" in message
    assert message.endswith(
        "What helps: name a tag of the scopes that are for swarm networks too (swarm)"
    )


def test_without_a_scope_for_the_address_space_one_has_to_be_added() -> None:
    plan = scope("10.0.0.0", 16, child_prefix=24, address_space="local", tags=["default"])
    message = _refusal(Core(tree_of(plan)), space="global")
    assert message.endswith("What helps: add a scope for swarm networks to the schema")


@pytest.fixture
def tagged() -> Core:
    return Core(
        tree_of(
            scope("10.0.0.0", 16, child_prefix=24, tags=["ingress", "dmz"]),
            scope("10.1.0.0", 16, child_prefix=24, tags=["database"]),
            scope("10.2.0.0", 16, tags=["locked"]),
            scope("fd00::", 48, child_prefix=64, tags=["six"]),
        )
    )


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ("ingres", "no scope has tag 'ingres', did you mean 'ingress'?"),
        ("xyz", "no scope has tag 'xyz'; the tags of"),
        ("locked", "tag 'locked' is only on scopes that give out nothing (10.2.0.0/16)"),
        ("six", "tag 'six' is only on scopes of the other IP version (fd00::/48)"),
        ("dmz+database", "no scope matches this combination of tags"),
        ("dmz+databse", "no scope has tag 'databse', did you mean 'database'?"),
    ],
)
def test_tags_that_select_nothing_are_refused_with_the_reason(
    tagged: Core, tags: str, why: str
) -> None:
    assert why in _refusal(tagged, tags=tags)


def test_an_ip_version_without_a_scope_is_refused_with_that_reason() -> None:
    core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=24)))
    assert "the schema has no IPv6 scope with a child_prefix" in _refusal(core, version=6)
    assert "which has none for IPv6" in _refusal(core, subnet="fd00::/64")


def test_a_subnet_that_is_no_child_of_its_scope_is_refused_with_the_children() -> None:
    plan = scope("10.0.0.0", 16, child_prefix=24, lock_down=True, pre_seed_children=True)
    message = _refusal(Core(tree_of(plan)), subnet="10.0.1.0/25")
    assert "ask for one of those, or for a subnet of another scope" in message


@pytest.mark.parametrize(("version", "length"), [(4, 32), (6, 128)])
def test_a_block_with_room_for_its_gateway_alone_is_refused(version: int, length: int) -> None:
    core = Core(
        tree_of(scope("10.0.0.0", 16, child_prefix=24), scope("fd00::", 48, child_prefix=64))
    )
    with pytest.raises(InvalidRequest, match=rf"a /{length} has room for .* gateway alone"):
        core.pool(version=version, length=length)
    assert core.pool(version=version, length=length - 1)
