"""Twenty calls at once, and the loop in which dockerd looks for a block that no route overlaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from threading import Barrier
from typing import TypeVar

import pytest

from tests.support.dockerd import (
    GATEWAY,
    Driver,
    Engine,
    Pool,
    create_network,
    remove_network,
    start_container,
)
from tests.support.program import Program

Result = TypeVar("Result")
CALLERS = 20


@pytest.fixture
def callers(
    shared_program: Program, shared_engine: Engine, driver: Driver
) -> Iterator[list[Driver]]:
    """Twenty connections to the shared plugin, which holds nothing."""
    assert driver.held() == []
    callers = [shared_program.driver(shared_engine) for _ in range(CALLERS)]
    yield callers
    for caller in callers:
        caller.close()


def at_once(callers: list[Driver], act: Callable[[Driver], Result]) -> list[Result]:
    """What each caller gets when all act at the same moment."""
    barrier = Barrier(len(callers))

    def run(caller: Driver) -> Result:
        barrier.wait()
        return act(caller)

    with ThreadPoolExecutor(len(callers)) as threads:
        return list(threads.map(run, callers))


def test_networks_created_at_once_get_blocks_that_do_not_overlap(callers: list[Driver]) -> None:
    networks = at_once(callers, lambda caller: create_network(caller, families=[4, 6]))

    ipv4 = sorted(ip_network(network.subnets[0]) for network in networks)
    assert [str(block) for block in ipv4] == [f"100.64.0.{4 * n}/30" for n in range(CALLERS)]
    ipv6 = {network.subnets[1] for network in networks}
    assert ipv6 == {f"fc00:f00f:0:{n:x}::/64".replace("f:0:0:", "f:") for n in range(CALLERS)}


def test_containers_started_at_once_get_different_addresses(
    driver: Driver, callers: list[Driver]
) -> None:
    network = create_network(driver, "100.64.5.0/24")

    addresses = at_once(callers, lambda caller: caller.request_address(network.pool))

    assert sorted(addresses, key=lambda text: int(text.split(".")[3].split("/")[0])) == [
        f"100.64.5.{n}/24" for n in range(2, CALLERS + 2)
    ]


def test_an_address_requested_by_all_is_given_to_one(driver: Driver, callers: list[Driver]) -> None:
    network = create_network(driver, "100.64.5.0/24")
    body = {"PoolID": network.pool.id, "Address": "100.64.5.9", "Options": None}

    replies = at_once(callers, lambda caller: caller.call("RequestAddress", body))

    assert sorted(reply.status for reply in replies) == [200] + [409] * (CALLERS - 1)


def test_the_last_free_address_is_given_to_one_of_all_who_ask(
    driver: Driver, callers: list[Driver]
) -> None:
    network = create_network(driver)
    body = {"PoolID": network.pool.id, "Address": "", "Options": None}

    replies = at_once(callers, lambda caller: caller.call("RequestAddress", body))

    assert sorted(reply.status for reply in replies) == [200] + [409] * (CALLERS - 1)


def test_networks_created_used_and_removed_at_once_leave_nothing_held(
    driver: Driver, callers: list[Driver]
) -> None:
    def live(caller: Driver) -> None:
        for _ in range(3):
            network = create_network(caller, options={"prefix": "29"}, families=[4, 6])
            for _ in range(3):
                start_container(caller, network)
            for container in network.containers:
                for pool, address in container.items():
                    caller.release_address(pool, address)
            remove_network(caller, network)

    at_once(callers, live)

    assert driver.held() == []


def test_views_are_answered_while_calls_are_served(driver: Driver, callers: list[Driver]) -> None:
    def act(caller: Driver) -> None:
        network = create_network(caller)
        assert network.pool.id in [pool["id"] for pool in caller.get("/v1/pools")]
        assert caller.leases(network.pool) == [network.gateways[network.pool].partition("/")[0]]
        remove_network(caller, network)

    at_once(callers, act)


def request_again(driver: Driver, tries: int) -> list[Pool]:
    return [driver.request_pool(options={"id": "n"}) for _ in range(tries)]


def test_every_repetition_of_a_request_gets_another_block(driver: Driver) -> None:
    """dockerd keeps a block that overlaps a route of the host, and repeats the request."""
    pools = request_again(driver, 16)

    assert [pool.subnet for pool in pools] == [f"100.64.0.{4 * n}/30" for n in range(16)]


def test_blocks_that_dockerd_returns_are_free_at_once(driver: Driver) -> None:
    *colliding, kept = request_again(driver, 5)
    for pool in reversed(colliding):
        driver.release_pool(pool)

    assert driver.request_address(kept, "", GATEWAY) == "100.64.0.17/30"
    assert driver.request_pool().subnet == "100.64.0.0/30"


def test_repeating_a_request_ends_in_a_refusal_once_the_scope_is_full(driver: Driver) -> None:
    pools = [driver.request_pool(options={"prefix": "22"}) for _ in range(4)]

    error = driver.pool_error(options={"prefix": "22"})

    assert len({pool.subnet for pool in pools}) == 4
    assert error.startswith("no block is free for an IPv4 network: scope 100.64.0.0/20 is full")
