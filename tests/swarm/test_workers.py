"""A worker or the only manager fails and returns: no address is given twice, no replay is refused,
and leaked addresses do not get in the way."""

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


@pytest.mark.parametrize("tags", ["swarm", ""], ids=["with options", "without options"])
def test_a_worker_whose_plugin_missed_the_end_of_its_last_task_gets_the_next(
    swarm: Cluster, tags: str
) -> None:
    worker = swarm.node("node3")
    network = create_overlay(swarm, "net", "--subnet", "100.64.9.0/28", tags=tags)
    service = create_service(swarm, "web", "net", 1, "--constraint", "node.hostname==node3")
    service.wait_until_running(1)

    worker.plugin.disable(force=True)
    service.scale(0)
    swarm.wait_for(
        "the network gone from the worker",
        lambda: "net" not in worker.engine.must("network", "ls", "--format", "{{.Name}}").split(),
    )
    worker.plugin.enable()
    still_held = worker.plugin.held()
    service.scale(1)

    assert "100.64.9.0/28" in still_held
    check_none_twice(swarm, network)


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
