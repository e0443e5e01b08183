"""Restarts of the plugin, of the engine, and of both: what is replayed, and how leaks heal.

The plugin recognises a run of dockerd by its process, where the kernel names it; each engine here
is a process.
"""

from __future__ import annotations

import pytest

from tests.support.dockerd import (
    GATEWAY,
    SERIAL,
    Driver,
    Engine,
    Network,
    Pool,
    create_network,
    remove_network,
    replay,
    start_container,
)
from tests.support.program import Program

pytestmark = pytest.mark.every_store

SUBNET = "100.64.5.0/24"
SHARED = {"shared": "true"}
SMALL = "100.64.6.0/29"


@pytest.fixture
def dockerd(program: Program, engine_a: Engine) -> Driver:
    """The first engine, connected to a plugin that has just been enabled."""
    program.start()
    return program.announced(engine_a)


# The plugin alone


def test_a_crashed_plugin_still_serves_its_networks(
    program: Program, engine_a: Engine, dockerd: Driver
) -> None:
    network = create_network(dockerd, SUBNET)
    start_container(dockerd, network)

    program.restart()
    dockerd = program.announced(engine_a)

    assert start_container(dockerd, network) == ["100.64.5.3/24"]
    dockerd.release_address(network.pool, "100.64.5.2")
    assert start_container(dockerd, network) == ["100.64.5.2/24"]


def test_a_second_network_on_the_subnet_after_a_crash_is_not_a_replay(
    program: Program, engine_a: Engine, dockerd: Driver
) -> None:
    first = create_network(dockerd, SUBNET, options=SHARED)
    start_container(dockerd, first)

    program.restart()
    dockerd = program.announced(engine_a)
    second = create_network(dockerd, SUBNET, options=SHARED)

    assert second.gateways == {first.pool: "100.64.5.3/24"}
    assert dockerd.references(first.pool) == 2
    assert dockerd.unclaimed(first.pool) == []
    remove_network(dockerd, second)
    assert dockerd.leases(first.pool) == ["100.64.5.1", "100.64.5.2"]
    assert start_container(dockerd, first) == ["100.64.5.3/24"]


def test_removing_the_first_of_two_networks_after_a_crash_leaves_the_second(
    program: Program, engine_a: Engine, dockerd: Driver
) -> None:
    first = create_network(dockerd, SUBNET, options=SHARED)
    program.restart()
    dockerd = program.announced(engine_a)
    second = create_network(dockerd, SUBNET, options=SHARED)

    remove_network(dockerd, first)

    assert dockerd.references(second.pool) == 1
    assert dockerd.leases(second.pool) == ["100.64.5.2"]


def test_two_networks_on_one_subnet_never_free_each_others_pool(dockerd: Driver) -> None:
    first, second = (
        create_network(dockerd, SUBNET, options=SHARED),
        create_network(dockerd, SUBNET, options=SHARED),
    )

    remove_network(dockerd, first)

    assert dockerd.references(second.pool) == 1
    assert start_container(dockerd, second) == ["100.64.5.1/24"]
    remove_network(dockerd, second)
    assert dockerd.held() == []


def test_the_retry_of_a_call_interrupted_by_a_crash_is_refused(
    program: Program, engine_a: Engine, dockerd: Driver
) -> None:
    create_network(dockerd, SUBNET)
    program.restart()
    retry = program.announced(engine_a)

    for _ in range(4):
        assert "the call before it was cut off" in retry.call("RequestPool").error()

    assert retry.held() == [f"local/{SUBNET}"]


# The engine


def restarted_engine(
    program: Program, engine: Engine, networks: list[Network], plugin_too: bool
) -> Driver:
    """A connection of the next run of dockerd, which has replayed what it knows."""
    if plugin_too:
        assert program.stop() == 0
        program.start()
    driver = program.announced(engine)
    for network in networks:
        replay(driver, network)
    return driver


both_ways = pytest.mark.parametrize("plugin_too", [False, True], ids=["live-restore", "both"])


