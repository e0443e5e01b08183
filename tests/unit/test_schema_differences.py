"""What another schema means, for its scopes and for the pools that exist."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyipam.plan.differences import pool_differences, scope_differences, scopes_of, scopes_shown
from pyipam.plan.schema_source import SchemaInForce
from pyipam.plan.scope_tree import ScopeTree
from pyipam.runtime.schema_watch import SchemaWatch
from pyipam.settings import read_settings
from pyipam.space.block import block_of
from tests.support.core import Core, scope, tree_of
from tests.support.in_process import captured_log

BEFORE = tree_of(
    scope("10.0.0.0", 16, child_prefix=24, scopes=[scope("10.0.1.0", 24, child_prefix=28)])
)


UNTAGGED: dict[str, object] = dict.fromkeys(
    (
        *("parent", "child_prefix", "lock_down", "pre_seed_children"),
        *("reserved", "reuse_delay", "address_space", "description"),
    )
) | {"tags": []}


def moved(after: ScopeTree, *subnets: str) -> list[tuple[str, str, str]]:
    pools = [(f"local/{subnet}", block_of(ip_network(subnet))) for subnet in subnets]
    found = pool_differences(pools, scopes_of(BEFORE), scopes_of(after))
    return [(each.kind, each.what, each.detail) for each in found]


@pytest.mark.parametrize(
    ("keys", "detail"),
    [
        ({"child_prefix": 25}, "child_prefix 24 -> 25"),
        ({"tags": ["b", "a"]}, "tags none -> a,b"),
        ({"lock_down": True}, "lock_down false -> true"),
        ({"reuse_delay": 5}, "reuse_delay 0 -> 5"),
        ({"reserved": ["10.0.0.1"]}, "reserved none -> 10.0.0.1-10.0.0.1"),
        ({"address_space": "local"}, "address_space none -> local"),
        ({"description": "web"}, "description none -> web"),
    ],
)
def test_each_key_of_a_scope_is_compared(keys: dict[str, Any], detail: str) -> None:
    before = tree_of(scope("10.0.0.0", 16, child_prefix=24))
    after = tree_of(scope("10.0.0.0", 16, **{"child_prefix": 24} | keys))

    (difference,) = scope_differences(scopes_of(before), scopes_of(after))

    assert (difference.kind, difference.what) == ("changed", "10.0.0.0/16")
    assert difference.detail == detail


def test_differences_come_in_the_order_of_their_addresses_and_lengths() -> None:
    shown = [
        {"network": network, **UNTAGGED}
        for network in ("fd00::/48", "10.0.0.0/20", "10.0.16.0/20", "10.0.0.0/17", "fd00::/32")
    ]

    found = scope_differences(scopes_shown(shown), {})

    assert [difference.what for difference in found] == [
        "10.0.0.0/17",
        "10.0.0.0/20",
        "10.0.16.0/20",
        "fd00::/32",
        "fd00::/48",
    ]


def test_a_child_as_large_as_its_parent_is_another_scope() -> None:
    child = scope("10.0.0.0", 16, child_prefix=24, tags=["child"])
    before = tree_of(scope("10.0.0.0", 16, child_prefix=24))
    after = tree_of(scope("10.0.0.0", 16, child_prefix=24, scopes=[child]))

    (difference,) = scope_differences(scopes_of(before), scopes_of(after))

    assert (difference.kind, difference.detail) == ("added", "its tags are child")


def test_a_pool_that_no_scope_contains_any_more_lives_on_outside() -> None:
    after = tree_of(scope("10.0.1.0", 24, child_prefix=28))

    assert moved(after, "10.0.0.0/24", "10.0.1.0/28") == [
        (
            "outside",
            "local/10.0.0.0/24",
            "is in no scope, and lives on until its network is removed",
        )
    ]


def test_a_pool_that_another_scope_contains_is_said_to_be_there() -> None:
    after = tree_of(
        scope("10.0.0.0", 16, child_prefix=24, scopes=[scope("10.0.2.0", 24, child_prefix=28)])
    )

    assert moved(after, "10.0.0.0/24", "10.0.1.0/28", "10.0.2.0/24") == [
        ("moved", "local/10.0.1.0/28", "is in scope 10.0.0.0/16, was in 10.0.1.0/24"),
        ("moved", "local/10.0.2.0/24", "is in scope 10.0.2.0/24, was in 10.0.0.0/16"),
    ]


def test_a_pool_that_was_outside_before_is_no_difference() -> None:
    assert moved(BEFORE, "172.16.0.0/24", "10.0.0.0/24") == []


class _Edits:
    """A source of schemas that yields these trees, one at each look."""

    def __init__(self, *trees: ScopeTree) -> None:
        self._trees = list(trees)

    def start(self) -> SchemaInForce:
        return SchemaInForce("mount", self._trees.pop(0))

    def changed(self, _: object) -> SchemaInForce | None:
        return self.start() if self._trees else None


def watched(core: Core, *edits: ScopeTree) -> list[str]:
    """What is logged about differences while these schemas come into force, one by one."""
    source: Any = _Edits(core.tree, *edits)
    watch = SchemaWatch(source, read_settings({}), lambda: None)
    watch.start()
    with captured_log() as lines:
        for _ in (*edits, None):
            watch.check(core.ipam)
    begin = "level=INFO schema changed "
    return [line.removeprefix(begin) for line in lines if line.startswith(begin)]


def test_an_edit_is_logged_with_what_it_means_for_the_pools_in_use() -> None:
    core = Core(BEFORE)
    core.pool("10.0.0.0/24")
    after = tree_of(scope("10.0.1.0", 24, child_prefix=28))

    assert watched(core, after) == [
        'kind=removed what=10.0.0.0/16 detail="its tags were none"\n',
        'kind=changed what=10.0.1.0/24 detail="parent 10.0.0.0/16 -> none"\n',
        "kind=outside what=local/10.0.0.0/24 "
        'detail="is in no scope, and lives on until its network is removed"\n',
    ]


def test_the_same_schema_again_is_not_logged_as_a_change() -> None:
    assert watched(Core(BEFORE), BEFORE) == []


def test_a_large_edit_is_logged_in_part_with_how_much_is_left_out() -> None:
    core = Core(BEFORE)
    after = tree_of(*(scope(f"172.16.{n}.0", 24, child_prefix=28) for n in range(200)))

    lines = watched(core, after)

    assert len(lines) == 101
    assert lines[-1].endswith("more=102\n")
