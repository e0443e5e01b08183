"""Hosts that claim blocks of one plan, with their engines: they are killed, lose the database, get
another schema, are forgotten and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Network
from itertools import pairwise
from threading import Event
from typing import Any

import pytest

from pyipam.cli.main import main
from pyipam.store.pool_id import NO_NODE, split_node, subnet_of
from pyipam.store.records import AggregateRecord, PoolRecord
from tests.mongodb.losses import LOSSES
from tests.mongodb.nodes import SharedPlan
from tests.support.dockerd import Driver, Network, create_network, remove_network, start_container
from tests.support.mongodb.hosts import SPARE, Host, running_hosts
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.program import scope, wait_until

NAMES = ("h1", "h2", "h3")
# Sixteen subnets in each aggregate.
CLAIMED = scope("10.1.0.0/16", 26, node_prefix=22, tags=["default"])
PLAIN = scope("10.1.0.0/16", 26, tags=["default"])
pytestmark = pytest.mark.usefixtures("waited")

FORGOTTEN = "was forgotten by an operator"


@pytest.fixture
def hosts(plan: SharedPlan) -> Iterator[list[Host]]:
    with running_hosts(plan.address.url, NAMES, [CLAIMED], DEFAULT_TAGS="default") as hosts:
        yield hosts


def stored_aggregates(plan: SharedPlan) -> dict[str, list[str]]:
    """The aggregates of each node, which do not rest."""
    found: dict[str, list[str]] = {}
    for record in plan.records(NO_NODE):
        if isinstance(record, AggregateRecord) and record.released is None:
            space, _, cidr = record.id.partition("/")
            found.setdefault(split_node(space)[1], []).append(cidr)
    return found


def stored_pools(plan: SharedPlan) -> set[str]:
    return {each.id for each in plan.records(NO_NODE) if isinstance(each, PoolRecord)}


def check_blocks(plan: SharedPlan) -> None:
    """No two aggregates overlap, nor do two pools; and a pool lies in an aggregate of its node."""
    aggregates = stored_aggregates(plan)
    everything = sorted(IPv4Network(cidr) for cidrs in aggregates.values() for cidr in cidrs)
    assert not [pair for pair in pairwise(everything) if pair[0].overlaps(pair[1])]
    pools = [each for each in plan.records(NO_NODE) if isinstance(each, PoolRecord)]
    networks = sorted(IPv4Network(subnet_of(pool.id)) for pool in pools)
    assert not [pair for pair in pairwise(networks) if pair[0].overlaps(pair[1])]
    for pool in pools:
        if pool.aggregate:
            node = split_node(pool.id.partition("/")[0])[1]
            assert pool.aggregate in aggregates[node]
            assert IPv4Network(subnet_of(pool.id)).subnet_of(IPv4Network(pool.aggregate))


def routes(driver: Driver) -> list[str]:
    """What the host has to announce. Fails unless the plugin is ready to say so."""
    return [route["prefix"] for route in driver.get("/v1/routes")["routes"]]


def forget(plan: SharedPlan, *options: str) -> None:
    assert main(["nodes", "forget", "--store-url", plan.address.url, *options]) == 0


class Churn:
    """Networks that a host creates and removes, until its plugin ends or the block does."""

    def __init__(self, host: Host) -> None:
        self.networks: list[Network] = []
        self.created = 0
        self.refused: list[str] = []
        self._host = host
        self._stopping = Event()

    def run(self) -> None:
        driver = self._host.connect()
        while not self._stopping.is_set():
            try:
                network = create_network(driver)
                start_container(driver, network)
                self.networks.append(network)
                self.created += 1
                if self.created % 4 == 0:
                    remove_network(driver, self.networks.pop(0))
            except (EOFError, OSError, BrokenPipeError):
                return
            except AssertionError as refusal:
                self.refused.append(str(refusal))

    def stop(self) -> None:
        self._stopping.set()

    def wait_for(self, count: int) -> None:
        """Wait until this many more networks have been created."""
        wanted = self.created + count
        wait_until(lambda: self.created >= wanted, f"{count} more networks were created")


@contextmanager
def churning(hosts: list[Host]) -> Iterator[list[Churn]]:
    churns = [Churn(host) for host in hosts]
    with ThreadPoolExecutor(len(hosts)) as threads:
        running = [threads.submit(churn.run) for churn in churns]
        try:
            yield churns
        finally:
            for churn in churns:
                churn.stop()
        for done in running:
            done.result()


def test_networks_of_different_hosts_come_from_aggregates_of_each(
    plan: SharedPlan, hosts: list[Host]
) -> None:
    with churning(hosts) as churns:
        for churn in churns:
            churn.wait_for(25)

    assert [churn.refused for churn in churns] == [[], [], []]
    check_blocks(plan)
    assert stored_aggregates(plan).keys() == set(NAMES)
    for host, churn in zip(hosts, churns, strict=True):
        driver = host.connect()
        announced = [IPv4Network(prefix) for prefix in routes(driver)]
        for network in churn.networks:
            assert any(IPv4Network(network.pool.subnet).subnet_of(each) for each in announced)


def test_hosts_that_are_killed_in_the_middle_lose_nothing_and_go_on(
    plan: SharedPlan, hosts: list[Host]
) -> None:
    kept: list[set[str]] = [set() for _ in hosts]
    for _ in range(3):
        with churning(hosts) as churns:
            for host, churn in zip(hosts, churns, strict=True):
                churn.wait_for(7)
                host.program.kill()
        for number, churn in enumerate(churns):
            kept[number] |= {network.pool.id for network in churn.networks}
        check_blocks(plan)
        for host, pools in zip(hosts, kept, strict=True):
            host.start()
            assert pools <= set(host.connect().held())
    for host in hosts:
        create_network(host.connect())
    check_blocks(plan)


@pytest.mark.usefixtures("repaired_afterwards")
@pytest.mark.parametrize("lose", LOSSES)
def test_hosts_go_on_in_their_aggregates_after_a_fail_over(
    plan: SharedPlan, hosts: list[Host], lose: Callable[[ReplicaSet], None]
) -> None:
    with churning(hosts) as churns:
        for churn in churns:
            churn.wait_for(5)
        lose(plan.replica_set)
        for churn in churns:
            churn.wait_for(10)
    plan.replica_set.repair()

    for host in hosts:
        host.wait_until_settled()
    check_blocks(plan)
    for host, churn in zip(hosts, churns, strict=True):
        held = set(host.connect().held())
        assert {network.pool.id for network in churn.networks} <= held
        here = {pool for pool in stored_pools(plan) if pool.startswith(f"local@{host.name}/")}
        assert {pool.replace("local/", f"local@{host.name}/") for pool in held} == here


def test_a_key_that_comes_and_goes_while_networks_live(plan: SharedPlan, hosts: list[Host]) -> None:
    (first, second, _) = hosts
    use(PLAIN, hosts)
    before = create_network(first.connect())
    use(CLAIMED, hosts)
    inside = [create_network(first.connect()) for _ in range(2)]
    create_network(second.connect())

    assert before.pool.subnet in routes(first.connect())
    check_blocks(plan)
    use(PLAIN, hosts)
    after = create_network(second.connect())
    check_blocks(plan)
    assert not any(
        IPv4Network(after.pool.subnet).overlaps(IPv4Network(cidr))
        for cidr in stored_aggregates(plan)["h1"]
    )
    for network in inside:
        remove_network(first.connect(), network)
    create_network(first.connect())

    assert "h1" not in stored_aggregates(plan)
    check_blocks(plan)
    assert before.pool.id in first.connect().held()


def use(wanted: dict[str, Any], hosts: list[Host]) -> None:
    """Let hosts use another scope, and wait until they do."""
    for host in hosts:
        host.program.write_schema(wanted, scope(SPARE, 28))
    for host in hosts:
        wait_until(partial(is_used, wanted, host.connect()), f"{host.name} uses it")


def is_used(wanted: dict[str, Any], driver: Driver) -> bool:
    found = {item["network"]: item for item in driver.get("/v1/scopes")}
    return bool(found["10.1.0.0/16"]["node_prefix"] == wanted.get("node_prefix"))


def test_a_forgotten_host_announces_nothing_and_gives_out_nothing_while_it_runs(
    plan: SharedPlan, hosts: list[Host]
) -> None:
    host, driver = hosts[0], hosts[0].connect()
    network = create_network(driver)
    assert routes(driver)

    forget(plan, "--force", host.name)

    wait_until(lambda: routes(driver) == [], "it announces nothing")
    assert FORGOTTEN in driver.pool_error()
    assert FORGOTTEN in driver.address_error(network.pool)
    assert FORGOTTEN in str(host.failure())
    assert create_network(hosts[1].connect())


def test_a_forgotten_host_that_returns_announces_nothing_and_gives_out_nothing(
    plan: SharedPlan, hosts: list[Host]
) -> None:
    host = hosts[0]
    create_network(host.connect())
    host.program.kill()
    forget(plan, "--force", host.name)

    host.program.start()

    driver = host.connect()
    wait_until(lambda: FORGOTTEN in str(host.failure()), "it knows that it was forgotten")
    wait_until(lambda: driver.raw("GET", "/v1/routes").status == 200, "it has read the plan")
    assert routes(driver) == []
    assert FORGOTTEN in driver.pool_error()
    assert driver.held() == []


def test_a_host_is_served_again_once_that_is_undone(plan: SharedPlan, hosts: list[Host]) -> None:
    host = hosts[0]
    network = create_network(host.connect())
    forget(plan, "--force", host.name)
    forget(plan, "--undo", host.name)
    assert host.program.stop() == 0

    driver = host.start()

    assert driver.held() == []
    again = create_network(driver)
    assert again.pool == network.pool
    assert routes(driver) == ["10.1.0.0/22"]
    check_blocks(plan)
