"""What the read-only views may be asked, and what they say to anything else."""

from __future__ import annotations

import pytest

from tests.support.dockerd import Driver, create_network, start_container

pytestmark = pytest.mark.every_store


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (
            "/v1/pools?colour=red",
            "/v1/pools has no parameter 'colour'; it has: tag, id, label, containing, scope",
        ),
        ("/v1/status?limit=3", "/v1/status has no parameter 'limit'; it has: none"),
        ("/v1/pools?tag=a&tag=b", "the parameter tag is given 2 times; once will do"),
        ("/v1/pools?limit=0", "limit='0' must be a number from 1 to 500"),
        ("/v1/pools?limit=501", "limit='501' must be a number from 1 to 500"),
        ("/v1/pools?limit=ten", "limit='ten' must be a number from 1 to 500"),
        ("/v1/pools?unclaimed=maybe", "unclaimed='maybe' must be true or false"),
        ("/v1/pools?space=outer", "space='outer' must be one of local, global"),
        (
            "/v1/pools?subnet=10.0.0.1/24",
            "subnet='10.0.0.1/24' is not a subnet: 10.0.0.1/24 has host bits set; did you mean "
            "10.0.0.0/24?",
        ),
        ("/v1/pools?subnet=10.0", "subnet='10.0' is not a subnet, such as 10.0.0.0/24 or fd00::"),
        ("/v1/pools?address=10.0.0", "address='10.0.0' is not an address, such as 10.0.0.2 or fd"),
        (
            "/v1/explain?address=10.0.0.2/24",
            "address='10.0.0.2/24' is not an address; did you mean 10.0.0.2?",
        ),
        ("/v1/explain?address=x/24", "address='x/24' is not an address, such as 10.0.0.2 or fd"),
        ("/v1/explain?address=fe80::1%25a", "is not an address: an address in a pool has no zone"),
        (
            "/v1/pools?address=10.0.0.1&subnet=10.0.0.0/8",
            "a subnet or for an address, not for both",
        ),
        ("/v1/pools?after=x", "after='x' is not what a page names as its `next`"),
        ("/v1/leases?after=x", "after='x' is not what a page names as its `next`"),
        ("/v1/scopes?after=x", "after='x' is not what a page names as its `next`"),
        ("/v1/leases?kind=pet", "kind='pet' must be one of gateway, container, mirror"),
        ("/v1/free", "/v1/free?scope=SUBNET (blocks, perhaps with prefix=LENGTH)"),
        ("/v1/free?scope=100.64.0.0/20&prefix=8", "prefix=8 is not a length in scope"),
        ("/v1/plan?prefix=33", "prefix='33' must be a number from 1 to 32"),
        ("/v1/plan?prefix=32&version=6", "prefix='32' must be a number from 33 to 128 with vers"),
        ("/v1/plan?subnet=100.64.0.0/24&prefix=24", "leave out prefix and version"),
        ("/v1/plan?tags=a%2B", "ends after '+'"),
        ("/v1/explain", "name the address: /v1/explain?address=10.0.0.1"),
        ("/v1/children", "ask for /v1/children?scope=SUBNET"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_what_can(
    driver: Driver, target: str, sentence: str
) -> None:
    driver.announce()

    reply = driver.raw("GET", target)

    assert reply.status == 400
    assert sentence in reply.error()


def test_what_there_is_not_is_not_found(driver: Driver) -> None:
    for target in ("/v1/free?scope=192.0.2.0/24", "/v1/children?scope=192.0.2.0/24"):
        reply = driver.raw("GET", target)
        assert reply.status == 404
        assert "the schema has no scope 192.0.2.0/24" in reply.error()


def test_a_page_has_as_many_items_as_it_may_and_names_the_next_one(driver: Driver) -> None:
    driver.announce()
    made = [create_network(driver, options={"scope_filter_tags": "ingress"}) for _ in range(3)]

    first = driver.raw("GET", "/v1/pools?limit=2").json()
    rest = driver.raw("GET", f"/v1/pools?limit=2&after={first['next']}").json()

    assert [pool["id"] for pool in first["items"]] == [made[0].pool.id, made[1].pool.id]
    assert [pool["id"] for pool in rest["items"]] == [made[2].pool.id]
    assert rest["next"] is None


def test_pools_and_leases_are_found_by_an_address(driver: Driver) -> None:
    driver.announce()
    network = create_network(driver, "100.64.5.0/24")
    start_container(driver, network)
    create_network(driver, "100.64.6.0/24")

    pools = driver.get("/v1/pools?address=100.64.5.77")
    leases = driver.get("/v1/leases?address=100.64.5.2")

    assert [pool["id"] for pool in pools] == [network.pool.id]
    assert [lease["address"] for lease in leases] == ["100.64.5.2"]


def test_the_plan_of_a_network_is_what_it_is_given_next(driver: Driver) -> None:
    driver.announce()
    plan = driver.get("/v1/plan?tags=ingress&prefix=29")

    network = create_network(driver, options={"scope_filter_tags": "ingress", "prefix": "29"})

    assert network.subnets == [plan["block"]]


def test_an_address_is_explained(driver: Driver) -> None:
    driver.announce()
    start_container(driver, create_network(driver, "100.64.5.0/24"))

    found = driver.get("/v1/explain?address=100.64.5.2")

    assert found["state"] == "in use"
    assert found["scope"]["network"] == "100.64.0.0/20"
    assert [pool["subnet"] for pool in found["pools"]] == ["100.64.5.0/24"]


def test_a_network_is_drawn_as_a_map(driver: Driver) -> None:
    driver.announce()
    start_container(driver, create_network(driver, "100.64.5.0/24"))

    found = {cell["subnet"]: cell for cell in driver.get("/v1/map?block=100.64.5.0/24")["cells"]}

    assert (len(found), found["100.64.5.2"]["state"]) == (256, "container")
    assert found["100.64.5.2"]["sentence"] == "100.64.5.2: in use by a container"


def test_the_status_says_how_much_is_held_resting_and_unclaimed(driver: Driver) -> None:
    driver.announce()
    start_container(driver, create_network(driver, "100.64.5.0/24"))

    counts = driver.get("/v1/status")["counts"]

    assert counts == {
        "pools": 1,
        "resting_pools": 0,
        "unclaimed_pools": 0,
        "leases": 2,
        "resting_leases": 0,
        "held_back_leases": 0,
        "unclaimed_leases": 0,
    }
