"""Many networks and many containers, created and removed at once."""

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from itertools import combinations

import pytest

from tests.support.engine.objects import Network, create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

pytestmark = pytest.mark.any_engine

_COUNT = 20


def test_twenty_networks_created_at_once_get_the_twenty_lowest_blocks(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    with ThreadPoolExecutor(_COUNT) as pool:
        networks = list(
            pool.map(lambda number: create_network(engine, f"net{number}"), range(_COUNT))
        )

    subnets = sorted(IPv4Network(network.subnets[0]) for network in networks)
    assert subnets == list(IPv4Network("100.64.0.0/20").subnets(new_prefix=30))[:_COUNT]


def test_twenty_containers_started_at_once_get_the_twenty_lowest_addresses(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--ipv6", "--ipam-opt", "prefix=24")

    with ThreadPoolExecutor(_COUNT) as pool:
        containers = list(pool.map(lambda n: run_container(engine, f"c{n}", "net"), range(_COUNT)))

    addresses = [container.addresses for container in containers]
    ipv4 = {pair[0] for pair in addresses}
    ipv6 = {pair[1] for pair in addresses}
    assert ipv4 == {f"100.64.0.{host}/24" for host in range(2, 2 + _COUNT)}
    assert ipv6 == {f"fc00:f00f::{host:x}/64" for host in range(2, 2 + _COUNT)}


def test_networks_of_mixed_sizes_created_at_once_never_overlap(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    def create(number: int) -> IPv4Network:
        network = create_network(engine, f"net{number}", "--ipam-opt", f"prefix={24 + number % 6}")
        return IPv4Network(network.subnets[0])

    with ThreadPoolExecutor(_COUNT) as pool:
        subnets = list(pool.map(create, range(_COUNT)))

    assert all(subnet.subnet_of(IPv4Network("100.64.0.0/20")) for subnet in subnets)
    assert not [pair for pair in combinations(subnets, 2) if pair[0].overlaps(pair[1])]


def test_networks_removed_at_once_leave_nothing_held(engine: PrivateEngine, plugin: Plugin) -> None:
    networks = [create_network(engine, f"net{number}", "--ipv6") for number in range(_COUNT)]

    with ThreadPoolExecutor(_COUNT) as pool:
        list(pool.map(Network.remove, networks))

    assert plugin.pools() == []
    assert plugin.status()["leases"] == 0
