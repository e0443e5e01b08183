"""Scopes, and what is free in them."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from pyipam.errors import InvalidRequest, NotHeld
from pyipam.views.scopes import fullness_of_scopes, nearly_full
from tests.support.core import Core, scope, tree_of
from tests.support.viewing import Viewer

PLAN = tree_of(
    scope(
        "10.0.0.0",
        22,
        child_prefix=24,
        tags=["default"],
        propagate_tags=False,
        scopes=[scope("10.0.2.0", 24, child_prefix=26, tags=["web"])],
    ),
    scope("fc00::", 48, child_prefix=64, tags=["default"]),
)


@pytest.fixture
def core() -> Core:
    return Core(PLAN)


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_scopes_come_in_the_order_of_the_schema(core: Core, limit: int) -> None:
    found = [(view.network, view.parent) for view in Viewer(core).scopes(limit)]

    assert found == [
        ("10.0.0.0/22", None),
        ("10.0.2.0/24", "10.0.0.0/22"),
        ("fc00::/48", None),
    ]


def test_a_scope_shows_what_lies_in_it_and_what_comes_next(core: Core) -> None:
    core.pool()
    core.pool(tags="web")
    core.pool("10.0.2.128/27", tags="web")

    outer, web, ipv6 = Viewer(core).scopes()

    assert (outer.pools, outer.blocks, outer.free, outer.first_free) == (1, "4", "2", "10.0.1.0/24")
    assert (web.pools, web.free, web.first_free) == (2, "2", "10.0.2.64/26")
    assert (ipv6.pools, ipv6.free, ipv6.first_free) == (0, "65536", "fc00::/64")


def test_a_scope_shows_its_first_free_block_of_each_length(core: Core) -> None:
    core.pool()
    core.pool("10.0.2.128/27", tags="web")

    outer, web, ipv6 = Viewer(core).scopes()

    # The first /23 would be 10.0.2.0/23, a part of which is the other scope's.
    assert outer.first_free_by_length == ("10.0.1.0/24",)
    assert web.first_free_by_length == ("10.0.2.0/25",)
    assert ipv6.first_free_by_length == ("fc00::/48",)


def test_a_smaller_block_may_come_first_in_a_scope() -> None:
    core = Core(tree_of(scope("10.0.0.0", 16, child_prefix=24)))
    core.pool()

    (view,) = Viewer(core).scopes()

    assert view.first_free_by_length == (
        *("10.0.128.0/17", "10.0.64.0/18", "10.0.32.0/19", "10.0.16.0/20"),
        *("10.0.8.0/21", "10.0.4.0/22", "10.0.2.0/23", "10.0.1.0/24"),
    )


def test_a_scope_that_gives_out_nothing_has_no_free_block() -> None:
    (view,) = Viewer(Core(tree_of(scope("10.0.0.0", 16)))).scopes()

    assert view.first_free_by_length == ()


def test_scopes_can_be_asked_for_by_tag_and_by_subnet(core: Core) -> None:
    viewer = Viewer(core)

    assert [view.network for view in viewer.scopes(tag="web")] == ["10.0.2.0/24"]
    assert [view.network for view in viewer.scopes(subnet="fc00::/48")] == ["fc00::/48"]


@pytest.mark.parametrize("limit", [1, 500])
def test_free_blocks_are_the_largest_ones_and_say_how_many_they_hold(
    core: Core, limit: int
) -> None:
    core.pool("10.0.0.64/26")
    viewer = Viewer(core)

    assert viewer.free_blocks("10.0.0.0/22", limit=limit) == ["10.0.1.0/24: 1", "10.0.3.0/24: 1"]
    assert viewer.free_blocks("10.0.0.0/22", 26, limit) == [
        "10.0.0.0/26: 1",
        "10.0.0.128/25: 2",
        "10.0.1.0/24: 4",
        "10.0.3.0/24: 4",
    ]


@pytest.mark.parametrize("keys", [{}, {"child_prefix": 24, "lock_down": True}])
def test_a_scope_that_gives_out_nothing_has_no_free_blocks(keys: dict[str, Any]) -> None:
    assert Viewer(Core(tree_of(scope("10.0.0.0", 16, **keys)))).free_blocks("10.0.0.0/16") == []


def test_free_blocks_of_no_scope_or_of_a_length_that_cannot_be_are_refused(core: Core) -> None:
    with pytest.raises(NotHeld, match=r"no scope 10\.9\.0\.0/16"):
        Viewer(core).free_blocks("10.9.0.0/16")
    with pytest.raises(InvalidRequest, match="'nonsense' is not a subnet"):
        Viewer(core).free_blocks("nonsense")
    with pytest.raises(InvalidRequest, match="choose one from 22 to 32"):
        Viewer(core).free_blocks("10.0.0.0/22", 16)


def test_a_scope_that_left_the_schema_is_found_as_long_as_networks_use_it(core: Core) -> None:
    pool = core.pool(tags="web")
    core.ipam.use_schema(tree_of(scope("10.0.0.0", 22, child_prefix=24)))

    assert Viewer(core).census().left == {"10.0.2.0/24": 1}
    core.release_pool(pool)
    assert Viewer(core).census().left == {}


@pytest.mark.parametrize(
    "after",
    [
        # Enlarged, made smaller, moved below another one, and removed from one that covers it.
        [scope("10.0.0.0", 16, child_prefix=24, tags=["web"])],
        [scope("10.0.2.0", 25, child_prefix=26, tags=["web"])],
        [scope("10.0.0.0", 16, scopes=[scope("10.0.2.0", 23, child_prefix=26, tags=["web"])])],
        [scope("10.0.0.0", 22, child_prefix=24, tags=["web"])],
    ],
)
def test_a_network_that_its_tags_still_give_its_subnet_has_no_scope_that_left(
    core: Core, after: list[dict[str, Any]]
) -> None:
    core.pool(tags="web")

    core.ipam.use_schema(tree_of(*after))

    assert Viewer(core).census().left == {}


@pytest.mark.parametrize(
    "after",
    [
        [scope("10.1.0.0", 16, child_prefix=24, tags=["web"])],
        [scope("10.0.0.0", 16, tags=["web"])],
        [scope("10.0.0.0", 16, child_prefix=24, tags=["web"], lock_down=True)],
        [scope("10.0.0.0", 16, child_prefix=24, tags=["db"])],
    ],
)
def test_a_network_whose_subnet_no_scope_would_give_by_now_has_one_that_left(
    core: Core, after: list[dict[str, Any]]
) -> None:
    core.pool(tags="web")

    core.ipam.use_schema(tree_of(*after))

    assert Viewer(core).census().left == {"10.0.2.0/24": 1}


def test_a_census_holds_until_something_changes(core: Core) -> None:
    viewer = Viewer(core)
    pool = core.pool()
    core.gateway(pool)
    before = viewer.census()
    core.address(pool)

    assert viewer.census() is before
    core.pool()
    assert viewer.census() is not before


def test_a_schema_that_is_edited_meanwhile_is_shown_as_it_is_then(core: Core) -> None:
    edited = tree_of(scope("10.0.0.0", 22, child_prefix=26), scope("10.9.0.0", 16))
    viewer = Viewer(core)

    def edit(_self: Viewer) -> None:
        core.ipam.use_schema(edited)

    with mock.patch.object(Viewer, "pause", edit):
        assert [view.network for view in viewer.scopes()] == ["10.0.0.0/22", "10.9.0.0/16"]


def test_what_the_scopes_below_take_does_not_count_as_used() -> None:
    below = [scope("10.0.0.0", 23, child_prefix=24), scope("10.0.2.0", 25), scope("10.0.2.128", 25)]
    core = Core(tree_of(scope("10.0.0.0", 22, child_prefix=24, scopes=below)))

    outer, inner = fullness_of_scopes(core.ipam, lambda: None)

    assert (outer.blocks, outer.free) == (1, 1)
    assert (inner.blocks, inner.free) == (2, 2)
    assert nearly_full([outer, inner]) == []


def test_a_scope_that_is_there_for_one_network_is_not_nearly_full_when_it_has_it() -> None:
    lan = scope("192.168.34.0", 24, child_prefix=24, tags=["lan"])
    core = Core(tree_of(lan, scope("10.0.0.0", 23, child_prefix=24)))
    for tags in ("lan", "", ""):
        core.pool(tags=tags)

    full = nearly_full(fullness_of_scopes(core.ipam, lambda: None))

    assert [view.network for view in full] == ["10.0.0.0/23"]


def test_what_a_route_of_the_host_covers_is_not_free_from_then_on(core: Core) -> None:
    core.routes.add("10.0.0.0/24", "wg0")

    outer, *_ = Viewer(core).scopes()

    assert (outer.free, outer.first_free) == ("2", "10.0.1.0/24")


def test_a_scope_is_as_full_as_the_routes_of_the_host_are_now(core: Core) -> None:
    core.routes.add("10.0.0.0/24", "wg0")

    assert fullness_of_scopes(core.ipam, lambda: None)[0].free == 2


def test_a_free_block_is_not_listed_from_the_time_on_at_which_a_route_of_the_host_covers_it(
    core: Core,
) -> None:
    core.routes.add("10.0.0.0/24", "wg0")

    assert Viewer(core).free_blocks("10.0.0.0/22") == ["10.0.1.0/24: 1", "10.0.3.0/24: 1"]
