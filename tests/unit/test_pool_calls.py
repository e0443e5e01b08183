"""Which block a network gets ("Carving blocks" in docs/architecture.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyipam.core.selection import Policy
from pyipam.errors import Exhausted, NotManaged, StoreFailure, Unavailable
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import parse_tag_filter
from tests.support.core import Core, scope, tree_of

EXAMPLE = Path(__file__).parents[2] / "schema.json"


@pytest.fixture
def example() -> Core:
    tree = read_schema(EXAMPLE.read_text())
    assert isinstance(tree, ScopeTree)
    return Core(tree)


def test_the_networks_of_the_example_get_the_blocks_that_its_description_prints(
    example: Core,
) -> None:
    assert example.pool(tags="null_routed") == "local/100.64.0.0/30"
    assert example.gateway("local/100.64.0.0/30") == "100.64.0.1/30"
    assert example.pool(tags="null_routed") == "local/100.64.0.4/30"
    assert example.gateway("local/100.64.0.4/30") == "100.64.0.5/30"
    assert example.pool(tags="null_routed", version=6) == "local/fc00:f00f::/64"
    assert example.gateway("local/fc00:f00f::/64") == "fc00:f00f::1/64"


@pytest.mark.parametrize(
    ("tags", "block"),
    [
        ("internally_routed", "100.64.16.0/30"),
        ("ingress", "100.64.32.0/30"),
        ("egress", "100.64.48.0/30"),
        ("ingress+egress", "100.64.48.0/30"),
        ("ingress+!egress", "100.64.32.0/30"),
        ("general_purpose,ingress", "100.64.64.0/30"),
        ("nowhere,host_to_container", "100.64.80.0/30"),
        ("python_docker_ipam_default", "100.64.0.0/30"),
        ("", "100.64.0.0/30"),
    ],
)
def test_tags_select_scopes_in_order_of_preference(example: Core, tags: str, block: str) -> None:
    assert example.pool(tags=tags) == f"local/{block}"


def test_without_tags_the_default_tags_select() -> None:
    tree = tree_of(
        scope("10.0.0.0", 16, child_prefix=24),
        scope("10.1.0.0", 16, child_prefix=24, tags=["default"]),
    )
    assert Core(tree).pool() == "local/10.1.0.0/24"


def test_without_tags_and_no_default_scope_every_scope_is_tried_in_order() -> None:
    tree = tree_of(scope("10.0.0.0", 24, child_prefix=24), scope("10.1.0.0", 24, child_prefix=24))
    core = Core(tree)
    assert [core.pool(), core.pool()] == ["local/10.0.0.0/24", "local/10.1.0.0/24"]


def test_deeper_scopes_are_tried_before_shallower_ones() -> None:
    tree = tree_of(
        scope("10.0.0.0", 16, child_prefix=24, tags=["a"]),
        scope(
            "10.1.0.0",
            16,
            child_prefix=24,
            tags=["a"],
            scopes=[
                scope("10.1.9.0", child_prefix=24),
            ],
        ),
    )
    core = Core(tree)
    assert [core.pool(tags="a") for _ in range(3)] == [
        "local/10.1.9.0/24",
        "local/10.0.0.0/24",
        "local/10.0.1.0/24",
    ]


def test_a_scope_gives_out_nothing_from_the_scopes_below_it() -> None:
    tree = tree_of(
        scope(
            "10.0.0.0",
            22,
            child_prefix=24,
            tags=["above"],
            propagate_tags=False,
            scopes=[
                scope("10.0.1.0", child_prefix=26, tags=["below"]),
            ],
        ),
    )
    core = Core(tree)
    assert [core.pool(tags="above") for _ in range(3)] == [
        "local/10.0.0.0/24",
        "local/10.0.2.0/24",
        "local/10.0.3.0/24",
    ]
    assert core.pool(tags="below") == "local/10.0.1.0/26"


def test_the_next_scope_serves_when_one_is_full() -> None:
    tree = tree_of(
        scope("10.0.0.0", 24, child_prefix=24, tags=["a"]),
        scope("10.1.0.0", 24, child_prefix=24, tags=["a"]),
    )
    core = Core(tree)
    core.pool(tags="a")
    assert core.pool(tags="a") == "local/10.1.0.0/24"


def test_when_all_scopes_are_full_the_error_names_each_and_how_full_it_is() -> None:
    tree = tree_of(
        scope("10.0.0.0", 24, child_prefix=25, tags=["a"]),
        scope("10.1.0.0", 24, child_prefix=24, tags=["a"]),
    )
    core = Core(tree)
    for _ in range(3):
        core.pool(tags="a")
    with pytest.raises(Exhausted) as caught:
        core.pool(tags="a")
    message = str(caught.value)
    assert "10.0.0.0/24 is full (all 2 of its /25 blocks are taken)" in message
    assert "10.1.0.0/24 is full (its one /24 block is taken)" in message
    assert (
        "remove networks that nobody needs, or free what has leaked with `pyipam reconcile`, or "
        "enlarge the scope in the schema"
    ) in message
    assert "smaller" not in message


def test_the_error_for_unknown_tags_lists_the_tags_that_exist(
    example: Core,
) -> None:
    with pytest.raises(NotManaged) as caught:
        example.pool(tags="ingres")
    assert "'ingres'" in str(caught.value)
    assert "ingress, internally_routed, null_routed" in str(caught.value)


def test_the_error_for_unknown_tags_leaves_out_scopes_that_give_out_nothing() -> None:
    tree = tree_of(
        scope("10.0.0.0", 16, child_prefix=24, lock_down=True, tags=["locked"]),
        scope("10.1.0.0", 16, child_prefix=24, tags=["open"]),
    )
    with pytest.raises(NotManaged, match="drawn from are: open"):
        Core(tree).pool(tags="locked")


def test_an_ipv6_network_is_served_by_ipv6_scopes_only() -> None:
    core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=24, tags=["a"])))
    with pytest.raises(NotManaged, match="an IPv6 network with tags 'a'"):
        core.pool(tags="a", version=6)


def test_another_prefix_length_can_be_requested(example: Core) -> None:
    assert example.pool(length=28) == "local/100.64.0.0/28"
    assert example.pool() == "local/100.64.0.16/30"
    assert example.pool(length=24) == "local/100.64.1.0/24"
    assert example.pool(version=6, length=72) == "local/fc00:f00f::/72"


def test_a_prefix_length_that_fits_no_scope_is_refused_with_the_reason(example: Core) -> None:
    with pytest.raises(Exhausted, match=r"100\.64\.0\.0/20 is smaller than a /8"):
        example.pool(length=8)


def test_equal_requests_get_different_blocks_until_those_are_released(example: Core) -> None:
    held = [example.pool() for _ in range(4)]
    assert len(set(held)) == 4
    for pool_id in held[:3]:
        example.release_pool(pool_id)
    assert example.pool() == held[0]


class TestAddressSpaceOfAScope:
    def test_an_automatic_block_is_given_to_networks_of_that_kind_only(self) -> None:
        core = Core(
            tree_of(
                scope("10.0.0.0", 16, child_prefix=24, tags=["a"], address_space="global"),
                scope("10.1.0.0", 16, child_prefix=24, tags=["a"]),
            )
        )
        assert core.pool(tags="a") == "local/10.1.0.0/24"
        assert core.pool(tags="a", space="global") == "global/10.0.0.0/24"

    def test_the_error_names_the_kind_of_networks_that_the_scope_serves(self) -> None:
        core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=24, address_space="global")))
        with pytest.raises(Exhausted, match="is for swarm networks only"):
            core.pool()

    def test_an_explicit_subnet_is_given_to_networks_of_any_kind(self) -> None:
        core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=24, address_space="global")))
        assert core.pool("10.0.3.0/24", space="local") == "local/10.0.3.0/24"


class TestLockDownAndSeededChildren:
    def test_a_locked_scope_gives_out_nothing(self) -> None:
        core = Core(
            tree_of(
                scope(
                    "10.0.0.0",
                    16,
                    child_prefix=24,
                    lock_down=True,
                    scopes=[
                        scope("10.0.7.0", child_prefix=26),
                    ],
                ),
            )
        )
        assert core.pool() == "local/10.0.7.0/26"
        with pytest.raises(NotManaged, match="lock_down"):
            core.pool("10.0.8.0/24")

    def test_lock_down_is_not_inherited(self) -> None:
        core = Core(
            tree_of(
                scope(
                    "10.0.0.0",
                    16,
                    child_prefix=20,
                    lock_down=True,
                    scopes=[
                        scope("10.0.16.0", child_prefix=24),
                    ],
                ),
            )
        )
        assert core.pool() == "local/10.0.16.0/24"

    def test_a_locked_scope_gives_out_only_the_children_that_it_seeds(self) -> None:
        seeded = scope("10.0.0.0", 22, child_prefix=24, lock_down=True, pre_seed_children=True)
        core = Core(tree_of(seeded))
        assert core.pool() == "local/10.0.0.0/24"
        assert core.pool("10.0.2.0/24") == "local/10.0.2.0/24"
        with pytest.raises(Exhausted, match="only its /24 children"):
            core.pool(length=26)
        with pytest.raises(NotManaged, match="only its /24 children"):
            core.pool("10.0.3.0/26")

    def test_seeded_children_of_an_unlocked_scope_restrict_nothing(self) -> None:
        core = Core(tree_of(scope("10.0.0.0", 22, child_prefix=24, pre_seed_children=True)))
        assert core.pool(length=26) == "local/10.0.0.0/26"


class TestReserved:
    def test_a_block_that_is_reserved_as_a_whole_is_not_given_out(self) -> None:
        core = Core(tree_of(scope("10.0.0.0", 22, child_prefix=24, reserved=["10.0.0.0/23"])))
        assert core.pool() == "local/10.0.2.0/24"

    def test_a_reserved_block_can_be_requested(self) -> None:
        core = Core(tree_of(scope("10.0.0.0", 22, child_prefix=24, reserved=["10.0.0.0/23"])))
        assert core.pool("10.0.0.0/24") == "local/10.0.0.0/24"

    def test_a_block_whose_every_usable_address_is_reserved_is_not_given_out(self) -> None:
        core = Core(tree_of(scope("10.0.0.0", 28, child_prefix=30, reserved=["10.0.0.1-10.0.0.2"])))
        assert core.pool() == "local/10.0.0.4/30"

    @pytest.mark.parametrize(
        ("reserved", "length", "block"),
        [
            (["10.0.0.1"], 30, "10.0.0.4/30"),
            (["10.0.0.2"], 30, "10.0.0.4/30"),
            (["10.0.0.1-10.0.0.5"], 30, "10.0.0.8/30"),
            (["10.0.0.0-10.0.0.5"], 29, "10.0.0.8/29"),
            (["10.0.0.2-10.0.0.6"], 29, "10.0.0.8/29"),
            (["10.0.0.1-10.0.0.2", "10.0.0.4", "10.0.0.5-10.0.0.6"], 29, "10.0.0.8/29"),
            (["10.0.0.1-10.0.0.2", "10.0.0.5-10.0.0.6"], 29, "10.0.0.0/29"),
            (["10.0.0.1"], 31, "10.0.0.2/31"),
            (["10.0.0.0", "10.0.0.3", "10.0.0.7"], 30, "10.0.0.0/30"),
            (["10.0.0.0", "10.0.0.3", "10.0.0.7"], 31, "10.0.0.4/31"),
            (["fd00::1-fd00::2"], 126, "fd00::4/126"),
            (["fd00::1"], 126, "fd00::/126"),
            (["fd00::1", "fd00::3"], 126, "fd00::4/126"),
        ],
    )
    @pytest.mark.parametrize("child_prefix", [0, 1])
    def test_a_block_without_room_for_gateway_and_container_is_not_given_out(
        self, reserved: list[str], length: int, block: str, child_prefix: int
    ) -> None:
        version, network, width = (6, "fd00::", 128) if ":" in block else (4, "10.0.0.0", 32)
        usual = length if child_prefix else width - 6
        tree = tree_of(scope(network, width - 6, child_prefix=usual, reserved=reserved))
        core = Core(tree)
        assert core.pool(length=length, version=version) == f"local/{block}"

    def test_the_reserved_ranges_of_a_scope_also_apply_to_the_scopes_below_it(self) -> None:
        core = Core(
            tree_of(
                scope(
                    "10.0.0.0",
                    16,
                    child_prefix=20,
                    reserved=["10.0.0.0/24"],
                    scopes=[
                        scope("10.0.0.0", child_prefix=24),
                    ],
                ),
            )
        )
        assert core.pool() == "local/10.0.1.0/24"


class TestSchemaChanges:
    def test_new_pools_are_refused_until_a_schema_is_read(self, example: Core) -> None:
        example.ipam.refuse_new_pools("schema at $: broken")
        with pytest.raises(Unavailable, match=r"schema at \$: broken"):
            example.pool()
        with pytest.raises(Unavailable, match="broken"):
            example.pool("100.64.5.0/24")

    def test_existing_pools_keep_working_under_an_invalid_schema(self, example: Core) -> None:
        pool = example.pool()
        example.ipam.refuse_new_pools("broken")
        assert example.gateway(pool) == "100.64.0.1/30"
        example.restart_engine("engine-2")
        example.ipam.refuse_new_pools("broken")
        assert example.pool("100.64.0.0/30") == pool

    def test_pools_of_a_removed_scope_keep_working_and_nothing_overlaps_them(
        self, example: Core
    ) -> None:
        pool = example.pool("100.64.0.0/24")
        example.ipam.use_schema(tree_of(scope("100.64.0.0", 22, child_prefix=24)))
        assert example.pool() == "local/100.64.1.0/24"
        assert example.address(pool) == "100.64.0.1/24"
        example.release_pool(pool)
        assert example.pool() == "local/100.64.0.0/24"

    def test_a_pool_wider_than_the_new_scopes_occupies_all_of_them(self, example: Core) -> None:
        example.pool("100.64.0.0/23")
        example.ipam.use_schema(
            tree_of(
                scope("100.64.0.0", 24, child_prefix=26),
                scope("100.64.1.0", 24, child_prefix=26),
                scope("100.64.2.0", 24, child_prefix=26),
            )
        )
        assert example.pool() == "local/100.64.2.0/26"
        example.release_pool("local/100.64.0.0/23")
        assert example.pool() == "local/100.64.0.0/26"


def test_a_pool_that_cannot_be_stored_is_not_given_out(example: Core) -> None:
    example.store.fail = True
    with pytest.raises(StoreFailure):
        example.pool()
    example.store.fail = False
    assert example.pools() == []
    assert example.pool() == "local/100.64.0.0/30"


def test_a_release_that_cannot_be_stored_has_no_effect(example: Core) -> None:
    pool = example.pool()
    address = example.address(pool).partition("/")[0]
    example.store.fail = True
    with pytest.raises(StoreFailure):
        example.release(pool, address)
    with pytest.raises(StoreFailure):
        example.release_pool(pool)
    example.store.fail = False
    assert example.leases(pool) == {address: True}


def test_releasing_a_pool_that_is_not_held_succeeds(example: Core) -> None:
    example.release_pool("local/100.64.0.0/30")
    example.release_pool("")
    assert example.pools() == []


def test_pools_and_references_survive_a_restart(example: Core) -> None:
    first = example.pool(label="shop", tags="ingress")
    example.gateway(first)
    second = example.pool("100.64.5.0/24", ip_range="100.64.5.64/26")
    example.address(second)
    before = dict(example.store.records)
    example.start()
    assert example.store.records == before
    assert example.pools() == sorted([first, second])
    assert example.leases(first) == {"100.64.32.1": True}
    assert example.pool(tags="ingress") == "local/100.64.32.4/30"


def test_default_tags_may_be_an_expression() -> None:
    tree = tree_of(
        scope("10.0.0.0", 16, child_prefix=24, tags=["a"]),
        scope("10.1.0.0", 16, child_prefix=24, tags=["b"]),
    )
    assert Core(tree, Policy(parse_tag_filter("c,!a"))).pool() == "local/10.1.0.0/24"


@pytest.mark.parametrize(
    ("reserved", "length", "block"),
    [
        (["10.9.0.1-10.9.0.14"], 28, "10.9.0.16/28"),
        (["10.9.0.1-10.9.0.14", "10.9.0.17-10.9.0.30"], 28, "10.9.0.32/28"),
        (["10.9.0.1-10.9.0.6", "10.9.0.9-10.9.0.14"], 29, "10.9.0.16/29"),
        (["10.9.0.1-10.9.0.14"], 27, "10.9.0.0/27"),
        (["10.9.0.1-10.9.0.12"], 28, "10.9.0.0/28"),
        (["10.9.0.1-10.9.0.13"], 28, "10.9.0.16/28"),
        (["10.9.0.1-10.9.0.254"], 23, "10.9.0.0/23"),
        (["10.9.0.0-10.9.1.254"], 23, "10.9.2.0/23"),
        (["10.9.0.1-10.9.0.2"], 30, "10.9.0.4/30"),
    ],
)
def test_a_block_in_which_nobody_could_get_an_address_is_not_offered_whatever_its_length(
    reserved: list[str], length: int, block: str
) -> None:
    core = Core(tree_of(scope("10.9.0.0", 16, child_prefix=24, reserved=reserved)))
    pool = core.pool(length=length)
    assert pool == f"local/{block}"
    assert core.gateway(pool)


def test_a_scope_whose_every_block_of_a_length_is_unusable_is_full() -> None:
    ranges = ["10.9.0.1-10.9.0.126", "10.9.0.129-10.9.0.254"]
    core = Core(tree_of(scope("10.9.0.0", 24, child_prefix=24, reserved=ranges)))
    with pytest.raises(Exhausted, match="reserved"):
        core.pool(length=25)
    assert core.pool() == "local/10.9.0.0/24"
