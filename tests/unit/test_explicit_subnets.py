"""Which explicit subnets are given out, and which blocks they take from automatic requests.

See "Carving blocks" in docs/architecture.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyipam.core.selection import Policy
from pyipam.errors import InUse, NotManaged
from pyipam.plan.schema import read_schema
from pyipam.plan.scope_tree import ScopeTree
from tests.support.core import Core, scope, tree_of

EXAMPLE = Path(__file__).parents[2] / "schema.json"


@pytest.fixture
def example() -> Core:
    tree = read_schema(EXAMPLE.read_text())
    assert isinstance(tree, ScopeTree)
    return Core(tree)


def test_an_explicit_subnet_inside_a_scope_is_given_out(example: Core) -> None:
    assert example.pool("100.64.5.0/24") == "local/100.64.5.0/24"


def test_automatic_blocks_avoid_an_explicit_subnet(example: Core) -> None:
    example.pool("100.64.0.0/29")
    assert example.pool() == "local/100.64.0.8/30"


def test_an_explicit_subnet_that_overlaps_a_pool_is_refused_with_the_id_of_the_pool(
    example: Core,
) -> None:
    example.pool("100.64.5.0/24", label="shop")
    with pytest.raises(InUse) as caught:
        example.pool("100.64.5.128/25")
    assert "overlaps pool local/100.64.5.0/24 (id shop)" in str(caught.value)
    assert example.pools() == ["local/100.64.5.0/24"]


def test_an_explicit_subnet_conflicts_only_in_its_own_address_space(example: Core) -> None:
    assert example.pool("100.64.5.0/24", space="global") == "global/100.64.5.0/24"
    assert example.pool("100.64.5.0/24") == "local/100.64.5.0/24"


def test_an_automatic_block_avoids_both_address_spaces(example: Core) -> None:
    example.pool("100.64.0.0/30", space="global")
    example.pool("100.64.0.4/30", space="local")
    assert example.pool() == "local/100.64.0.8/30"
    assert example.pool(space="global") == "global/100.64.0.12/30"


def test_overlapping_subnets_of_both_spaces_are_free_again_once_released(example: Core) -> None:
    example.pool("100.64.0.0/24", space="global")
    example.pool("100.64.0.0/30", space="local")
    example.release_pool("global/100.64.0.0/24")
    assert example.pool() == "local/100.64.0.4/30"
    example.release_pool("local/100.64.0.0/30")
    example.release_pool("local/100.64.0.4/30")
    assert example.pool(length=20) == "local/100.64.0.0/20"


@pytest.mark.parametrize(
    ("subnet", "sentence"),
    [
        ("10.9.0.0/24", "outside every scope of the schema (100.64.0.0/17)"),
        ("fd00::/64", "outside every scope of the schema (fc00:f00f::/32)"),
        ("100.64.0.0/19", "overlaps scope 100.64.0.0/20"),
        ("100.64.0.0/16", "overlaps scope 100.64.0.0/17"),
        ("100.64.96.0/24", "which gives out nothing from its own space (lock_down)"),
    ],
)
def test_an_explicit_subnet_that_no_scope_gives_out_is_refused_with_the_reason(
    example: Core, subnet: str, sentence: str
) -> None:
    with pytest.raises(NotManaged) as caught:
        example.pool(subnet)
    assert sentence in str(caught.value)
    assert example.pools() == []


def test_an_explicit_subnet_must_be_in_a_scope_that_the_tags_select(example: Core) -> None:
    assert example.pool("100.64.32.0/24", tags="ingress") == "local/100.64.32.0/24"
    with pytest.raises(NotManaged, match="'egress' do not select"):
        example.pool("100.64.33.0/24", tags="egress")


def test_unmanaged_subnets_can_be_allowed() -> None:
    tree = tree_of(scope("10.0.0.0", 16, child_prefix=24))
    core = Core(tree, Policy(None, allow_unmanaged=True))
    assert core.pool("192.168.7.0/24") == "local/192.168.7.0/24"
    with pytest.raises(InUse, match="overlaps pool local/192"):
        core.pool("192.168.0.0/16")
    with pytest.raises(NotManaged, match="overlaps scope"):
        core.pool("10.0.0.0/8")


@pytest.mark.parametrize(
    ("subnet", "sentence"),
    [
        ("224.0.1.0/24", "is in 224.0.0.0/3 (multicast and reserved)"),
        ("127.0.0.0/24", "is in 127.0.0.0/8 (loopback)"),
        ("169.254.7.0/24", "is in 169.254.0.0/16 (link-local)"),
        ("0.1.0.0/16", 'is in 0.0.0.0/8 ("this network")'),
        ("128.0.0.0/1", "contains 169.254.0.0/16 (link-local)"),
        ("fe80::/64", "is in fe80::/10 (link-local)"),
        ("ff05::/64", "is in ff00::/8 (multicast)"),
    ],
)
@pytest.mark.parametrize("allow_unmanaged", [True, False])
def test_unmanaged_subnets_are_of_addresses_that_hosts_can_use(
    subnet: str, sentence: str, allow_unmanaged: bool
) -> None:
    policy = Policy(None, allow_unmanaged=allow_unmanaged)
    core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=24)), policy)
    with pytest.raises(NotManaged) as caught:
        core.pool(subnet)
    assert str(caught.value) == (
        f"subnet {subnet} {sentence}, which hosts cannot use; ask for another subnet"
    )
    assert core.pools() == []


@pytest.mark.parametrize(
    ("subnet", "ip_range", "addresses"),
    [
        ("10.2.0.0/24", "", ["10.2.0.1/24", "10.2.0.2/24"]),
        ("10.2.0.64/27", "", ["10.2.0.65/27", "10.2.0.66/27"]),
        ("10.2.1.0/24", "", ["10.2.1.20/24", "10.2.1.21/24"]),
        ("10.2.1.0/28", "", ["10.2.1.1/28", "10.2.1.2/28"]),
        ("10.2.2.0/24", "", ["10.2.2.1/24", "10.2.2.2/24"]),
        ("10.2.2.0/23", "", ["10.2.2.255/23", "10.2.3.0/23"]),
        ("10.2.3.0/24", "", ["10.2.3.1/24", "10.2.3.2/24"]),
        ("10.2.0.0/23", "10.2.0.128/25", ["10.2.0.128/23", "10.2.0.129/23"]),
        ("10.2.4.0/24", "", ["10.2.4.11/24", "10.2.4.12/24"]),
        ("fd00:2::/64", "", ["fd00:2::1/64", "fd00:2::2/64"]),
    ],
)
def test_what_is_reserved_as_a_whole_serves_whoever_asks_for_it_by_name(
    subnet: str, ip_range: str, addresses: list[str]
) -> None:
    core = Core(
        tree_of(
            scope(
                "10.2.0.0",
                16,
                child_prefix=24,
                reserved=[
                    "10.2.0.0/24",
                    "10.2.1.1-10.2.1.19",
                    "10.2.2.1-10.2.2.254",
                    "10.2.3.1-10.2.3.127",
                    "10.2.3.128-10.2.3.254",
                    "10.2.4.0/24",
                    "10.2.4.1-10.2.4.10",
                ],
            ),
            scope("fd00:2::", 32, child_prefix=64, reserved=["fd00:2::/64"]),
        )
    )
    pool = core.pool(subnet, ip_range=ip_range)
    assert [core.gateway(pool), core.address(pool)] == addresses


def test_a_scope_that_is_as_large_as_the_one_around_it_is_listed_once() -> None:
    inner = scope("10.0.0.0", 24, child_prefix=26, tags=["inner"])
    core = Core(
        tree_of(scope("10.0.0.0", 24, child_prefix=26, scopes=[inner]), scope("10.1.0.0", 24))
    )

    with pytest.raises(NotManaged, match=r"available in: 10\.0\.0\.0/24$"):
        core.pool("10.1.0.0/26")


CLAIMED = scope("10.1.0.0", 24, child_prefix=27, node_prefix=26, tags=["a"])
CHOICE = [CLAIMED, scope("10.2.0.0", 24, child_prefix=27, tags=["b"]), scope("10.3.0.0", 24)]


@pytest.mark.parametrize("subnet", ["10.3.0.0/27", "10.2.0.0/23"])
@pytest.mark.parametrize(
    ("wishes", "available"),
    [
        ({}, r"10\.1\.0\.0/24, 10\.2\.0\.0/24"),
        ({"space": "global"}, r"10\.2\.0\.0/24"),
        ({"tags": "b"}, r"10\.2\.0\.0/24"),
        ({"tags": "!b"}, r"10\.1\.0\.0/24"),
    ],
)
def test_a_refusal_names_the_scopes_that_would_give_a_subnet_to_such_a_network(
    subnet: str, wishes: dict[str, Any], available: str
) -> None:
    with pytest.raises(NotManaged, match=rf"of: {available}$|available in: {available}$"):
        Core(tree_of(*CHOICE)).pool(subnet, **wishes)
