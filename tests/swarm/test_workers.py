"""A worker or the only manager fails and returns: no address is given twice, no replay is refused,
and leaked addresses do not get in the way."""

import pytest

from tests.support.engine.objects import run_container
from tests.swarm.cluster import Cluster, Node
from tests.swarm.objects import (
    check_addresses,
    check_none_twice,
    create_overlay,
    create_service,
    remove_overlay,
)

pytestmark = [
    pytest.mark.parametrize("cluster", ["one manager"], indirect=True, scope="session"),
    pytest.mark.usefixtures("nothing_refused"),
]


@pytest.mark.parametrize("end", ["kill", "cut_power"])
def test_a_worker_that_fails_and_returns_shares_no_address(swarm: Cluster, end: str) -> None:
    network = create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    run_container(swarm.node("node3").engine, "own", "net", "--restart", "always")
    service = create_service(swarm, "web", "net", 6)
    before = {task.node: task.address for task in service.wait_until_running(6)}

    getattr(swarm.node("node3").engine, end)()
    moved = service.wait_until_running(6)
    check_none_twice(swarm, network)
    service.scale(9)
    check_none_twice(swarm, network)
    swarm.node("node3").engine.start()
    swarm.wait_until_ready()
    tasks = service.scale(12)

    assert {task.node for task in moved} == {"node1", "node2"}
    assert {before["node1"], before["node2"]} <= {task.address for task in tasks}
    assert "node3" in {task.node for task in tasks}
    check_addresses(swarm, network)


# After a power cut its workers would wait for its answers until they count as down.
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_only_manager_learns_every_address_when_it_returns(swarm: Cluster, end: str) -> None:
    network = create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    service = create_service(swarm, "web", "net", 6)
    before = [task for task in service.wait_until_running(6) if task.node != "node1"]
    manager = swarm.leader()

    getattr(manager.engine, end)()
    manager.engine.start()
    swarm.wait_until_ready()
    tasks = service.scale(9)

    assert {task.address for task in before} <= {task.address for task in tasks}
    assert len({task.address for task in tasks}) == 9
    check_addresses(swarm, network)
    assert create_overlay(swarm, "next").subnets == ["100.64.0.32/28"]


def test_a_killed_plugin_of_the_leader_comes_back_with_everything_it_held(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    service = create_service(swarm, "web", "net", 3)
    service.wait_until_running(3)

    swarm.leader().plugin.kill_and_wait()

    check_addresses(swarm, network)
    service.scale(6)
    check_addresses(swarm, network)


def test_a_worker_whose_plugin_missed_the_end_of_its_last_tasks_gets_the_next(
    swarm: Cluster,
) -> None:
    worker = swarm.node("node3")
    with_options = create_overlay(swarm, "with-options", "--subnet", "100.64.9.0/28")
    without = create_overlay(swarm, "without", "--subnet", "100.64.9.16/28", tags="")
    on_worker = ("--constraint", "node.hostname==node3")
    services = [
        create_service(swarm, f"on-{network.name}", network.name, 1, *on_worker)
        for network in (with_options, without)
    ]
    for service in services:
        service.wait_until_running(1)

    worker.plugin.disable(force=True)
    for service in services:
        service.scale(0)
    # Until then it tries again and again, though it no longer lists the networks.
    swarm.wait_for("dockerd has given up", lambda: _releases_given_up(worker) == 2)
    worker.plugin.enable()
    still_held = worker.plugin.held()
    for service in services:
        service.scale(1)

    assert still_held == ["100.64.9.0/28", "100.64.9.16/28"]
    check_none_twice(swarm, with_options)
    check_none_twice(swarm, without)


def _releases_given_up(node: Node) -> int:
    lines = node.engine.log.splitlines()
    return sum("Failed to release address pool local/100.64.9." in line for line in lines)


def test_a_returning_worker_mirrors_a_subnet_whose_size_has_changed(
    swarm: Cluster,
) -> None:
    worker = swarm.node("node3")
    on_worker = ("--constraint", "node.hostname==node3")
    small = create_overlay(swarm, "small")
    service = create_service(swarm, "web", "small", 1, *on_worker)
    service.wait_until_running(1)

    worker.engine.cut_power()
    service.remove()
    remove_overlay(swarm, small)
    large = create_overlay(swarm, "large", "--ipam-opt", "prefix=27")
    worker.engine.start()
    create_service(swarm, "next", "large", 1, *on_worker).wait_until_running(1)

    assert large.subnets == ["100.64.0.0/27"]
    displaced = "unclaimed pool displaced pool=local/100.64.0.0/28 by=local/100.64.0.0/27"
    worker.plugin.wait_for_line(displaced)
    check_addresses(swarm, large)
