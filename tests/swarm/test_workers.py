"""A worker, or the only manager, ends in every way and comes back: nobody's address is given to
somebody else, no replay is refused, and what leaked is out of nobody's way."""

import pytest

from tests.support.engine.objects import run_container
from tests.swarm.cluster import Cluster
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
def test_a_worker_that_ended_and_came_back_shares_no_address(swarm: Cluster, end: str) -> None:
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


# Without power its workers would wait for its answers until swarm takes them for lost.
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_only_manager_that_ended_and_came_back_is_told_of_every_address(
    swarm: Cluster, end: str
) -> None:
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


def test_the_leader_s_plugin_that_was_killed_alone_still_holds_all_that_it_held(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    service = create_service(swarm, "web", "net", 3)
    service.wait_until_running(3)

    swarm.leader().plugin.kill_and_wait()

    check_addresses(swarm, network)
    service.scale(6)
    check_addresses(swarm, network)


def test_a_subnet_that_a_lost_worker_had_is_mirrored_in_another_size_when_it_is_back(
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
    assert [line for line in worker.plugin.log if displaced in line]
    check_addresses(swarm, large)
