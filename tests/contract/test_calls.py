"""Every call as dockerd sends it, byte for byte, and the answer.

The bodies are those that were seen from docker network create, run, stop and rm.
"""

from __future__ import annotations

import json

import pytest

from tests.support.dockerd import (
    GATEWAY,
    SERIAL,
    Driver,
    Pool,
    create_network,
    pool_of,
    remove_network,
    request_bytes,
    start_container,
)

pytestmark = pytest.mark.every_store

Exchange = tuple[str, str, str]


def check(driver: Driver, *exchanges: Exchange) -> None:
    """Each request gets exactly this answer."""
    for call, body, answer in exchanges:
        reply = driver.post(f"IpamDriver.{call}", f"{body}\n" if body else "")
        assert reply.json() == json.loads(answer), call
        assert reply.content_type == "application/json"


# Announcing


def test_the_plugin_wants_replays_and_no_mac_addresses(driver: Driver) -> None:
    check(
        driver,
        (
            "GetCapabilities",
            "",
            '{"RequiresMACAddress":false,"RequiresRequestReplay":true}',
        ),
    )


def test_the_address_spaces_are_local_and_global(driver: Driver) -> None:
    check(
        driver,
        (
            "GetDefaultAddressSpaces",
            "",
            '{"LocalDefaultAddressSpace":"local","GlobalDefaultAddressSpace":"global"}',
        ),
    )


def test_a_connection_serves_one_call_after_the_other(driver: Driver) -> None:
    for _ in range(20):
        driver.announce()


def test_requests_may_come_before_the_answers_to_those_before_were_read(driver: Driver) -> None:
    request = request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces")
    driver.send(request * 3)

    for _ in range(3):
        assert driver.read().json()["LocalDefaultAddressSpace"] == "local"


def test_a_request_may_come_in_pieces(driver: Driver) -> None:
    for byte in request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces"):
        driver.send(bytes([byte]))

    assert driver.read().status == 200


def test_the_host_header_of_a_newer_docker_is_as_good_as_none(driver: Driver) -> None:
    request = request_bytes("POST", "/IpamDriver.GetDefaultAddressSpaces")
    driver.send(request.replace(b"Host: ", b"Host: plugin.moby.localhost"))

    assert driver.read().status == 200


# Networks


def test_an_ipv4_network_by_tag(driver: Driver) -> None:
    check(
        driver,
        (
            "RequestPool",
            '{"AddressSpace":"local","Pool":"","SubPool":"",'
            '"Options":{"id":"testnet","scope_filter_tags":"null_routed"},"V6":false}',
            '{"PoolID":"local/100.64.0.0/30","Pool":"100.64.0.0/30","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.0.0/30","Address":"",'
            '"Options":{"RequestAddressType":"com.docker.network.gateway"}}',
            '{"Address":"100.64.0.1/30","Data":{}}',
        ),
    )


def test_a_network_of_both_families(driver: Driver) -> None:
    check(
        driver,
        (
            "RequestPool",
            '{"AddressSpace":"local","Pool":"","SubPool":"","Options":{},"V6":false}',
            '{"PoolID":"local/100.64.0.0/30","Pool":"100.64.0.0/30","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.0.0/30","Address":"",'
            '"Options":{"RequestAddressType":"com.docker.network.gateway"}}',
            '{"Address":"100.64.0.1/30","Data":{}}',
        ),
        (
            "RequestPool",
            '{"AddressSpace":"local","Pool":"","SubPool":"","Options":{},"V6":true}',
            '{"PoolID":"local/fc00:f00f::/64","Pool":"fc00:f00f::/64","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/fc00:f00f::/64","Address":"",'
            '"Options":{"RequestAddressType":"com.docker.network.gateway"}}',
            '{"Address":"fc00:f00f::1/64","Data":{}}',
        ),
    )


def test_a_network_of_ipv6_only(driver: Driver) -> None:
    network = create_network(driver, families=[6])

    assert network.subnets == ["fc00:f00f::/64"]
    assert driver.held() == ["local/fc00:f00f::/64"]


def test_a_network_with_subnet_range_gateway_and_auxiliary_addresses(driver: Driver) -> None:
    check(
        driver,
        (
            "RequestPool",
            '{"AddressSpace":"local","Pool":"100.64.5.0/24","SubPool":"100.64.5.64/26",'
            '"Options":{},"V6":false}',
            '{"PoolID":"local/100.64.5.0/24/100.64.5.64/26","Pool":"100.64.5.0/24","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.5.0/24/100.64.5.64/26","Address":"100.64.5.1",'
            '"Options":{"RequestAddressType":"com.docker.network.gateway"}}',
            '{"Address":"100.64.5.1/24","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.5.0/24/100.64.5.64/26","Address":"100.64.5.9","Options":null}',
            '{"Address":"100.64.5.9/24","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.5.0/24/100.64.5.64/26","Address":"100.64.5.70",'
            '"Options":null}',
            '{"Address":"100.64.5.70/24","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.5.0/24/100.64.5.64/26","Address":"","Options":null}',
            '{"Address":"100.64.5.64/24","Data":{}}',
        ),
    )


