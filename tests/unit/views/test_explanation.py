"""Whoever asks about an address is told all that is known of it, also when nobody has it."""

from __future__ import annotations

import pytest

from tests.support.core import Core, replay
from tests.support.viewing import Viewer
from tests.unit.views.plans import PLAN


@pytest.fixture
def core() -> Core:
    return Core(PLAN)


def test_an_address_in_use_names_its_lease_pool_scope_and_age(core: Core) -> None:
    pool = core.pool(label="shop")
    core.gateway(pool)
    core.address(pool)

    found = Viewer(core).explain("10.0.0.2")

    assert found.state == "in use"
    assert found.sentences == (
        "10.0.0.2 has been in use since 2023-11-14T22:13:20Z by a container",
        "it lies in pool local/10.0.0.0/24 (shop), which has been held since 2023-11-14T22:13:20Z",
        "its scope is 10.0.0.0/16 (tags: default)",
    )
    assert [lease.address for lease in found.leases] == ["10.0.0.2"]
    assert [view.id for view in found.pools] == [pool]
    assert found.scopes == ("10.0.0.0/16",)
    assert found.scope is not None
    assert found.scope.pools == 1


def test_a_gateway_is_called_one(core: Core) -> None:
    core.gateway(core.pool(version=6))

    assert "as a gateway" in Viewer(core).explain("fc00::1").sentences[0]


def test_an_address_that_nobody_has_is_free_in_a_pool_and_in_a_scope(core: Core) -> None:
    core.pool()

    assert Viewer(core).explain("10.0.0.9").state == "free"
    assert Viewer(core).explain("10.0.55.9").state == "free"
    assert Viewer(core).explain("10.0.55.9").pools == ()


def test_the_scopes_around_it_are_named_from_the_largest_down(core: Core) -> None:
    assert Viewer(core).explain("10.0.128.7").scopes == ("10.0.0.0/16", "10.0.128.0/20")


def test_a_network_address_and_a_broadcast_address_are_not_usable(core: Core) -> None:
    core.pool()

    assert Viewer(core).explain("10.0.0.0").state == "not usable"
    assert Viewer(core).explain("10.0.0.255").state == "not usable"


def test_a_reserved_address_names_the_entry_and_the_scope_that_has_it(core: Core) -> None:
    found = Viewer(core).explain("10.0.0.105")

    assert found.state == "reserved"
    assert "the schema reserves 10.0.0.100-10.0.0.110 (scope 10.0.0.0/16)" in found.sentences


def test_an_address_outside_of_everything_says_so(core: Core) -> None:
    found = Viewer(core).explain("192.0.2.1")

    assert (found.state, found.scope) == ("outside", None)
    assert found.sentences == ("192.0.2.1 is outside every scope of the schema and every pool",)


def test_what_rests_says_until_when(core: Core) -> None:
    pool = core.pool(tags="web")
    core.address(pool)
    core.release(pool, "10.0.128.1")

    found = Viewer(core).explain("10.0.128.1")

    assert found.state == "resting"
    assert found.rests_until == core.time.wall + 60
    assert "rests until 2023-11-14T22:14:20Z (reuse_delay)" in found.sentences[0]


def test_what_was_asked_for_by_name_is_kept_and_said_to_be(core: Core) -> None:
    pool = core.pool()
    core.address(pool, "10.0.0.9")
    core.release(pool, "10.0.0.9")

    found = Viewer(core).explain("10.0.0.9")

    assert found.state == "held back"
    assert "kept for whoever asks for it by name" in found.sentences[0]


def test_what_leaked_is_called_unclaimed(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.address(pool)
    core.restart_engine("engine-2")
    replay(core, pool, "10.0.0.1")

    assert Viewer(core).explain("10.0.0.1").state == "in use"
    assert Viewer(core).explain("10.0.0.2").state == "unclaimed"


def test_a_route_of_the_host_over_it_is_named(core: Core) -> None:
    core.routes.add("10.0.32.0/20", "wg0")

    found = Viewer(core).explain("10.0.33.7")

    assert found.route is not None
    assert (found.route.route, found.route.interface) == ("10.0.32.0/20", "wg0")
    assert "by its route 10.0.32.0/20 dev wg0" in found.sentences[-1]
    assert Viewer(core).explain("10.0.48.7").route is None


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_free_addresses_are_ranges_between_what_is_leased_and_reserved(
    core: Core, limit: int
) -> None:
    pool = core.pool()
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.50", "10.0.0.254"):
        core.address(pool, address)

    assert Viewer(core).free_addresses(pool, limit) == [
        "10.0.0.3-10.0.0.49: 47",
        "10.0.0.51-10.0.0.99: 49",
        "10.0.0.111-10.0.0.253: 143",
    ]


def test_a_pool_of_which_nothing_is_leased_is_one_range(core: Core) -> None:
    pool = core.pool(version=6)

    assert Viewer(core).free_addresses(pool) == [f"fc00::1-fc00::ffff:ffff:ffff:ffff: {2**64 - 1}"]
