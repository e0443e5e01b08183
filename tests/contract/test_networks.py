"""The calls that announce the plugin, and those for networks, and the answers.

The bodies were recorded from `docker network create` and `docker network rm`.
"""

from __future__ import annotations

import pytest

from tests.contract.exchanges import check
from tests.support.dockerd import (
    GATEWAY,
    SERIAL,
    Driver,
    Engine,
    Pool,
    create_network,
    pool_of,
    remove_network,
)
from tests.support.program import Program, scope

pytestmark = pytest.mark.every_store


# Announcing


def test_the_plugin_asks_for_replays_and_not_for_mac_addresses(driver: Driver) -> None:
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


# Networks


def test_a_network_draws_its_ipv4_subnet_by_tag(driver: Driver) -> None:
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


def test_a_dual_stack_network_gets_a_subnet_of_each_family(driver: Driver) -> None:
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


def test_an_ipv6_only_network_gets_one_subnet(driver: Driver) -> None:
    network = create_network(driver, families=[6])

    assert network.subnets == ["fc00:f00f::/64"]
    assert driver.held() == ["local/fc00:f00f::/64"]


def test_a_network_can_name_its_subnet_range_gateway_and_auxiliary_addresses(
    driver: Driver,
) -> None:
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


def test_null_options_as_an_old_compose_sends_them_count_as_none(driver: Driver) -> None:
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
        ("100.64.3.7/24", False, "100.64.3.0/24"),
        ("fc00:f00f:2:7::/64", True, "fc00:f00f:2:7::/64"),
    ],
    ids=["host-bits", "ipv6"],
)
def test_a_requested_subnet_names_a_block(driver: Driver, asked: str, v6: bool, given: str) -> None:
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
        ({"a b=c d": "ü", '{"owner":"alice"}': "", "owner": "x"}, "100.64.0.0/30"),
        (GATEWAY | SERIAL, "100.64.0.0/30"),
    ],
)
def test_the_options_of_a_network_choose_its_block(
    driver: Driver, options: dict[str, str], subnet: str
) -> None:
    assert driver.request_pool(options=options).subnet == subnet


def test_the_id_of_a_network_is_kept_unchanged_as_its_label(driver: Driver) -> None:
    label = 'a "b" \\ ü 网\n<&>'
    driver.request_pool(options={"id": label})
    driver.request_pool(options={"id": label})

    assert [pool["label"] for pool in driver.get("/v1/pools")] == [label, label]


def test_unknown_members_of_a_request_are_ignored(driver: Driver) -> None:
    body = (
        '{"AddressSpace":"local","Pool":"","SubPool":"","Options":{},"V6":false,'
        '"Exclude":["100.64.0.0/16"],"New":{"a":[1]}}\n'
    )

    assert pool_of(driver.post("IpamDriver.RequestPool", body)).subnet == "100.64.0.0/30"


def test_missing_members_of_a_request_count_as_empty(driver: Driver) -> None:
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


def test_releasing_the_pool_after_a_failed_auxiliary_address_frees_all_leases(
    driver: Driver,
) -> None:
    """It releases the pool only: neither the gateway nor the auxiliary addresses before."""
    pool = driver.request_pool("100.64.5.0/24", options={})
    driver.request_address(pool, "", GATEWAY)
    driver.request_address(pool, "100.64.5.9")
    driver.address_error(pool, "100.64.5.9")
    driver.release_pool(pool)

    pool = driver.request_pool("100.64.5.0/24", options={})
    assert driver.leases(pool) == []


def test_a_network_that_docker_refuses_leaves_no_gateway_that_rests(
    program: Program, engine_a: Engine
) -> None:
    program.write_schema(scope("10.20.0.0/16", 24, reuse_delay=3600))
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    first = create_network(driver, "10.20.1.0/24", options={"shared": "true"})

    for _ in range(3):
        second = create_network(driver, "10.20.1.0/24", options={"shared": "true"})
        remove_network(driver, second)

    leases = driver.get(f"/v1/leases?pool={first.pool.id}")
    assert [lease["address"] for lease in leases] == ["10.20.1.1"]


# Releasing


@pytest.mark.parametrize("pool_id", ["", "local/100.64.0.0/30", "global/fc00::/64", "pylocal-1"])
def test_releasing_a_pool_that_is_not_held_succeeds(driver: Driver, pool_id: str) -> None:
    driver.release_pool(Pool(pool_id, ""))


def test_removing_a_network_twice_succeeds(driver: Driver) -> None:
    network = create_network(driver)
    remove_network(driver, network)
    remove_network(driver, network)

    assert driver.held() == []
