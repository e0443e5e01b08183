"""Automatic blocks and the routes of the host ("Routes of the host" in docs/architecture.md)."""

from __future__ import annotations

import re

import pytest

from pyipam.errors import Exhausted, StoreFailure
from tests.support.core import Core, replay, scope, tree_of


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.20.0.0", 24, child_prefix=28)))


def test_an_automatic_block_is_the_lowest_that_no_route_overlaps(core: Core) -> None:
    core.routes.add("10.20.0.0/26")

    assert core.pool() == "local/10.20.0.64/28"


def test_a_route_to_a_single_address_keeps_its_block_from_networks(core: Core) -> None:
    core.routes.add("10.20.0.5/32")

    assert core.pool() == "local/10.20.0.16/28"


def test_a_block_of_another_length_keeps_off_routes_too(core: Core) -> None:
    core.routes.add("10.20.0.130/31")

    assert core.pool(length=25) == "local/10.20.0.0/25"
    with pytest.raises(Exhausted):
        core.pool(length=25)


def test_a_route_that_goes_gives_its_blocks_back(core: Core) -> None:
    core.routes.add("10.20.0.0/16")
    with pytest.raises(Exhausted):
        core.pool()
    core.routes.remove("10.20.0.0/16")

    assert core.pool() == "local/10.20.0.0/28"


def test_a_route_that_two_tables_have_counts_until_both_are_without_it(core: Core) -> None:
    core.routes.add("10.20.0.0/28")
    core.routes.add("10.20.0.0/28")
    assert core.pool() == "local/10.20.0.16/28"
    core.routes.remove("10.20.0.0/28")
    assert core.pool() == "local/10.20.0.32/28"
    core.routes.remove("10.20.0.0/28")

    assert core.pool() == "local/10.20.0.0/28"


def test_ipv6_blocks_keep_off_the_routes_of_the_host() -> None:
    core = Core(tree_of(scope("2001:db8:1::", 48, child_prefix=64)))
    core.routes.add("2001:db8:1::/64", "eth0")

    assert core.pool(version=6) == "local/2001:db8:1:1::/64"


def test_networks_of_a_swarm_keep_off_the_routes_of_the_leader(core: Core) -> None:
    core.routes.add("10.20.0.0/25")

    assert core.pool(space="global") == "global/10.20.0.128/28"


def test_a_refusal_names_the_route_that_covers_the_scope_and_its_interface(core: Core) -> None:
    core.routes.add("10.20.0.0/16")

    message = r"10\.20\.0\.0/24 lies on the route 10\.20\.0\.0/16 dev wg0 of this host"
    with pytest.raises(Exhausted, match=message):
        core.pool()


def test_a_refusal_names_the_routes_that_leave_too_little_of_the_scope(core: Core) -> None:
    core.routes.add("10.20.0.0/25")
    core.routes.add("10.20.0.192/26", "tun1")
    pools = [core.pool() for _ in range(4)]

    assert pools[-1] == "local/10.20.0.176/28"
    shown = re.escape("10.20.0.0/25 dev wg0, 10.20.0.192/26 dev tun1)")
    with pytest.raises(Exhausted, match=f"counting those on routes of this host: {shown}") as error:
        core.pool()
    assert "remove networks that nobody needs" in str(error.value)


def test_another_scope_serves_what_a_route_takes_from_the_first_one() -> None:
    core = Core(
        tree_of(
            scope("10.20.0.0", 24, child_prefix=28),
            scope("10.21.0.0", 24, child_prefix=28),
        )
    )
    core.routes.add("10.20.0.0/24")

    assert core.pool() == "local/10.21.0.0/28"


def test_an_explicit_subnet_may_lie_on_a_route(core: Core) -> None:
    core.routes.add("10.20.0.0/24")

    assert core.pool("10.20.0.0/28") == "local/10.20.0.0/28"


