"""Overlay networks by tag, on one manager and two workers: containers, services, addresses."""

import pytest

from tests.support.engine.objects import Container, create_network, run_container
from tests.swarm.cluster import Cluster
from tests.swarm.objects import (
    Task,
    check_addresses,
    create_overlay,
    create_service,
    remove_overlay,
)

pytestmark = [
    pytest.mark.parametrize("cluster", ["one manager"], indirect=True, scope="session"),
    pytest.mark.usefixtures("nothing_refused", "nothing_left"),
]


def _ids(swarm: Cluster) -> list[list[str]]:
    """The pools that each node's plugin holds."""
    return [[str(pool["id"]) for pool in node.plugin.pools()] for node in swarm.nodes]


def _containers(swarm: Cluster, tasks: list[Task]) -> list[Container]:
    return [Container(swarm.node(task.node).engine, task.container) for task in tasks]


def test_an_overlay_network_draws_its_subnet_by_tag(swarm: Cluster) -> None:
    network = create_overlay(swarm, "net")

    assert network.subnets == ["100.64.0.0/28"]
    assert network.gateways == ["100.64.0.1"]
    assert create_overlay(swarm, "next").subnets == ["100.64.0.16/28"]
    assert create_overlay(swarm, "other", tags="shared").subnets == ["100.66.0.0/28"]


@pytest.mark.parametrize(
    ("options", "subnet"),
    [
        (["--ipam-opt", "prefix=26"], "100.64.0.0/26"),
        (["--subnet", "100.64.9.0/24"], "100.64.9.0/24"),
    ],
    ids=["prefix", "explicit"],
)
def test_an_overlay_network_can_ask_for_a_size_or_a_subnet_that_its_containers_use(
    swarm: Cluster, options: list[str], subnet: str
) -> None:
    network = create_overlay(swarm, "net", *options)
    container = run_container(swarm.node("node2").engine, "one", "net")

    assert network.subnets == [subnet]
    assert [address.split("/")[1] for address in container.addresses] == [subnet.split("/")[1]]


def test_a_local_network_draws_no_block_from_a_scope_for_swarm(swarm: Cluster) -> None:
    create_overlay(swarm, "net")

    assert create_network(swarm.node("node2").engine, "own").subnets == ["100.65.0.0/28"]


def test_the_plugins_of_the_leader_and_of_nodes_with_containers_hold_the_subnet(
    swarm: Cluster,
) -> None:
    create_overlay(swarm, "net")
    assert _ids(swarm) == [["global/100.64.0.0/28"], [], []]

    run_container(swarm.node("node2").engine, "on-worker", "net")
    assert _ids(swarm) == [["global/100.64.0.0/28"], ["local/100.64.0.0/28"], []]

    run_container(swarm.node("node1").engine, "on-leader", "net")
    both = ["global/100.64.0.0/28", "local/100.64.0.0/28"]
    assert _ids(swarm) == [both, ["local/100.64.0.0/28"], []]


def test_containers_on_all_nodes_get_different_addresses_and_reach_each_other(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net")
    containers = [run_container(node.engine, f"on-{node.name}", "net") for node in swarm.nodes]

    check_addresses(swarm, network)
    addresses = [container.addresses[0].split("/")[0] for container in containers]
    for container in containers:
        assert [address for address in addresses if not container.reaches(address)] == []


def test_a_container_gets_the_address_that_it_asks_for(swarm: Cluster) -> None:
    network = create_overlay(swarm, "net", "--subnet", "100.64.5.0/24")
    worker = swarm.node("node3").engine

    asked = run_container(worker, "asked", "net", "--ip", "100.64.5.77")
    run_container(worker, "any", "net")

    assert asked.addresses == ["100.64.5.77/24"]
    check_addresses(swarm, network)


def test_tasks_that_start_leave_the_fixed_address_of_a_stopped_container_alone(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net", "--subnet", "100.64.5.0/24")
    worker = swarm.node("node3").engine
    fixed = run_container(worker, "fixed", "net", "--ip", "100.64.5.5")
    worker.must("stop", "--time", "0", "fixed")

    service = create_service(swarm, "web", "net", 6)
    tasks = service.wait_until_running(6)
    worker.must("start", "fixed")

    assert "100.64.5.5" not in {task.address for task in tasks}
    assert fixed.addresses == ["100.64.5.5/24"]
    check_addresses(swarm, network)


def test_automatic_addresses_come_from_the_ip_range(swarm: Cluster) -> None:
    create_overlay(swarm, "net", "--subnet", "100.64.5.0/24", "--ip-range", "100.64.5.64/26")
    containers = [run_container(node.engine, "one", "net") for node in swarm.nodes[1:]]

    last_octets = [
        int(container.addresses[0].split("/")[0].split(".")[-1]) for container in containers
    ]
    assert [octet for octet in last_octets if not 64 <= octet <= 127] == []


def test_a_service_gets_a_virtual_address_and_each_task_a_reachable_one(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net")
    service = create_service(swarm, "web", "net", 3)
    tasks = service.wait_until_running(3)

    check_addresses(swarm, network)
    assert service.virtual_address.startswith("100.64.0.")
    assert {task.node for task in tasks} == {"node1", "node2", "node3"}
    for container in _containers(swarm, tasks):
        assert [task.address for task in tasks if not container.reaches(task.address)] == []


def test_a_service_can_be_scaled_up_down_and_up_again(swarm: Cluster) -> None:
    network = create_overlay(swarm, "net")
    service = create_service(swarm, "web", "net", 2)
    first = service.wait_until_running(2)

    for replicas in (6, 1, 7):
        service.scale(replicas)
        check_addresses(swarm, network)

    assert service.tasks()[0] in first


def test_a_rolling_update_replaces_every_task_and_keeps_the_virtual_address(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net")
    service = create_service(swarm, "web", "net", 3, "--update-monitor", "0s")
    before, virtual_address = service.wait_until_running(3), service.virtual_address

    service.update("--update-order", "start-first", "--env-add", "GENERATION=2")
    swarm.wait_for("update completed", lambda: service.update_state() == "completed")
    after = service.wait_until_running(3)

    assert {task.container for task in before} & {task.container for task in after} == set()
    assert service.virtual_address == virtual_address
    check_addresses(swarm, network)


def test_the_subnet_of_a_removed_network_is_given_out_again(swarm: Cluster) -> None:
    network = create_overlay(swarm, "net")
    service = create_service(swarm, "web", "net", 3)
    service.wait_until_running(3)

    service.remove()
    remove_overlay(swarm, network)
    swarm.wait_for("nothing held", lambda: _ids(swarm) == [[], [], []])

    assert create_overlay(swarm, "next").subnets == ["100.64.0.0/28"]
