"""Why a network gets no block: the cause that holds, and what helps (design of messages in
docs/architecture.md, "Docker")."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.errors import Exhausted, InUse, InvalidRequest, NotManaged
from tests.support.core import Core, replay, scope, tree_of
from tests.unit.aggregates import SCOPE, core_with, fill


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


def test_an_aggregate_with_room_for_smaller_blocks_is_not_called_full() -> None:
    core = core_with(prefix=20)
    for subnet in ("10.1.0.0/24", "10.1.8.0/24"):
        core.pool(subnet)
    message = _refusal(core, length=21)
    assert "its one aggregate has no room" in message
    assert "ask for a smaller block (--ipam-opt prefix=22)" in message


def test_reserved_blocks_are_to_be_had_by_name() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, reserved=["10.0.0.128/25"])))
    core.pool()
    message = _refusal(core)
    assert "is full (of its 2 /25 blocks, 1 is taken, 1 is reserved; reserved in" in message
    assert "ask for a reserved block by name (--subnet)" in message


@pytest.mark.parametrize(
    ("prefix", "how"), [(24, "all 2 of its /25 blocks are"), (25, "its one /25 block is")]
)
def test_a_scope_that_is_reserved_as_a_whole_names_the_entry_and_what_alone_helps(
    prefix: int, how: str
) -> None:
    plan = f"10.0.0.0/{prefix}"
    core = Core(tree_of(scope("10.0.0.0", prefix, child_prefix=25, reserved=[plan])))
    assert _refusal(core) == (
        f"no block is free for an IPv4 network: scope {plan} has no free block ({how} reserved; "
        f"reserved in the schema: {plan} (scope {plan})). What helps: ask for a reserved block by "
        "name (--subnet), or reserve less in the schema"
    )
    assert core.pool("10.0.0.0/25") == "local/10.0.0.0/25"


def test_of_the_reserved_entries_those_in_the_way_are_named_with_the_scope_that_has_them() -> None:
    inner = scope("10.0.0.0", 24, child_prefix=25, tags=["a"], reserved=["10.0.0.0-10.0.0.126"])
    reserved = ["10.0.0.128/25", "10.0.0.127", "10.0.1.0/24"]
    core = Core(tree_of(scope("10.0.0.0", 16, reserved=reserved, scopes=[inner])))
    core.pool("10.0.0.128/25")
    assert (
        "(of its 2 /25 blocks, 1 is taken, 1 is reserved; reserved in the schema: "
        "10.0.0.0-10.0.0.126 (scope 10.0.0.0/24), 10.0.0.127 (scope 10.0.0.0/16))"
    ) in _refusal(core)


def test_no_network_is_in_the_way_where_all_is_reserved() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, reserved=["10.0.0.0/24"])))
    core.pool("10.0.0.128/25")
    message = _refusal(core)
    assert "1 is taken, 1 is reserved; reserved in the schema: 10.0.0.0/24" in message
    assert message.endswith(
        "What helps: ask for a reserved block by name (--subnet), or reserve less in the schema"
    )


IPV6 = {"network": "fd00:1::", "prefix": 48, "node_prefix": 56, "child_prefix": 64}


@pytest.mark.parametrize("plan", [SCOPE, IPV6], ids=["IPv4", "IPv6"])
def test_a_scope_of_which_nodes_claim_blocks_names_what_is_reserved_as_a_whole(
    plan: dict[str, Any],
) -> None:
    place = f"{plan['network']}/{plan['prefix']}"
    core = Core(tree_of(plan | {"reserved": [place]}))
    version = 4 if plan is SCOPE else 6
    count = 1 << (plan["node_prefix"] - plan["prefix"])
    assert _refusal(core, version=version) == (
        f"no block is free for an IPv{version} network: scope {place} has no free "
        f"/{plan['child_prefix']} block for node h1 (it has no aggregate, and all {count} "
        f"of the scope's /{plan['node_prefix']} blocks are reserved; reserved in the schema: "
        f"{place} (scope {place})). What helps: ask for a reserved block by name (--subnet), or "
        "reserve less in the schema"
    )
    assert core.pool(f"{plan['network']}/{plan['child_prefix']}", version=version)


def test_a_scope_with_one_block_to_claim_that_is_reserved_says_so() -> None:
    core = core_with(prefix=20, reserved=["10.1.0.0/20"])
    assert "and the scope's one /20 block is reserved; reserved in" in _refusal(core)


def test_a_node_whose_further_blocks_are_reserved_is_told_which_entries_keep_them_back() -> None:
    core = core_with(prefix=18, reserved=["10.1.16.0/20", "10.1.32.0/19", "10.1.0.7"])
    fill(core)
    message = _refusal(core)
    assert (
        "(its one aggregate has no room, and none of the scope's 4 /20 blocks can be claimed, of "
        "which 3 are reserved; reserved in the schema: 10.1.16.0/20 (scope 10.1.0.0/18), "
        "10.1.32.0/19 (scope 10.1.0.0/18))"
    ) in message
    assert message.endswith(
        "What helps: ask for a reserved block by name (--subnet), or reserve less in the schema, "
        "or remove networks that nobody needs, or free what has leaked with `pyipam reconcile`, or "
        "enlarge the scope in the schema"
    )


def test_a_node_whose_aggregate_has_reserved_room_alone_is_told_so() -> None:
    core = core_with(prefix=20, reserved=["10.1.8.0/21"])
    fill(core, 2)
    message = _refusal(core)
    assert (
        "(its one aggregate has no room but for reserved blocks, and the scope's one /20 block "
        "cannot be claimed; reserved in the schema: 10.1.8.0/21 (scope 10.1.0.0/20))"
    ) in message
    assert "ask for a reserved block by name (--subnet), or reserve less in the schema" in message
    assert core.pool("10.1.8.0/22")


def test_no_network_is_in_the_way_of_a_claim_where_all_is_on_routes() -> None:
    core = core_with(prefix=20)
    core.routes.add("10.1.0.0/24", "wg0")
    message = _refusal(core)
    assert "it has no aggregate" in message
    assert "remove networks" not in message
    core.routes.remove("10.1.0.0/24", "wg0")
    fill(core)
    assert "remove networks" in _refusal(core)


def test_blocks_of_the_scopes_below_are_not_called_taken_by_networks() -> None:
    below = scope("10.0.0.0", 25, child_prefix=25, tags=["below"])
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, tags=["a"], scopes=[below])))
    core.pool(tags="a+!below")
    message = _refusal(core, tags="a+!below")
    assert "of its 2 /25 blocks, 1 is taken, 1 belongs to the scopes below it" in message
    assert "name tags that select the scopes below it" in message


def test_no_network_is_in_the_way_where_all_belongs_to_the_scopes_below() -> None:
    below = [scope(address, 25, child_prefix=26) for address in ("10.0.0.0", "10.0.0.128")]
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, scopes=below)))
    message = _refusal(core, length=24)
    assert "10.0.0.0/24 has no free block (its one /24 block belongs to the scopes below" in message
    assert "remove networks" not in message
    assert "ask for a smaller block (--ipam-opt prefix=25)" in message
    assert core.pool(length=25)


@pytest.fixture
def half() -> Core:
    """Two blocks, of which 10.0.0.0/25 is in use."""
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, reuse_delay=60)))
    for pool in (core.pool(), core.pool()):
        core.gateway(pool)
    return core


ON_ROUTE = "10.0.0.128/25 could be given out again, but lies on the route 10.0.0.192/26 dev wg0"


def test_a_block_that_rests_and_lies_on_a_route_is_named_with_the_route(half: Core) -> None:
    half.release_pool("local/10.0.0.128/25")
    half.routes.add("10.0.0.192/26", "wg0")
    message = _refusal(half)
    assert ON_ROUTE in message
    assert message.endswith("or remove the route 10.0.0.192/26 dev wg0")
    half.routes.remove("10.0.0.192/26", "wg0")
    assert half.pool()


def test_no_network_is_in_the_way_where_all_is_on_routes() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25)))
    for route in ("10.0.0.0/26", "10.0.0.1/32", "10.0.0.128/25"):
        core.routes.add(route, "wg0")
    message = _refusal(core)
    assert "remove routes (10.0.0.0/26 dev wg0, 10.0.0.1/32 dev wg0, 10.0.0.128/25" in message
    assert "remove networks" not in message
    core.routes.remove("10.0.0.128/25", "wg0")
    core.pool()
    assert "remove networks" in _refusal(core)


def test_so_is_one_that_has_leaked(half: Core) -> None:
    half.restart_engine("engine-2")
    replay(half, "local/10.0.0.0/25", "10.0.0.1")
    half.routes.add("10.0.0.192/26", "wg0")
    assert ON_ROUTE in _refusal(half)
    half.routes.remove("10.0.0.192/26", "wg0")
    assert half.pool() == "local/10.0.0.128/25"


def test_a_block_of_a_scope_below_is_not_called_one_that_could_be_given_out_again() -> None:
    below = scope("10.0.0.0", 25, child_prefix=26, tags=["below"], reuse_delay=60)
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=26, tags=["a"], scopes=[below])))
    pool = core.pool(tags="below")
    core.gateway(pool)
    core.release_pool(pool)
    core.routes.add("10.0.0.0/26", "wg0")
    core.pool(tags="a+!below")
    core.pool(tags="a+!below")

    assert "could be given out again" not in _refusal(core, tags="a+!below")
    core.pool(tags="below")
    assert "10.0.0.0/26 could be given out again, but lies on the" in _refusal(core, tags="below")


@given(
    st.lists(st.tuples(st.integers(24, 30), st.integers(0, 63)), max_size=6),
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=3),
    st.integers(25, 30),
)
def test_the_largest_free_block_that_is_named_is_the_largest_that_is_given(
    subnets: list[tuple[int, int]], reserved: list[tuple[int, int]], length: int
) -> None:
    entries = [f"10.0.0.{min(pair)}-10.0.0.{max(pair)}" for pair in reserved]
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, reserved=entries)))
    for prefix, place in subnets:
        with suppress(InUse):
            core.pool(f"10.0.0.{place * 4 >> 32 - prefix << 32 - prefix}/{prefix}")
    try:
        core.pool(length=length)
    except Exhausted as error:
        named = re.search("its largest free block is a /([0-9]+)", str(error))
    else:
        return

    given = next((each for each in range(length + 1, 31) if _is_given(core, each)), None)

    assert (named and int(named[1])) == given


def _is_given(core: Core, length: int) -> bool:
    try:
        core.pool(length=length)
    except Exhausted:
        return False
    return True


def test_a_block_that_has_leaked_and_is_reserved_by_now_is_to_be_had_by_name(half: Core) -> None:
    keys = {"child_prefix": 25, "reserved": ["10.0.0.128/25"]}
    half.tree = tree_of(scope("10.0.0.0", 24, **keys))
    half.restart_engine("engine-2")
    replay(half, "local/10.0.0.0/25", "10.0.0.1")
    message = _refusal(half)
    assert "10.0.0.128/25 could be given out again, but is reserved by now" in message
    assert "ask for a reserved block by name (--subnet)" in message


def test_a_scope_that_gives_out_only_its_children_is_helped_by_no_prefix() -> None:
    plan = scope("10.0.0.0", 16, child_prefix=24, lock_down=True, pre_seed_children=True)
    message = _refusal(Core(tree_of(plan)), length=28)
    assert "gives out only its /24 children (lock_down)" in message
    assert message.endswith("What helps: ask for a /24, by leaving out prefix")


def test_a_scope_that_gives_out_only_its_children_and_has_none_left_says_what_makes_one_free() -> (
    None
):
    core = Core(
        tree_of(scope("10.0.0.0", 24, child_prefix=25, lock_down=True, pre_seed_children=True))
    )
    assert [core.pool() for _ in range(2)] == ["local/10.0.0.0/25", "local/10.0.0.128/25"]

    message = _refusal(core, length=28)

    assert "gives out only its /25 children (lock_down), and has none left" in message
    assert message.endswith(
        "What helps: remove networks that nobody needs, or free what has leaked with `pyipam "
        "reconcile`, or enlarge the scope in the schema"
    )


def test_where_all_children_belong_to_the_scopes_below_none_of_them_is_to_be_asked_for() -> None:
    below = scope("10.0.0.0", 26, child_prefix=28)
    plan = scope("10.0.0.0", 24, child_prefix=24, lock_down=True, pre_seed_children=True)
    above = plan | {"tags": ["above"], "propagate_tags": False, "scopes": [below]}

    message = _refusal(Core(tree_of(above)), length=30, tags="above")

    assert message.endswith(
        "What helps: name tags that select the scopes below it, or enlarge the scope in the schema"
    )


def test_a_child_that_rests_is_to_be_asked_for() -> None:
    plan = scope("10.0.0.0", 24, child_prefix=24, lock_down=True, pre_seed_children=True)
    core = Core(tree_of(plan | {"reuse_delay": 60}))
    pool = core.pool()
    core.address(pool)
    core.release_pool(pool)

    assert _refusal(core, length=28).endswith("What helps: ask for a /24, by leaving out prefix")
    assert core.pool() == pool


def test_a_scope_that_is_too_small_is_helped_by_a_smaller_block_alone() -> None:
    message = _refusal(Core(tree_of(scope("10.0.0.0", 20, child_prefix=24))), length=8)
    assert message.endswith("What helps: ask for a smaller block (--ipam-opt prefix=20)")


def test_of_several_scopes_that_are_too_small_the_largest_block_that_one_gives_is_named() -> None:
    claimed = scope("10.1.0.0", 16, node_prefix=20, child_prefix=26)
    message = _refusal(Core(tree_of(claimed, scope("10.2.0.0", 24, child_prefix=26))), length=20)
    assert message.endswith("What helps: ask for a smaller block (--ipam-opt prefix=21)")


def test_a_scope_that_is_too_small_and_whose_blocks_nodes_claim_names_what_they_give() -> None:
    claimed = scope("10.1.0.0", 16, node_prefix=20, child_prefix=26)
    small = scope("10.2.0.0", 24, child_prefix=26)
    message = _refusal(Core(tree_of(claimed, small)), length=12)
    assert message.endswith("What helps: ask for a smaller block (--ipam-opt prefix=21)")


def test_a_smaller_block_is_named_once_and_is_one_that_some_scope_has() -> None:
    full, small = scope("10.2.0.0", 26, child_prefix=28), scope("10.3.0.0", 27, child_prefix=28)
    core = Core(tree_of(full, small, SCOPE | {"node_prefix": 27, "child_prefix": 28}))
    core.pool("10.2.0.0/28")

    for length in (25, 26):
        message = _refusal(core, length=length)
        assert message.count("smaller block") == 1
        assert "What helps: ask for a smaller block (--ipam-opt prefix=27)" in message
    assert core.pool(length=27) == "local/10.2.0.32/27"


def test_a_scope_that_is_too_small_and_has_nothing_smaller_either_has_to_be_enlarged() -> None:
    core = Core(tree_of(scope("10.2.0.0", 26, child_prefix=26)))
    core.pool()

    message = _refusal(core, length=25)

    assert message.endswith("What helps: enlarge the scope in the schema")


def test_of_a_scope_that_gives_out_only_its_children_one_of_those_is_the_smaller_block() -> None:
    plan = scope("10.0.0.0", 16, child_prefix=24, lock_down=True, pre_seed_children=True)
    core = Core(tree_of(plan))

    message = _refusal(core, length=12)

    assert message.endswith("What helps: ask for a smaller block (--ipam-opt prefix=24)")
    assert core.pool(length=24) == "local/10.0.0.0/24"


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