def test_a_network_is_replayed_under_its_own_route_and_under_any_other(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.routes.add("10.20.0.0/28", "br-0123456789ab")
    core.routes.add("10.20.0.0/16")
    core.restart_engine("engine-2")

    replay(core, pool, "10.20.0.1")
    assert core.pools() == [pool]


def test_the_route_of_a_network_is_not_named_as_a_reason() -> None:
    core = Core(tree_of(scope("10.20.0.0", 28, child_prefix=28)))
    core.pool()
    core.routes.add("10.20.0.0/28", "br-0123456789ab")

    with pytest.raises(Exhausted, match=r"is full \(its one /28 block is taken"):
        core.pool()
    assert core.ipam.routes() == []


def test_a_block_is_free_once_both_its_network_and_its_route_are_gone(core: Core) -> None:
    pool = core.pool()
    core.routes.add("10.20.0.0/28", "br-0123456789ab")
    assert core.pool() == "local/10.20.0.16/28"
    core.release_pool(pool)
    assert core.pool() == "local/10.20.0.32/28"
    core.routes.remove("10.20.0.0/28", "br-0123456789ab")

    assert core.pool() == "local/10.20.0.0/28"


def test_a_route_over_living_networks_leaves_everything_as_it_was_when_it_goes(core: Core) -> None:
    first, second = core.pool(), core.pool()
    core.routes.add("10.20.0.0/16")
    with pytest.raises(Exhausted):
        core.pool()
    core.release_pool(first)
    with pytest.raises(Exhausted):
        core.pool()
    core.routes.remove("10.20.0.0/16")

    assert core.pool() == first
    assert core.pool() == "local/10.20.0.32/28"
    core.release_pool(second)
    assert core.pool() == second


def test_routes_count_after_the_schema_has_changed(core: Core) -> None:
    core.routes.add("10.20.0.0/25")
    core.pool()
    core.ipam.use_schema(tree_of(scope("10.20.0.0", 16, child_prefix=26)))

    assert core.pool() == "local/10.20.0.192/26"


def test_only_the_space_in_which_blocks_can_be_drawn_is_watched() -> None:
    drawn = scope("10.20.0.0", 16, child_prefix=24, lock_down=True, scopes=[scope("10.20.0.0")])
    drawn["scopes"][0]["child_prefix"] = 28
    core = Core(tree_of(drawn, scope("10.30.0.0", 16), scope("10.40.0.0", 16, child_prefix=24)))

    assert list(map(str, core.routes.watched)) == ["10.20.0.0/16", "10.40.0.0/16"]
    core.ipam.use_schema(tree_of(scope("10.50.0.0", 16, child_prefix=24)))
    assert list(map(str, core.routes.watched)) == ["10.50.0.0/16"]


def test_a_view_lists_each_route_with_the_scopes_that_it_covers_a_part_of() -> None:
    core = Core(
        tree_of(
            scope(
                "10.20.0.0",
                16,
                child_prefix=24,
                lock_down=True,
                scopes=[scope("10.20.0.0", child_prefix=28), scope("10.20.1.0", child_prefix=28)],
            )
        )
    )
    core.routes.add("10.20.0.0/23")
    core.routes.add("10.20.1.16/28", "eth1")

    assert [(str(route), str(where)) for route, where in core.ipam.routes()] == [
        ("10.20.0.0/23 dev wg0", "10.20.0.0/24"),
        ("10.20.0.0/23 dev wg0", "10.20.1.0/24"),
        ("10.20.1.16/28 dev eth1", "10.20.1.0/24"),
    ]


def test_a_failed_commit_forgets_no_route(core: Core) -> None:
    core.routes.add("10.20.0.0/25")
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.pool()
    core.store.fail = False

    assert core.pool() == "local/10.20.0.128/28"


def test_an_unclaimed_pool_whose_route_is_still_there_is_not_given_out_again() -> None:
    core = Core(tree_of(scope("10.20.0.0", 27, child_prefix=28)))
    lives, leaks = core.pool(), core.pool()
    for pool in (lives, leaks):
        core.gateway(pool)
    core.routes.add("10.20.0.16/28", "br-0123456789ab")
    core.restart_engine("engine-2")
    replay(core, lives, "10.20.0.1")

    with pytest.raises(Exhausted):
        core.pool()
    core.routes.remove("10.20.0.16/28", "br-0123456789ab")
    assert core.pool() == leaks
