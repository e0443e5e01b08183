"""Which address a container gets ("Giving out addresses" in docs/architecture.md)."""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse, InvalidRequest, NotHeld, StoreFailure
from tests.support.core import Core, scope, tree_of


@pytest.fixture
def core() -> Core:
    return Core(
        tree_of(
            scope("10.0.0.0", 16, child_prefix=24, reserved=["10.0.9.1", "10.0.9.3-10.0.9.5"]),
            scope("fd00::", 48, child_prefix=64),
        )
    )


@pytest.mark.parametrize(
    ("subnet", "addresses"),
    [
        ("10.0.1.0/30", ["10.0.1.1/30", "10.0.1.2/30"]),
        ("10.0.1.0/31", ["10.0.1.0/31", "10.0.1.1/31"]),
        ("10.0.1.7/32", ["10.0.1.7/32"]),
        ("fd00::/126", ["fd00::1/126", "fd00::2/126", "fd00::3/126"]),
        ("fd00::/127", ["fd00::/127", "fd00::1/127"]),
        ("fd00::5/128", ["fd00::5/128"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pool_gives_out_exactly_its_usable_addresses_lowest_first(
    core: Core, subnet: str, addresses: list[str]
) -> None:
    pool = core.pool(subnet)
    assert [core.address(pool) for _ in addresses] == addresses
    with pytest.raises(Exhausted, match=r"has no free address: (all|the one)"):
        core.address(pool)


def test_the_reply_has_the_pool_s_prefix_length(core: Core) -> None:
    assert core.gateway(core.pool()) == "10.0.0.1/24"


def test_a_released_address_is_the_next_to_be_given_out(core: Core) -> None:
    pool = core.pool()
    for _ in range(4):
        core.address(pool)
    core.release(pool, "10.0.0.2")
    assert core.address(pool) == "10.0.0.2/24"
    assert core.address(pool) == "10.0.0.5/24"


def test_a_requested_address_is_given_out(core: Core) -> None:
    pool = core.pool()
    assert core.address(pool, "10.0.0.77") == "10.0.0.77/24"
    assert core.address(pool, "10.0.0.1") == "10.0.0.1/24"
    assert core.address(pool) == "10.0.0.2/24"


def test_automatic_addresses_skip_a_requested_one(core: Core) -> None:
    pool = core.pool()
    core.address(pool, "10.0.0.2")
    assert [core.address(pool) for _ in range(2)] == ["10.0.0.1/24", "10.0.0.3/24"]


def test_an_address_in_use_is_refused_with_the_time_of_its_lease(core: Core) -> None:
    pool = core.pool()
    core.address(pool, "10.0.0.77")
    with pytest.raises(InUse, match=r"10\.0\.0\.77 .* has been in use since 2023-11-14T22:13:20"):
        core.address(pool, "10.0.0.77")


_IT_LEAKED = "has leaked: free it with `pyipam reconcile`, or restart Docker"


def test_the_refusal_of_an_address_says_what_to_do_if_its_release_was_missed(core: Core) -> None:
    pool = core.pool()
    core.address(pool, "10.0.0.77")
    with pytest.raises(InUse) as caught:
        core.address(pool, "10.0.0.77")
    assert f"If no container has it any more, it {_IT_LEAKED}" in str(caught.value)


def test_a_gateway_that_is_asked_for_is_not_said_to_have_leaked(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    with pytest.raises(InUse) as caught:
        core.address(pool, "10.0.0.1")
    assert "leaked" not in str(caught.value)


def test_the_refusal_of_a_full_pool_says_what_to_do_if_releases_were_missed(core: Core) -> None:
    pool = core.pool("10.0.1.7/32")
    core.address(pool)
    with pytest.raises(Exhausted) as caught:
        core.address(pool)
    assert f"What no container has any more {_IT_LEAKED}" in str(caught.value)


@pytest.mark.parametrize(
    ("subnet", "address", "sentence"),
    [
        ("10.0.0.0/24", "10.0.1.1", "outside the pool's subnet 10.0.0.0/24"),
        ("10.0.0.0/24", "10.0.0.0", "the network address of 10.0.0.0/24"),
        ("10.0.0.0/24", "10.0.0.255", "the broadcast address of 10.0.0.0/24"),
        ("fd00::/64", "fd00::", "the subnet-router anycast address of fd00::/64"),
        ("fd00::/64", "10.0.0.1", "outside the pool's subnet fd00::/64"),
    ],
)
def test_an_address_that_no_host_may_have_is_refused_with_the_reason(
    core: Core, subnet: str, address: str, sentence: str
) -> None:
    pool = core.pool(subnet)
    with pytest.raises(InvalidRequest) as caught:
        core.address(pool, address)
    assert sentence in str(caught.value)
    assert core.leases(pool) == {}


def test_the_last_address_of_an_ipv6_pool_is_usable(core: Core) -> None:
    pool = core.pool("fd00::/64")
    assert core.address(pool, "fd00::ffff:ffff:ffff:ffff") == "fd00::ffff:ffff:ffff:ffff/64"


def test_serial_addresses_follow_the_last_one_and_wrap_around(core: Core) -> None:
    pool = core.pool("10.0.1.0/29")
    assert core.gateway(pool) == "10.0.1.1/29"
    assert [core.address(pool, serial=True) for _ in range(3)] == [
        "10.0.1.2/29",
        "10.0.1.3/29",
        "10.0.1.4/29",
    ]
    core.release(pool, "10.0.1.2")
    assert [core.address(pool, serial=True) for _ in range(3)] == [
        "10.0.1.5/29",
        "10.0.1.6/29",
        "10.0.1.2/29",
    ]


def test_serial_addresses_continue_after_a_restart(core: Core) -> None:
    pool = core.pool("10.0.1.0/29")
    for _ in range(3):
        core.address(pool, serial=True)
        core.time.pass_seconds(1)
    core.release(pool, "10.0.1.1")
    core.start()
    assert core.address(pool, serial=True) == "10.0.1.4/29"


class TestIpRange:
    def test_automatic_addresses_come_from_it_and_all_of_it(self, core: Core) -> None:
        pool = core.pool("10.0.5.0/24", ip_range="10.0.5.64/30")
        assert [core.address(pool) for _ in range(4)] == [
            "10.0.5.64/24",
            "10.0.5.65/24",
            "10.0.5.66/24",
            "10.0.5.67/24",
        ]
        with pytest.raises(Exhausted):
            core.address(pool)

    def test_gateway_and_others_may_lie_outside_of_it(self, core: Core) -> None:
        pool = core.pool("10.0.5.0/24", ip_range="10.0.5.64/26")
        assert pool == "local/10.0.5.0/24/10.0.5.64/26"
        assert core.gateway(pool, "10.0.5.1") == "10.0.5.1/24"
        assert core.address(pool, "10.0.5.9") == "10.0.5.9/24"
        assert core.address(pool) == "10.0.5.64/24"

    def test_the_network_address_of_the_subnet_stays_unusable(self, core: Core) -> None:
        pool = core.pool("10.0.5.0/24", ip_range="10.0.5.0/30")
        assert [core.address(pool) for _ in range(3)] == [
            "10.0.5.1/24",
            "10.0.5.2/24",
            "10.0.5.3/24",
        ]

    def test_pools_that_differ_only_in_it_never_share_an_address(self, core: Core) -> None:
        whole = core.pool("10.0.5.0/24", shared=True)
        part = core.pool("10.0.5.0/24", ip_range="10.0.5.0/29", shared=True)
        given = [core.address(whole), core.address(part), core.address(whole)]
        assert given == ["10.0.5.1/24", "10.0.5.2/24", "10.0.5.3/24"]

    def test_releasing_one_of_them_leaves_the_other_s_leases(self, core: Core) -> None:
        whole = core.pool("10.0.5.0/24", shared=True)
        part = core.pool("10.0.5.0/24", ip_range="10.0.5.0/29", shared=True)
        core.address(whole)
        core.address(part)
        core.release_pool(part)
        assert core.leases(whole) == {"10.0.5.1": True}
        assert core.address(whole) == "10.0.5.2/24"


class TestReserved:
    def test_automatic_addresses_pass_over_reserved_ones(self, core: Core) -> None:
        pool = core.pool("10.0.9.0/24")
        assert [core.address(pool) for _ in range(2)] == ["10.0.9.2/24", "10.0.9.6/24"]

    def test_the_gateway_passes_over_them_too(self, core: Core) -> None:
        assert core.gateway(core.pool("10.0.9.0/24")) == "10.0.9.2/24"

    def test_a_reserved_address_can_be_asked_for(self, core: Core) -> None:
        pool = core.pool("10.0.9.0/24")
        assert core.gateway(pool, "10.0.9.1") == "10.0.9.1/24"
        core.release(pool, "10.0.9.1")
        assert core.address(pool) == "10.0.9.2/24"

    def test_serial_addresses_pass_over_them(self, core: Core) -> None:
        pool = core.pool("10.0.9.0/24")
        core.address(pool, "10.0.9.2")
        assert core.address(pool, serial=True) == "10.0.9.6/24"

    def test_a_schema_that_reserves_more_counts_for_pools_that_exist(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24")
        core.address(pool)
        core.ipam.use_schema(tree_of(scope("10.0.0.0", 16, child_prefix=24, reserved=["10.0.1.2"])))
        assert core.address(pool) == "10.0.1.3/24"


@pytest.mark.parametrize("pool_id", ["", "local/10.0.0.0/24", "garbage", "local/10.0.0.0/24/x/y"])
def test_an_address_of_a_pool_that_is_not_held_is_refused(core: Core, pool_id: str) -> None:
    with pytest.raises(NotHeld, match="is not held by pyipam"):
        core.address(pool_id)


def test_releasing_an_address_that_is_not_held_succeeds(core: Core) -> None:
    pool = core.pool()
    core.release(pool, "10.0.0.9")
    core.release("local/10.0.77.0/24", "10.0.77.1")
    core.release("", "10.0.77.1")
    assert core.leases(pool) == {}


def test_an_address_of_the_other_family_releases_nothing(core: Core) -> None:
    pool = core.pool()
    core.address(pool, "10.0.0.9")
    core.release(pool, "::a00:9")
    assert core.leases(pool) == {"10.0.0.9": True}


@pytest.mark.parametrize("pool_id", ["local/10.0.5.0/24/10.0.5.0/29", "local/10.0.5.0/24/x"])
def test_an_address_is_released_only_through_the_pool_that_it_is_leased_in(
    core: Core, pool_id: str
) -> None:
    pool = core.pool("10.0.5.0/24", shared=True)
    core.pool("10.0.5.0/24", ip_range="10.0.5.0/29", shared=True)
    core.address(pool, "10.0.5.1")
    core.release(pool_id, "10.0.5.1")
    assert core.leases(pool) == {"10.0.5.1": True}


def test_an_address_claimed_through_another_ip_range_is_leased_there_afterwards(
    core: Core,
) -> None:
    whole = core.pool("10.0.5.0/24", shared=True)
    part = core.pool("10.0.5.0/24", ip_range="10.0.5.0/29", shared=True)
    core.address(whole, "10.0.5.1")
    core.restart_engine("engine-2")
    core.pool("10.0.5.0/24", shared=True)
    core.pool("10.0.5.0/24", ip_range="10.0.5.0/29", shared=True)
    assert core.address(part, "10.0.5.1") == "10.0.5.1/24"
    core.release_pool(whole)
    assert core.leases(part) == {"10.0.5.1": True}


def test_an_address_that_cannot_be_stored_is_not_given_out(core: Core) -> None:
    pool = core.pool()
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.address(pool)
    core.store.fail = False
    assert core.leases(pool) == {}
    assert core.address(pool) == "10.0.0.1/24"


def test_freeing_a_pool_frees_all_its_leases(core: Core) -> None:
    pool = core.pool()
    core.gateway(pool)
    core.address(pool)
    core.release_pool(pool)
    assert core.pools() == []
    assert core.pool() == pool
    assert core.gateway(pool) == "10.0.0.1/24"