def test_a_network_of_an_old_compose_which_sends_null_for_no_options(driver: Driver) -> None:
    check(
        driver,
        (
            "RequestPool",
            '{"AddressSpace":"local","Pool":"","SubPool":"","Options":null,"V6":false}',
            '{"PoolID":"local/100.64.0.0/30","Pool":"100.64.0.0/30","Data":{}}',
        ),
    )


@pytest.mark.parametrize(
    ("asked", "v6", "given"),
    [
        ("0.0.0.0/27", False, "100.64.0.0/27"),
        ("::/72", True, "fc00:f00f::/72"),
        ("100.64.3.7/24", False, "100.64.3.0/24"),
        ("fc00:f00f:2:7::/64", True, "fc00:f00f:2:7::/64"),
    ],
    ids=["a-length", "an-ipv6-length", "host-bits", "ipv6"],
)
def test_a_subnet_that_is_asked_for_is_a_place_or_a_length(
    driver: Driver, asked: str, v6: bool, given: str
) -> None:
    pool = driver.request_pool(asked, v6=v6, options={})

    assert pool == Pool(f"local/{given}", given)


@pytest.mark.parametrize(
    ("options", "subnet"),
    [
        ({"scope_filter_tags": "ingress"}, "100.64.32.0/30"),
        ({"scope_filter_tags": "egress"}, "100.64.48.0/30"),
        ({"scope_filter_tags": '"ingress+!egress"'}, "100.64.32.0/30"),
        ({"scope_filter_tags": "nowhere,general_purpose"}, "100.64.64.0/30"),
        ({"prefix": "28"}, "100.64.0.0/28"),
        ({"prefix": "28,72"}, "100.64.0.0/28"),
        ({"novalue": ""}, "100.64.0.0/30"),
        ({"a b=c d": "ü", '{"owner":"alice"}': "", "scope_filter_tag": "x"}, "100.64.0.0/30"),
        (GATEWAY | SERIAL, "100.64.0.0/30"),
    ],
)
def test_the_options_of_a_network_choose_its_block(
    driver: Driver, options: dict[str, str], subnet: str
) -> None:
    assert driver.request_pool(options=options).subnet == subnet


def test_the_id_of_a_network_is_a_label_that_is_kept_as_it_came(driver: Driver) -> None:
    label = 'a "b" \\ ü 网\n<&>'
    driver.request_pool(options={"id": label})
    driver.request_pool(options={"id": label})

    assert [pool["label"] for pool in driver.get("/v1/pools")] == [label, label]


def test_members_that_a_later_docker_may_add_are_ignored(driver: Driver) -> None:
    body = (
        '{"AddressSpace":"local","Pool":"","SubPool":"","Options":{},"V6":false,'
        '"Exclude":["100.64.0.0/16"],"New":{"a":[1]}}\n'
    )

    assert pool_of(driver.post("IpamDriver.RequestPool", body)).subnet == "100.64.0.0/30"


def test_members_that_are_left_out_count_as_empty(driver: Driver) -> None:
    pool = pool_of(driver.post("IpamDriver.RequestPool", '{"AddressSpace":"local"}\n'))

    answer = driver.post("IpamDriver.RequestAddress", f'{{"PoolID":"{pool.id}"}}\n')

    assert answer.json()["Address"] == "100.64.0.1/30"


def test_removing_a_network_frees_its_blocks(driver: Driver) -> None:
    network = create_network(driver, families=[4, 6])
    check(
        driver,
        ("ReleaseAddress", '{"PoolID":"local/100.64.0.0/30","Address":"100.64.0.1"}', "{}"),
        ("ReleasePool", '{"PoolID":"local/100.64.0.0/30"}', "{}"),
        ("ReleaseAddress", '{"PoolID":"local/fc00:f00f::/64","Address":"fc00:f00f::1"}', "{}"),
        ("ReleasePool", '{"PoolID":"local/fc00:f00f::/64"}', "{}"),
    )

    assert driver.held() == []
    assert create_network(driver, families=[4, 6]).subnets == network.subnets


def test_dockers_undo_after_an_auxiliary_address_failed_frees_all_leases(driver: Driver) -> None:
    """It releases the pool only: neither the gateway nor the auxiliary addresses before."""
    pool = driver.request_pool("100.64.5.0/24", options={})
    driver.request_address(pool, "", GATEWAY)
    driver.request_address(pool, "100.64.5.9")
    driver.address_error(pool, "100.64.5.9")
    driver.release_pool(pool)

    pool = driver.request_pool("100.64.5.0/24", options={})
    assert driver.leases(pool) == []


# Containers


def test_a_container_gets_an_address_of_each_family(driver: Driver) -> None:
    network = create_network(driver, families=[4, 6])

    check(
        driver,
        (
            "RequestAddress",
            '{"PoolID":"local/100.64.0.0/30","Address":"","Options":null}',
            '{"Address":"100.64.0.2/30","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"local/fc00:f00f::/64","Address":"","Options":null}',
            '{"Address":"fc00:f00f::2/64","Data":{}}',
        ),
    )
    assert network.subnets == ["100.64.0.0/30", "fc00:f00f::/64"]