@both_ways
def test_a_replay_returns_the_same_pools_and_addresses_and_adds_no_reference(
    program: Program, engine_b: Engine, dockerd: Driver, plugin_too: bool
) -> None:
    dual = create_network(dockerd, families=[4, 6], options={"id": "dual"})
    wide = create_network(dockerd, SUBNET)
    for network in (dual, wide):
        start_container(dockerd, network)

    dockerd = restarted_engine(program, engine_b, [dual, wide], plugin_too)

    assert dockerd.held() == [
        "local/100.64.0.0/30",
        f"local/{SUBNET}",
        "local/fc00:f00f::/64",
    ]
    assert [dockerd.references(pool) for pool in (*dual.gateways, wide.pool)] == [1, 1, 1]
    assert dockerd.unclaimed(wide.pool) == []
    remove_network(dockerd, dual)
    remove_network(dockerd, wide)
    assert dockerd.held() == []


@both_ways
def test_addresses_that_are_not_replayed_are_unclaimed_and_given_out_last_oldest_first(
    program: Program, engine_b: Engine, dockerd: Driver, plugin_too: bool
) -> None:
    network = create_network(dockerd, SMALL)
    start_container(dockerd, network)
    for _ in range(2):
        start_container(dockerd, network)
    # Docker forgets two of the three containers.
    del network.containers[1:]

    dockerd = restarted_engine(program, engine_b, [network], plugin_too)

    assert dockerd.unclaimed(network.pool) == ["100.64.6.3", "100.64.6.4"]
    given = [start_container(dockerd, network)[0] for _ in range(4)]
    assert given == ["100.64.6.5/29", "100.64.6.6/29", "100.64.6.3/29", "100.64.6.4/29"]
    assert dockerd.unclaimed(network.pool) == []
    assert "has no free address" in dockerd.address_error(network.pool)


