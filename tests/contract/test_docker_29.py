"""The calls of Docker 29, where they differ from those of older engines.

They were read from moby's branch docker-29.x, not recorded; each test names the place, in
daemon/libnetwork of that branch. Every request has the Host header of newer engines, too.
"""

from __future__ import annotations

import pytest

from tests.contract.exchanges import check
from tests.support.docker_29 import (
    ENDPOINT,
    HOST,
    Config,
    Info,
    Network,
    create,
    network,
    remove,
    replay,
    start_container,
)
from tests.support.dockerd import GATEWAY, SERIAL, Driver, Engine
from tests.support.dockerd import create_network as create_network_of_28
from tests.support.program import Program

pytestmark = pytest.mark.every_store

LAN = Config("100.64.5.0/24")
UNUSED = Config("100.64.6.0/29")
V6 = Config(v6=True)


@pytest.fixture
def dockerd(program: Program, engine_a: Engine) -> Driver:
    """Docker 29, connected to a plugin that has just been enabled."""
    program.start()
    return program.announced(engine_a, HOST)


def references(driver: Driver, of: Network) -> list[int]:
    return [driver.references(pool) for pool in of.pools]


# Creating


def test_the_address_spaces_are_asked_for_before_every_pool(driver: Driver) -> None:
    """ipams/remote/remote.go, allocator.RequestPool; since Docker 28."""
    spaces = (
        "GetDefaultAddressSpaces",
        "",
        '{"LocalDefaultAddressSpace":"local","GlobalDefaultAddressSpace":"global"}',
    )
    check(
        driver,
        spaces,
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
        spaces,
        (
            "RequestPool",
            '{"AddressSpace":"local","Pool":"","SubPool":"","Options":{},"V6":true}',
            '{"PoolID":"local/fc00:f00f::/64","Pool":"fc00:f00f::/64","Data":{}}',
        ),
    )


@pytest.mark.parametrize(
    ("config", "cure"),
    [(Config("0.0.0.0/26"), "prefix=26"), (Config("::/72", v6=True), "prefix=72")],
    ids=["ipv4", "ipv6"],
)
def test_a_length_alone_is_refused_at_creation_with_the_option_to_use(
    unchanged: Driver, config: Config, cure: str
) -> None:
    """network.go, Network.ipamAllocateVersion (isDefaultPool): Docker 29 would replay the subnet
    that it was given, but says at creation what every engine says."""
    assert cure in unchanged.pool_error(config.subnet, options={}, v6=config.v6)


# Networks without a gateway: macvlan and ipvlan


def test_macvlan_asks_for_no_gateway_and_its_first_container_gets_the_first_address(
    dockerd: Driver,
) -> None:
    """drivers/macvlan/macvlan_network.go and drivers/ipvlan/ipvlan_network.go,
    driver.GetSkipGwAlloc: Docker 28 asks, except for networks that are internal, and ipvlan L3."""
    lan = create(dockerd, network(LAN, macvlan=True))

    assert dockerd.leases(lan.pools[0]) == []
    assert start_container(dockerd, lan) == ["100.64.5.1/24"]


def test_macvlan_asks_for_the_gateway_that_the_user_names(dockerd: Driver) -> None:
    """network.go, Network.ipamAllocateVersion: prefGateway comes before skipGwAlloc."""
    lan = create(dockerd, network(Config("100.64.5.0/24", gateway="100.64.5.1"), macvlan=True))

    assert dockerd.leases(lan.pools[0]) == ["100.64.5.1"]
    assert start_container(dockerd, lan) == ["100.64.5.2/24"]


def test_removing_a_network_without_a_gateway_frees_its_subnet(dockerd: Driver) -> None:
    """network.go, Network.ipamReleaseVersion: no gateway is released, the pool alone."""
    remove(dockerd, create(dockerd, network(LAN, macvlan=True)))

    assert dockerd.held() == []


def test_a_second_network_without_a_gateway_on_one_subnet_is_refused(
    program: Program, engine_a: Engine, dockerd: Driver
) -> None:
    """Nothing but the RequestPool tells it from a replay, also when the plugin alone has been
    started again: drivers/macvlan/macvlan_network.go, driver.GetSkipGwAlloc."""
    lan = create(dockerd, network(LAN, macvlan=True))
    start_container(dockerd, lan)

    program.restart()
    dockerd = program.announced(engine_a, HOST)

    assert "local/100.64.5.0/24" in dockerd.pool_error(LAN.subnet, options={})
    assert references(dockerd, lan) == [1]
    assert start_container(dockerd, lan) == ["100.64.5.2/24"]


def test_two_networks_without_a_gateway_that_share_a_subnet_free_it_with_the_second(
    program: Program, engine_a: Engine, engine_b: Engine, dockerd: Driver
) -> None:
    """drivers/macvlan/macvlan_network.go, driver.GetSkipGwAlloc."""
    first = create(dockerd, network(LAN, macvlan=True, shared=True))
    start_container(dockerd, first)
    program.restart()
    dockerd = program.announced(engine_a, HOST)
    second = create(dockerd, network(LAN, macvlan=True, shared=True))
    start_container(dockerd, second)

    dockerd = program.announced(engine_b, HOST)
    replay(dockerd, first, second)

    assert references(dockerd, first) == [2]
    remove(dockerd, first)
    assert "100.64.5.2" in dockerd.leases(second.pools[0])
    remove(dockerd, second)
    assert dockerd.held() == []


