"""What another schema means, for its scopes and for the pools that exist."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyipam.plan.differences import (
    ClaimedBlock,
    OwnAggregate,
    claim_differences,
    enclosed_differences,
    pool_differences,
    scope_differences,
    scopes_of,
    scopes_shown,
)
from pyipam.plan.schema_source import SchemaInForce
from pyipam.plan.scope_tree import ScopeTree
from pyipam.runtime.schema_watch import SchemaWatch
from pyipam.settings import read_settings
from pyipam.space.block import block_of
from tests.support.core import Core, scope, tree_of
from tests.support.in_process import captured_log
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan

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


PLAIN = tree_of(scope("10.1.0.0", 16, child_prefix=26))
CLAIMED = tree_of(scope("10.1.0.0", 16, node_prefix=20, child_prefix=26))


def claims(
    before: ScopeTree, after: ScopeTree, *pools: str, aggregates: dict[str, int] | None = None
) -> list[str]:
    """What another schema means for pools, and for aggregates with so many pools."""
    held = [(pool, block_of(ip_network(pool.partition("/")[2]))) for pool in pools]
    own = [
        OwnAggregate(block_of(ip_network(cidr)), count)
        for cidr, count in (aggregates or {}).items()
    ]
    found = claim_differences(held, own, scopes_of(before), scopes_of(after))
    return [f"{each.kind} {each.what}: {each.detail}" for each in found]


def test_a_scope_of_which_nodes_begin_to_claim_blocks_says_what_a_network_gets_then() -> None:
    assert claims(PLAIN, CLAIMED) == [
        "claims 10.1.0.0/16: nodes claim /20 blocks of it, and a network gets at most a /21"
    ]


def test_pools_that_lie_in_no_aggregate_then_are_strays() -> None:
    assert claims(PLAIN, CLAIMED, "local/10.1.3.0/26", "global/10.1.5.0/26")[1:] == [
        "stray local/10.1.3.0/26: lies in no aggregate, and stays there until its network is "
        "removed; it is announced by itself"
    ]


def test_pools_in_an_aggregate_that_is_there_already_are_none() -> None:
    other = tree_of(scope("10.1.0.0", 16, node_prefix=18, child_prefix=26))

    found = claims(PLAIN, other, "local/10.1.3.0/26", aggregates={"10.1.0.0/20": 1})

    assert [each.split()[0] for each in found] == ["claims", "stays"]


def test_pools_that_were_strays_before_are_no_difference() -> None:
    assert claims(CLAIMED, CLAIMED, "local/10.1.3.0/26") == []


@pytest.mark.parametrize(
    "after", [PLAIN, tree_of(scope("10.9.0.0", 16, child_prefix=26))], ids=["key", "scope"]
)
def test_strays_are_announced_no_longer_when_the_key_or_the_scope_goes_away(
    after: ScopeTree,
) -> None:
    pools = ("local/10.1.3.0/26", "local/10.1.16.0/26", "global/10.1.5.0/26")

    found = claims(CLAIMED, after, *pools, aggregates={"10.1.16.0/20": 1})

    assert [each for each in found if not each.startswith(("claims", "ends"))] == [
        "route local/10.1.3.0/26: lies in no aggregate, and is announced no longer, except with "
        "`pyipam routes --exact`"
    ]


def test_strays_stay_announced_in_a_scope_that_became_smaller() -> None:
    half = tree_of(scope("10.1.0.0", 17, node_prefix=20, child_prefix=26))

    assert [each.split()[0] for each in claims(CLAIMED, half, "local/10.1.3.0/26")] == ["claims"]


def test_aggregates_keep_their_length_when_the_key_changes() -> None:
    after = tree_of(scope("10.1.0.0", 16, node_prefix=22, child_prefix=26))

    assert claims(CLAIMED, after, aggregates={"10.1.0.0/20": 3}) == [
        "claims 10.1.0.0/16: nodes claim /22 blocks of it, no longer /20, and a network gets at "
        "most a /23",
        "stays 10.1.0.0/20: is an aggregate of this node, and keeps its length",
    ]


def test_aggregates_end_with_their_pools_when_the_key_goes_away() -> None:
    found = claims(CLAIMED, PLAIN, aggregates={"10.1.0.0/20": 3, "10.1.16.0/20": 0})

    assert found == [
        "claims 10.1.0.0/16: nodes claim no blocks of it, and networks get theirs from all of it; "
        "what lies in no aggregate is announced only with `pyipam routes --exact`",
        "ends 10.1.0.0/20: is given back once its 3 pools have ended, and free after its rest",
        "ends 10.1.16.0/20: is given back now, as it has no pools, and free after its rest",
    ]


def test_aggregates_end_with_their_pools_when_the_scope_goes_away() -> None:
    after = tree_of(scope("10.9.0.0", 16, child_prefix=26))

    assert claims(CLAIMED, after, aggregates={"10.1.0.0/20": 1}) == [
        "ends 10.1.0.0/20: is given back once its one pool has ended, and free after its rest"
    ]


def test_a_new_scope_whose_blocks_nodes_claim_around_old_pools_makes_them_strays() -> None:
    child = scope("10.0.1.0", 24, node_prefix=26, child_prefix=28)
    after = tree_of(scope("10.0.0.0", 16, child_prefix=24, scopes=[child]))

    assert claims(BEFORE, after, "local/10.0.1.0/28")[1:] == [
        "stray local/10.0.1.0/28: lies in no aggregate, and stays there until its network is "
        "removed; it is announced by itself"
    ]


WITHIN = {"network": "10.1.4.0", "prefix": 22, "child_prefix": 28}


def with_inner(**keys: Any) -> ScopeTree:
    """CLAIMED, with a scope inside the block 10.1.0.0/20."""
    inner = WITHIN | keys
    return tree_of(scope("10.1.0.0", 16, node_prefix=20, child_prefix=26, scopes=[inner]))


def enclosed(before: ScopeTree, after: ScopeTree, claimed: dict[str, str]) -> list[str]:
    """What another schema means for scopes in blocks that nodes have claimed; "" is this node."""
    blocks = [ClaimedBlock(block_of(ip_network(cidr)), node) for cidr, node in claimed.items()]
    found = enclosed_differences(blocks, scopes_of(before), scopes_of(after))
    return [f"{each.kind} {each.what}: {each.detail}" for each in found]


@pytest.mark.parametrize("keys", [{}, {"node_prefix": 24}])
def test_a_new_scope_inside_an_aggregate_of_this_node_says_who_gets_blocks_of_it(
    keys: dict[str, int],
) -> None:
    assert enclosed(CLAIMED, with_inner(**keys), {"10.1.0.0/20": "", "10.1.16.0/20": "h2"}) == [
        "inside 10.1.4.0/22: lies in 10.1.0.0/20, which this node has claimed: until that is given "
        "back, networks of this node get blocks of it, and those of other nodes and of swarms none"
    ]


@pytest.mark.parametrize("keys", [{}, {"node_prefix": 24}])
def test_one_inside_an_aggregate_of_another_node_says_how_to_get_its_space(
    keys: dict[str, int],
) -> None:
    assert enclosed(CLAIMED, with_inner(**keys), {"10.1.0.0/20": "h2"}) == [
        "inside 10.1.4.0/22: lies in 10.1.0.0/20, which node h2 has claimed: until that is given "
        "back, networks of this node get no blocks of it; remove the networks there, and release "
        "it on that node (`pyipam claims release 10.1.0.0/20`)"
    ]


def test_so_does_an_ipv6_scope() -> None:
    outer = scope("fd00:10::", 32, node_prefix=48, child_prefix=64)
    inner = scope("fd00:10:0:100::", 56, child_prefix=64)

    found = enclosed(tree_of(outer), tree_of(outer | {"scopes": [inner]}), {"fd00:10::/48": "h2"})

    assert [each.partition(",")[0] for each in found] == [
        "inside fd00:10:0:100::/56: lies in fd00:10::/48"
    ]


def test_a_scope_that_is_opened_inside_an_aggregate_says_so_too() -> None:
    found = enclosed(with_inner(lock_down=True), with_inner(), {"10.1.0.0/20": "h2"})

    assert [each.split()[:2] for each in found] == [["inside", "10.1.4.0/22:"]]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (with_inner(), with_inner(tags=["web"])),
        (CLAIMED, with_inner(lock_down=True)),
        (CLAIMED, with_inner(network="10.1.32.0")),
        (PLAIN, CLAIMED),
    ],
    ids=["there before", "locked", "elsewhere", "around it"],
)
def test_a_scope_that_was_there_gives_nothing_or_lies_in_no_aggregate_is_no_difference(
    before: ScopeTree, after: ScopeTree
) -> None:
    assert enclosed(before, after, {"10.1.0.0/20": "h2", "10.1.16.0/20": ""}) == []


def test_a_scope_that_became_as_large_as_an_aggregate_is_drawn_from_that() -> None:
    after = tree_of(scope("10.1.0.0", 20, node_prefix=20, child_prefix=26))

    assert enclosed(CLAIMED, after, {"10.1.0.0/20": ""}) == []
    assert len(enclosed(CLAIMED, after, {"10.1.0.0/20": "h2"})) == 1


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


def test_an_edit_is_logged_with_what_it_means_for_the_aggregates_of_this_node() -> None:
    core = Core(CLAIMED)
    core.pool()

    assert [line.split('"')[0].strip() for line in watched(core, PLAIN)] == [
        "kind=changed what=10.1.0.0/16 detail=",
        "kind=claims what=10.1.0.0/16 detail=",
        "kind=ends what=10.1.0.0/20 detail=",
    ]


def test_an_edit_is_logged_with_the_scopes_that_lie_in_aggregates_of_any_node() -> None:
    plan = SharedPlan()
    h1, h2 = node(plan, "h1", CLAIMED), node(plan, "h2", CLAIMED)
    h1.pool()
    h2.ipam.catch_up()

    logged = [line for core in (h1, h2) for line in watched(core, with_inner())]

    assert [each.split(":")[0] for each in logged if "kind=inside" in each] == [
        'kind=inside what=10.1.4.0/22 detail="lies in 10.1.0.0/20, which this node has claimed',
        'kind=inside what=10.1.4.0/22 detail="lies in 10.1.0.0/20, which node h1 has claimed',
    ]


def test_the_same_schema_again_is_not_logged_as_a_change() -> None:
    assert watched(Core(BEFORE), BEFORE) == []


def test_a_large_edit_is_logged_in_part_with_how_much_is_left_out() -> None:
    core = Core(BEFORE)
    after = tree_of(*(scope(f"172.16.{n}.0", 24, child_prefix=28) for n in range(200)))

    lines = watched(core, after)

    assert len(lines) == 101
    assert lines[-1].endswith("more=102\n")
