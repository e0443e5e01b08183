"""Four hosts that draw from one plan at the same time: nothing is given out twice or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import pairwise

import pytest

from pyipam.store.records import LeaseRecord, PoolRecord
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.dockerd import Driver, Pool, create_network
from tests.support.mongodb.hosts import Host, running_hosts
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.program import scope

NAMES = ("nodea", "nodeb", "nodec", "noded")
CONNECTIONS = 4
SCOPES = (
    scope("10.0.0.0/16", 28, tags=["default"]),
    scope("10.1.0.0/16", 20, tags=["shared"]),
)
# Explicit subnets that every host has, like those of macvlan networks.
SHARED_SUBNETS = ("10.1.0.0/20", "10.1.16.0/20")
# For each connection.
BLOCKS = 60
CONTAINERS_IN_A_BLOCK = 7
CONTAINERS_IN_SHARED_SUBNETS = 120
GIVEN_BACK = 25
BLOCKS_IN_ALL = 960
LEASES_IN_ALL = 9_600


@dataclass
class Given:
    """What the plugin of one host has given out on one connection."""

    blocks: list[Pool] = field(default_factory=list)
    gateways: list[tuple[str, str]] = field(default_factory=list)
    containers: list[tuple[str, str]] = field(default_factory=list)


def draw(driver: Driver, shared: list[Pool]) -> Given:
    """Create networks and start containers, some of them in the shared subnets; stop some."""
    given = Given()
    for number in range(BLOCKS):
        network = create_network(driver)
        given.blocks.append(network.pool)
        given.gateways += [(pool.id, bare(text)) for pool, text in network.gateways.items()]
        start(driver, given, network.pool, CONTAINERS_IN_A_BLOCK)
        pool = shared[number % len(shared)]
        start(driver, given, pool, CONTAINERS_IN_SHARED_SUBNETS // BLOCKS)
        if number < GIVEN_BACK:
            driver.release_address(pool, given.containers.pop()[1])
            start(driver, given, pool, 1)
    return given


def start(driver: Driver, given: Given, pool: Pool, count: int) -> None:
    for _ in range(count):
        given.containers.append((pool.id, bare(driver.request_address(pool))))


def bare(address: str) -> str:
    return address.partition("/")[0]


@pytest.fixture(scope="module")
def plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture(scope="module")
def hosts(plan: SharedPlan) -> Iterator[list[Host]]:
    with running_hosts(plan.address.url, NAMES, SCOPES) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def given(hosts: list[Host]) -> dict[str, list[Given]]:
    """What each host was given on its connections, all of which were used at the same time."""
    shared = {
        host.name: [create_network(host.connect(), subnet).pool for subnet in SHARED_SUBNETS]
        for host in hosts
    }
    with ThreadPoolExecutor(len(hosts) * CONNECTIONS) as threads:
        running = {
            host.name: [
                threads.submit(draw, host.connect(), shared[host.name]) for _ in range(CONNECTIONS)
            ]
            for host in hosts
        }
        return {name: [done.result() for done in futures] for name, futures in running.items()}


Everything = dict[str, list[Given]]


def all_given(given: Everything) -> list[Given]:
    return [item for items in given.values() for item in items]


def test_every_request_was_served(given: Everything) -> None:
    everything = all_given(given)

    assert sum(len(item.blocks) for item in everything) == BLOCKS_IN_ALL
    assert sum(len(item.gateways) + len(item.containers) for item in everything) == LEASES_IN_ALL


def test_no_two_blocks_overlap(given: Everything) -> None:
    blocks = sorted(IPv4Network(pool.subnet) for item in all_given(given) for pool in item.blocks)

    overlapping = [(one, next_one) for one, next_one in pairwise(blocks) if one.overlaps(next_one)]
    assert overlapping == []


def test_no_two_containers_have_the_same_address(given: Everything) -> None:
    addresses = Counter(address for item in all_given(given) for _, address in item.containers)

    assert [address for address, count in addresses.items() if count > 1] == []


def expected_leases(items: list[Given]) -> set[tuple[str, str]]:
    """The leases of one host, with the gateways of the shared subnets."""
    shared = {(f"local/{subnet}", str(IPv4Network(subnet)[1])) for subnet in SHARED_SUBNETS}
    return shared.union(*(item.gateways + item.containers for item in items))


def test_every_host_shows_what_it_was_given(hosts: list[Host], given: Everything) -> None:
    for host in hosts:
        driver = host.connect()
        expected = {f"local/{subnet}" for subnet in SHARED_SUBNETS}
        expected |= {pool.id for item in given[host.name] for pool in item.blocks}
        assert set(driver.held()) == expected
        shown = {(name, lease) for name in expected for lease in driver.leases(Pool(name, ""))}
        assert shown == expected_leases(given[host.name])


def test_exactly_what_was_given_is_in_the_database(plan: SharedPlan, given: Everything) -> None:
    for name, items in given.items():
        stored = plan.records(name)
        leases = [record for record in stored if isinstance(record, LeaseRecord)]
        pools = [record for record in stored if isinstance(record, PoolRecord)]
        own = {(lease.pool, lease.address) for lease in leases if lease.pool.startswith("local/")}
        assert own == expected_leases(items)
        assert len(leases) == LEASES_IN_ALL + len(SHARED_SUBNETS) * len(NAMES)
        assert len(pools) == BLOCKS_IN_ALL + len(SHARED_SUBNETS) * len(NAMES)


def test_a_restarted_host_shows_the_same(hosts: list[Host], given: Everything) -> None:
    host = hosts[0]
    before = host.connect().held()

    assert host.program.stop() == 0
    host.start()

    assert host.connect().held() == before
    start(host.connect(), Given(), given[host.name][0].blocks[0], 1)