def test_an_unclaimed_address_is_given_to_whoever_asks_for_it(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    network = create_network(dockerd, SUBNET)
    start_container(dockerd, network)
    network.containers.clear()
    dockerd = restarted_engine(program, engine_b, [network], plugin_too=False)

    assert dockerd.request_address(network.pool, "100.64.5.2") == "100.64.5.2/24"
    assert "in use since" in dockerd.address_error(network.pool, "100.64.5.2")


def test_an_address_can_be_replayed_once_per_epoch(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    network = create_network(dockerd, SUBNET)
    start_container(dockerd, network)
    dockerd = restarted_engine(program, engine_b, [network], plugin_too=False)

    assert "in use since" in dockerd.address_error(network.pool, "100.64.5.2")
    assert "in use since" in dockerd.address_error(network.pool, "100.64.5.1", GATEWAY)


def test_a_network_created_after_a_replay_is_a_second_reference(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    first = create_network(dockerd, SUBNET, options=SHARED)
    dockerd = restarted_engine(program, engine_b, [first], plugin_too=False)

    second = create_network(dockerd, SUBNET, options=SHARED)

    assert dockerd.references(first.pool) == 2
    remove_network(dockerd, second)
    assert dockerd.references(first.pool) == 1


def test_two_networks_on_one_subnet_are_both_replayed(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    networks = [create_network(dockerd, SUBNET, options=SHARED) for _ in range(2)]

    dockerd = restarted_engine(program, engine_b, networks, plugin_too=False)

    assert dockerd.references(networks[0].pool) == 2


def test_a_pool_with_an_ip_range_is_replayed_with_it(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    pool = dockerd.request_pool(SUBNET, ip_range="100.64.5.64/26", options={})
    dockerd.request_address(pool, "100.64.5.1", GATEWAY)
    dockerd.request_address(pool)

    dockerd = program.announced(engine_b)
    again = dockerd.request_pool(SUBNET, ip_range="100.64.5.64/26", options={})

    assert again == pool
    assert dockerd.references(pool) == 1
    assert dockerd.request_address(pool, "100.64.5.1", GATEWAY) == "100.64.5.1/24"
    assert dockerd.request_address(pool, "100.64.5.64") == "100.64.5.64/24"


def test_a_replay_is_served_whatever_the_schema_says(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    network = create_network(dockerd, options={"scope_filter_tags": "ingress"})
    assert program.stop() == 0
    program.schema.write_text("{")

    program.start()
    dockerd = program.announced(engine_b)
    replay(dockerd, network)

    assert "no new network can be given a subnet" in dockerd.pool_error()
    assert start_container(dockerd, network) == ["100.64.32.2/30"]


def test_a_pool_whose_removal_the_plugin_missed_is_shown_as_unclaimed(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    kept, removed = create_network(dockerd, SUBNET), create_network(dockerd)

    dockerd = restarted_engine(program, engine_b, [kept], plugin_too=True)

    claimed = {pool["id"]: pool["claimed"] for pool in dockerd.get("/v1/pools")}
    assert claimed == {kept.pool.id: True, removed.pool.id: False}
    assert create_network(dockerd).subnets == ["100.64.0.4/30"]


# Swarm


def swarm_network(driver: Driver, subnet: str = "") -> Pool:
    pool = driver.request_pool(subnet, space="global", options={"prefix": "28"})
    driver.request_address(pool, "" if not subnet else "100.64.0.1", GATEWAY | SERIAL)
    return pool


def test_starting_a_swarm_begins_no_epoch_in_the_local_space(
    program: Program, engine_a: Engine, dockerd: Driver
) -> None:
    """The allocator of the swarm asks for the capabilities again, in the same engine."""
    network = create_network(dockerd, SUBNET, options=SHARED)
    start_container(dockerd, network)

    dockerd.announce()

    second = create_network(dockerd, SUBNET, options=SHARED)
    assert dockerd.references(network.pool) == 2
    assert second.gateways == {network.pool: "100.64.5.3/24"}
    assert dockerd.unclaimed(network.pool) == []


def test_a_new_leader_replays_the_global_space(
    program: Program, engine_b: Engine, dockerd: Driver
) -> None:
    pool = swarm_network(dockerd)
    task = dockerd.request_address(pool, "", SERIAL)
    forgotten = dockerd.request_address(pool, "", SERIAL)

    dockerd = program.announced(engine_b)
    assert swarm_network(dockerd, pool.subnet) == pool
    assert dockerd.request_address(pool, task.partition("/")[0], SERIAL) == task

    assert dockerd.references(pool) == 1
    assert dockerd.unclaimed(pool) == [forgotten.partition("/")[0]]
    assert dockerd.request_address(pool, "", SERIAL) == "100.64.0.4/28"


def test_a_replayed_swarm_network_that_only_another_node_knew_is_a_new_pool(
    dockerd: Driver,
) -> None:
    pool = swarm_network(dockerd, "100.64.0.0/28")

    assert dockerd.request_address(pool, "100.64.0.7", SERIAL) == "100.64.0.7/28"


# Driver names


def test_each_driver_name_has_its_own_epochs(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.start(DRIVER_ALIASES="pyipam=")
    main, alias = program.driver(engine_a), program.driver(engine_a, "pyipam")
    main.announce()
    alias.announce()
    first, second = create_network(main, SUBNET), create_network(alias, SMALL)
    start_container(main, first)
    start_container(alias, second)

    # The next engine uses only one of the names at first.
    main, alias = program.driver(engine_b), program.driver(engine_b, "pyipam")
    main.announce()

    assert "in use since" in alias.address_error(second.pool, "100.64.6.2")
    replay(main, first)
    alias.announce()
    replay(alias, second)
    assert main.references(first.pool) == alias.references(second.pool) == 1


def test_networks_of_two_driver_names_can_share_one_subnet(
    program: Program, engine_a: Engine
) -> None:
    program.start(DRIVER_ALIASES="pyipam=")
    main, alias = program.driver(engine_a), program.driver(engine_a, "pyipam")
    for driver in (main, alias):
        driver.announce()
    first, second = (
        create_network(main, SUBNET, options=SHARED),
        create_network(alias, SUBNET, options=SHARED),
    )

    remove_network(alias, second)

    assert main.held() == [f"local/{SUBNET}"]
    assert main.leases(first.pool) == ["100.64.5.1"]
    remove_network(main, first)
    assert main.held() == []