def test_a_container_that_starts_while_a_network_fails_keeps_its_address(dockerd: Driver) -> None:
    """network.go, Network.createEndpoint: a container's request has its name, and an auxiliary
    address's has none."""
    first = create(dockerd, network(LAN, shared=True))
    pool = dockerd.request_pool(LAN.subnet, options={"shared": "true"})
    assert pool == first.pools[0]
    dockerd.request_address(pool, "100.64.5.9", GATEWAY)
    container = dockerd.request_address(pool, "100.64.5.50", ENDPOINT)
    assert "100.64.5.1" in dockerd.address_error(pool, "100.64.5.1")
    dockerd.release_pool(pool)

    assert container.partition("/")[0] in dockerd.leases(pool)
    dockerd.request_pool(LAN.subnet, options={"shared": "true"})
    assert "in use" in dockerd.address_error(pool, container.partition("/")[0])


# Replays


both_ways = pytest.mark.parametrize("plugin_too", [False, True], ids=["live-restore", "both"])


@both_ways
def test_a_replay_names_the_subnet_and_the_gateway_that_were_given(
    program: Program, engine_b: Engine, dockerd: Driver, plugin_too: bool
) -> None:
    """network.go, Network.ipamAllocateVersion: Pool and Gateway of ipamInfo, each family alone.
    (Docker 28 and older put both into the configuration, in controller.go, reservePools.)"""
    networks = [
        create(dockerd, network(Config(), V6)),
        create(dockerd, network(V6)),
        create(
            dockerd,
            network(
                Config(
                    "100.64.5.0/24",
                    "100.64.5.64/26",
                    "100.64.5.254",
                    aux_addresses=("100.64.5.70",),
                )
            ),
        ),
        create(dockerd, network(UNUSED, macvlan=True)),
    ]
    for each in networks:
        start_container(dockerd, each)
    held = dockerd.held()

    if plugin_too:
        assert program.stop() == 0
        program.start()
    dockerd = program.announced(engine_b, HOST)
    replay(dockerd, *networks)

    assert dockerd.held() == held
    for each in networks:
        assert set(references(dockerd, each)) == {1}
        assert [dockerd.unclaimed(pool) for pool in each.pools] == [[]] * len(each.pools)
        remove(dockerd, each)
    assert dockerd.held() == []


def test_the_replay_of_a_network_without_a_gateway_keeps_its_containers_addresses(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    """network.go, Network.ipamAllocateVersion: neither the user nor ipamInfo has a gateway."""
    lan = create(dockerd, network(LAN, macvlan=True))
    start_container(dockerd, lan)
    start_container(dockerd, lan)
    del lan.containers[1]

    dockerd = program.announced(engine_b, HOST)
    replay(dockerd, lan)

    assert dockerd.unclaimed(lan.pools[0]) == ["100.64.5.2"]
    assert start_container(dockerd, lan) == ["100.64.5.3/24"]


def test_a_macvlan_network_of_an_older_engine_keeps_the_gateway_that_it_was_given(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    """network.go, Network.ipamAllocateVersion: the gateway of ipamInfo is asked for by name, though
    the network driver wants none."""
    program.start()
    older = program.driver(engine_a)
    older.announce()
    made = create_network_of_28(older, LAN.subnet)
    lan = network(LAN, macvlan=True)
    lan.infos = tuple(
        Info(pool, gateway.partition("/")[0]) for pool, gateway in made.gateways.items()
    )

    dockerd = program.announced(engine_b, HOST)
    replay(dockerd, lan)

    assert dockerd.leases(made.pool) == ["100.64.5.1"]
    assert dockerd.unclaimed(made.pool) == []
    assert start_container(dockerd, lan) == ["100.64.5.2/24"]
    remove(dockerd, lan)
    assert dockerd.held() == []


def test_a_failed_replay_of_ipv6_releases_ipv4_and_nothing_of_another_network(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    """network.go, Network.ipamAllocate: its deferred ipamReleaseVersion(4) sends ReleaseAddress for
    the gateway and ReleasePool."""
    dual, other = create(dockerd, network(Config(), V6)), create(dockerd, network())

    dockerd = program.announced(engine_b, HOST)
    replay(dockerd, other)
    v4 = dockerd.request_pool(dual.subnets[0], options={})
    assert dockerd.request_address(v4, dual.infos[0].gateway, GATEWAY) == "100.64.0.1/30"
    # Docker gives IPv6 up because of whatever it was answered.
    dockerd.release_address(v4, dual.infos[0].gateway)
    dockerd.release_pool(v4)

    assert dockerd.held() == [other.pools[0].id, dual.pools[1].id]
    assert references(dockerd, other) == [1]


# Swarm


def test_a_new_leader_names_the_subnet_that_was_given(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    """cnmallocator/networkallocator.go, cnmNetworkAllocator.allocatePools: the configuration gets
    the allocated subnet whatever was asked for; Docker 28 changes an empty one only."""
    options = {"prefix": "28"}
    pool = dockerd.request_pool(space="global", options=options)
    gateway = dockerd.request_address(pool, "", GATEWAY | SERIAL | options).partition("/")[0]
    task = dockerd.request_address(pool, "", SERIAL | options)

    dockerd = program.announced(engine_b, HOST)
    again = dockerd.request_pool(pool.subnet, space="global", options=SERIAL | options)
    dockerd.request_address(again, gateway, GATEWAY | SERIAL | options)
    dockerd.request_address(again, task.partition("/")[0], SERIAL | options)

    assert again == pool
    assert dockerd.references(pool) == 1
    assert dockerd.unclaimed(pool) == []


def test_a_length_alone_is_refused_in_a_swarm_too(unchanged: Driver) -> None:
    """cnmallocator/networkallocator.go, cnmNetworkAllocator.allocatePools: Subnet of the
    configuration is sent as it is."""
    refused = unchanged.pool_error("0.0.0.0/26", space="global", options={})

    assert "prefix=26" in refused
