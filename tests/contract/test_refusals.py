"""Requests that cannot be granted are refused with a sentence, and change nothing."""

from __future__ import annotations

import pytest

from tests.support.dockerd import (
    GATEWAY,
    Driver,
    Pool,
    create_network,
    pool_request,
    start_container,
)

# Why a request is refused


def test_a_container_on_a_full_network_is_refused_with_the_remedy(driver: Driver) -> None:
    network = create_network(driver)
    start_container(driver, network)

    reply = driver.call("RequestAddress", {"PoolID": network.pool.id, "Address": ""})

    assert reply.status == 409
    assert reply.error().startswith("pool local/100.64.0.0/30 has no free address: ")
    assert "--ipam-opt prefix=LENGTH" in reply.error()


def test_unknown_tags_are_refused_with_the_known_ones(unchanged: Driver) -> None:
    reply = unchanged.call("RequestPool", pool_request(options={"scope_filter_tags": "dmz"}))

    assert reply.status == 422
    assert reply.error() == (
        "no scope of the schema serves an IPv4 network with tags 'dmz': no scope has tag "
        "'dmz'; the tags of the IPv4 scopes that can be drawn from are: default, egress, "
        "externally_routed, general_purpose, host_to_container, ingress, internally_routed, "
        "null_routed, python_docker_ipam_default"
    )


def test_a_subnet_outside_every_scope_is_refused_with_the_scopes(unchanged: Driver) -> None:
    reply = unchanged.call("RequestPool", pool_request("192.168.7.0/24"))

    assert reply.status == 422
    assert "subnet 192.168.7.0/24 is outside every scope" in reply.error()
    assert "100.64.0.0/17" in reply.error()
    assert "ALLOW_UNMANAGED=true" in reply.error()


def test_an_overlapping_subnet_is_refused_with_the_pool_that_it_overlaps(driver: Driver) -> None:
    driver.request_pool("100.64.5.0/24", options={"id": "first"})

    reply = driver.call("RequestPool", pool_request("100.64.5.128/25"))

    assert reply.status == 409
    assert "subnet 100.64.5.128/25 overlaps pool local/100.64.5.0/24 (id first)" in reply.error()


@pytest.mark.parametrize(
    ("address", "status", "why"),
    [
        (
            "100.64.5.1",
            409,
            "address 100.64.5.1 of pool local/100.64.5.0/24 has been in use since 20",
        ),
        ("100.64.5.0", 400, "is the network address of 100.64.5.0/24"),
        ("100.64.5.255", 400, "is the broadcast address of 100.64.5.0/24"),
        ("100.64.6.1", 400, "is outside the pool's subnet 100.64.5.0/24"),
        ("fc00::1", 400, "is outside the pool's subnet 100.64.5.0/24"),
        ("100.64.5.1/24", 400, "address '100.64.5.1/24' cannot be read"),
        ("::1%eth0", 400, "address '::1%eth0' cannot be read"),
    ],
)
def test_an_unavailable_address_is_refused_with_the_reason(
    unchanged: Driver, address: str, status: int, why: str
) -> None:
    body = {"PoolID": "local/100.64.5.0/24", "Address": address, "Options": None}

    reply = unchanged.call("RequestAddress", body)

    assert reply.status == status
    assert why in reply.error()


@pytest.mark.parametrize(
    "pool_id", ["", "local/100.64.9.0/24", "pylocal-1", "local/x", "a/b/c/d/e"]
)
@pytest.mark.parametrize("options", [None, GATEWAY])
def test_an_address_in_an_unknown_pool_is_refused_with_the_remedy(
    unchanged: Driver, pool_id: str, options: dict[str, str] | None
) -> None:
    body = {"PoolID": pool_id, "Address": "", "Options": options}

    reply = unchanged.call("RequestAddress", body)

    assert reply.status == 404
    assert f"pool {pool_id!r} is not held by pyipam" in reply.error()
    assert "or restart dockerd, which then tells the plugin about its networks;" in reply.error()


# Where refusals are shown


def test_the_status_shows_a_refusal(driver: Driver) -> None:
    error = driver.pool_error("192.168.7.0/24")

    refusal = driver.get("/v1/status")["refusals"][-1]

    assert refusal["call"] == "IpamDriver.RequestPool"
    assert refusal["message"] == error
    assert refusal["time"] > 1_600_000_000


def test_the_last_hundred_refusals_are_kept(driver: Driver) -> None:
    errors = [driver.pool_error(f"192.168.{n}.0/24") for n in range(105)]

    refusals = driver.get("/v1/status")["refusals"]

    assert [refusal["message"] for refusal in refusals] == errors[-100:]


def test_a_long_refusal_is_shortened_in_the_middle(driver: Driver) -> None:
    """A hundred of them are kept, and each is written to the log."""
    error = driver.address_error(Pool("x" * 200_000, ""))

    assert error.startswith("pool 'xxxx")
    assert " [...] " in error
    assert error.endswith("remove the network and create it again")
    assert len(error) < 10_000


def test_a_view_of_an_unknown_pool_is_not_counted_as_a_refusal(driver: Driver) -> None:
    before = driver.get("/v1/status")["refusals"]

    reply = driver.raw("GET", "/v1/leases?pool=local/100.64.9.0/24")

    assert reply.status == 404
    assert "is not held" in reply.error()
    assert driver.get("/v1/status")["refusals"] == before


@pytest.mark.parametrize(("v6", "length"), [(False, 32), (True, 128)])
def test_a_block_with_room_for_its_gateway_alone_is_refused(
    driver: Driver, v6: bool, length: int
) -> None:
    message = driver.pool_error(options={"prefix": str(length)}, v6=v6)

    assert f"a /{length} has room for the network's gateway alone" in message
    assert f"at least /{length - 2}" in message
    assert driver.held() == []


def test_an_auxiliary_address_is_not_called_a_container(driver: Driver) -> None:
    pool = driver.request_pool("100.64.5.0/24")
    driver.request_address(pool, "100.64.5.9")

    assert "(a container or an auxiliary address)" in driver.address_error(pool, "100.64.5.9")
