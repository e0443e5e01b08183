"""Which of the empty aggregates of a scope stays with its node: the oldest that can serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.unit.aggregates import aggregates, core_with, plan_with, resting

IPV6: dict[str, Any] = {
    "network": "fd00:10::",
    "prefix": 32,
    "node_prefix": 48,
    "child_prefix": 64,
    "reserved": ["fd00:10::/48"],
}


def create_and_remove(core: Core, **wishes: Any) -> list[list[str]]:
    """Create a network and remove it, a few times; the aggregates that are in use after each."""
    found = []
    for _ in range(3):
        core.release_pool(core.pool(**wishes))
        core.time.pass_seconds(1)
        found.append(aggregates(core))
    return found


def empty_aggregate(core: Core, subnet: str, **wishes: Any) -> None:
    """Have an aggregate in which nothing is left, around this subnet."""
    core.release_pool(core.pool(subnet, **wishes))
    core.time.pass_seconds(1)


def stays(core: Core, kept: Sequence[str], **wishes: Any) -> None:
    assert create_and_remove(core, **wishes) == [list(kept)] * 3


def test_an_older_aggregate_that_is_reserved_as_a_whole_gives_way() -> None:
    core = core_with(reserved=["10.1.16.0/20"])
    empty_aggregate(core, "10.1.16.0/22")

    stays(core, ["10.1.0.0/20"])
    assert resting(core) == ["10.1.16.0/20"]


def test_so_does_one_of_an_ipv6_scope() -> None:
    core = Core(tree_of(IPV6))
    empty_aggregate(core, "fd00:10::/64")

    stays(core, ["fd00:10:1::/48"], version=6)
    assert resting(core) == ["fd00:10::/48"]


def test_one_of_which_the_blocks_have_no_room_gives_way() -> None:
    core = core_with(reserved=["10.1.0.0/21", "10.1.8.0-10.1.15.253"])
    empty_aggregate(core, "10.1.0.0/22")

    stays(core, ["10.1.16.0/20"])


def test_one_that_became_too_small_gives_way() -> None:
    core = core_with(node_prefix=24, child_prefix=26)
    empty_aggregate(core, "10.1.0.0/26")
    core.ipam.use_schema(plan_with())

    stays(core, ["10.1.128.0/20"])


def test_one_that_a_scope_below_has_taken_gives_way() -> None:
    core = core_with()
    empty_aggregate(core, "10.1.0.0/22")
    below = [scope(start, 21, child_prefix=24) for start in ("10.1.0.0", "10.1.8.0")]
    core.ipam.use_schema(plan_with(scopes=below, tags=["above"], propagate_tags=False))
    empty_aggregate(core, "10.1.16.0/22")

    stays(core, ["10.1.16.0/20"], tags="above")


def test_one_on_a_route_of_the_host_gives_way() -> None:
    core = core_with()
    empty_aggregate(core, "10.1.0.0/22")
    core.routes.add("10.1.0.0/20")

    stays(core, ["10.1.16.0/20"])


def test_a_route_that_has_gone_by_the_end_of_a_network_counts_no_more() -> None:
    core = core_with()
    empty_aggregate(core, "10.1.0.0/22")
    core.routes.add("10.1.0.0/20")
    pool = core.pool()
    core.routes.remove("10.1.0.0/20")

    core.release_pool(pool)

    assert aggregates(core) == ["10.1.0.0/20"]


def test_one_that_has_no_room_for_a_network_as_large_as_the_one_that_ended_gives_way() -> None:
    core = core_with(node_prefix=21)
    empty_aggregate(core, "10.1.0.0/22")
    core.ipam.use_schema(plan_with())

    stays(core, ["10.1.128.0/20"], length=21)


def test_the_size_of_networks_that_no_aggregate_has_room_for_does_not_count() -> None:
    core = core_with(reserved=["10.1.16.0/20"], node_prefix=21)
    empty_aggregate(core, "10.1.0.0/22")
    core.ipam.use_schema(plan_with(reserved=["10.1.16.0/20"]))

    empty_aggregate(core, "10.1.16.0/21")

    assert aggregates(core) == ["10.1.0.0/21"]


def test_what_rests_in_an_aggregate_does_not_keep_it_from_staying() -> None:
    core = core_with(reuse_delay=600, reserved=["10.1.4.0-10.1.15.255"])
    pool = core.pool()
    core.gateway(pool)
    core.release_pool(pool)
    core.time.pass_seconds(1)
    second = core.pool()
    assert aggregates(core) == ["10.1.0.0/20", "10.1.16.0/20"]

    core.release_pool(second)

    assert aggregates(core) == ["10.1.0.0/20"]


def test_where_none_can_serve_the_oldest_stays() -> None:
    core = core_with(reserved=["10.1.0.0/18"])
    for subnet in ("10.1.16.0/22", "10.1.32.0/22", "10.1.0.0/22"):
        empty_aggregate(core, subnet)

    assert aggregates(core) == ["10.1.16.0/20"]


def test_it_is_the_same_after_a_restart_beside_other_nodes() -> None:
    plan = SharedPlan()
    tree = plan_with(reserved=["10.1.16.0/20"])
    h1, h2 = node(plan, "h1", tree), node(plan, "h2", tree)
    h2.pool()
    empty_aggregate(h1, "10.1.16.0/22")
    h1.start()

    stays(h1, ["10.1.128.0/20"])