def test_a_container_may_ask_for_its_address(driver: Driver) -> None:
    network = create_network(driver, "100.64.5.0/24", families=[4])

    assert driver.request_address(network.pool, "100.64.5.77") == "100.64.5.77/24"


def test_a_stopped_container_gives_its_address_back(driver: Driver) -> None:
    network = create_network(driver, "100.64.5.0/24")
    (first,), (second,) = start_container(driver, network), start_container(driver, network)

    driver.release_address(network.pool, first)

    assert [first, second] == ["100.64.5.2/24", "100.64.5.3/24"]
    assert driver.leases(network.pool) == ["100.64.5.1", "100.64.5.3"]
    assert start_container(driver, network) == ["100.64.5.2/24"]


def test_a_mac_address_among_the_options_changes_nothing(driver: Driver) -> None:
    network = create_network(driver)
    mac = {"com.docker.network.endpoint.macaddress": "02:42:88:22:bb:0c"}

    assert driver.request_address(network.pool, "", mac) == "100.64.0.2/30"


def test_containers_on_a_network_of_a_single_address_get_it(driver: Driver) -> None:
    pool = driver.request_pool("100.64.5.8/32", options={})

    assert driver.request_address(pool, "", GATEWAY) == "100.64.5.8/32"


# Swarm


def test_a_swarm_network_comes_in_the_global_space_and_gets_addresses_in_series(
    driver: Driver,
) -> None:
    check(
        driver,
        (
            "RequestPool",
            '{"AddressSpace":"global","Pool":"","SubPool":"","Options":{"prefix":"28"},"V6":false}',
            '{"PoolID":"global/100.64.0.0/28","Pool":"100.64.0.0/28","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"global/100.64.0.0/28","Address":"",'
            '"Options":{"RequestAddressType":"com.docker.network.gateway",'
            '"com.docker.network.ipam.serial":"true","prefix":"28"}}',
            '{"Address":"100.64.0.1/28","Data":{}}',
        ),
        (
            "RequestAddress",
            '{"PoolID":"global/100.64.0.0/28","Address":"",'
            '"Options":{"com.docker.network.ipam.serial":"true","prefix":"28"}}',
            '{"Address":"100.64.0.2/28","Data":{}}',
        ),
        ("ReleaseAddress", '{"PoolID":"global/100.64.0.0/28","Address":"100.64.0.2"}', "{}"),
        (
            "RequestAddress",
            '{"PoolID":"global/100.64.0.0/28","Address":"",'
            '"Options":{"com.docker.network.ipam.serial":"true","prefix":"28"}}',
            '{"Address":"100.64.0.3/28","Data":{}}',
        ),
    )


def test_a_node_mirrors_the_swarms_subnet_in_its_local_space(driver: Driver) -> None:
    pool = driver.request_pool(space="global", options={"prefix": "28"})
    driver.request_address(pool, "", GATEWAY | SERIAL | {"prefix": "28"})

    mirror = driver.request_pool(pool.subnet, options=SERIAL | {"prefix": "28"})
    addresses = [
        driver.request_address(mirror, "100.64.0.1", GATEWAY),
        driver.request_address(mirror, "100.64.0.3"),
        driver.request_address(mirror, "100.64.0.2"),
    ]

    assert addresses == ["100.64.0.1/28", "100.64.0.3/28", "100.64.0.2/28"]
    assert driver.held() == ["global/100.64.0.0/28", "local/100.64.0.0/28"]
    driver.release_pool(mirror)
    assert driver.leases(pool) == ["100.64.0.1"]


def test_an_automatic_block_overlaps_no_pool_of_either_space(driver: Driver) -> None:
    spaces = ["global", "local", "global", "local"]
    pools = [driver.request_pool(space=space) for space in spaces]

    assert [pool.subnet for pool in pools] == [f"100.64.0.{n}/30" for n in (0, 4, 8, 12)]


# Releasing


@pytest.mark.parametrize("pool_id", ["", "local/100.64.0.0/30", "global/fc00::/64", "pylocal-1"])
def test_releasing_a_pool_that_is_not_held_succeeds(driver: Driver, pool_id: str) -> None:
    driver.release_pool(Pool(pool_id, ""))


@pytest.mark.parametrize("pool_id", ["", "local/100.64.0.0/30", "global/fc00::/64", "pylocal-1"])
def test_releasing_an_address_of_a_pool_that_is_not_held_succeeds(
    driver: Driver, pool_id: str
) -> None:
    driver.release_address(Pool(pool_id, ""), "100.64.0.1")


@pytest.mark.parametrize("address", ["100.64.0.2", "100.64.9.9", "fc00::1"])
def test_releasing_an_address_that_is_not_leased_succeeds(driver: Driver, address: str) -> None:
    network = create_network(driver)

    driver.release_address(network.pool, address)

    assert driver.leases(network.pool) == ["100.64.0.1"]


def test_releasing_twice_succeeds_and_frees_nobody_elses(driver: Driver) -> None:
    network = create_network(driver)
    remove_network(driver, network)
    remove_network(driver, network)

    assert driver.held() == []
