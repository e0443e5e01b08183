"""Three managers: each new leader learns every address, and none is given twice."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.engine.host_command import Command
from tests.support.engine.objects import Network, run_container
from tests.swarm.cluster import Cluster, Node
from tests.swarm.objects import (
    Service,
    Task,
    check_addresses,
    check_none_twice,
    create_overlay,
    create_service,
    remove_overlay,
)

pytestmark = pytest.mark.parametrize("cluster", ["three managers"], indirect=True, scope="session")
_NOTHING_REFUSED = pytest.mark.usefixtures("nothing_refused")


def _addresses_off(node: Node, tasks: list[Task]) -> set[str]:
    return {task.address for task in tasks if task.node != node.name}


def _claims(node: Node) -> dict[str, bool]:
    """The pools of the plugin of the node, each with whether Docker has claimed it."""
    return {str(pool["id"]): bool(pool["claimed"]) for pool in node.plugin.pools()}


def _unclaimed(node: Node, subnet: str) -> list[str]:
    """The addresses of the subnet in the global space that the plugin of the node shows as
    unclaimed."""
    leases = node.plugin.get(f"/v1/leases?pool=global/{subnet}")
    return [
        str(lease["address"]) for lease in leases if not lease["claimed"] and not lease["resting"]
    ]


def _manages_without(node: Node, network: str) -> bool:
    """Whether the engine of the node says that it is a manager, and knows no network of the
    name."""
    names = [each["Name"] for each in node.engine.listing("/networks")]
    return node.role() == "manager" and network not in names


def _free_leaks(command: Command, report: str) -> None:
    """Free what the plugin was not told of when networks of earlier tests were removed: another
    manager led by then."""
    if command.run("reconcile", "--report", report):
        command("reconcile", "--apply", report)


@pytest.fixture
def web(swarm: Cluster) -> Service:
    """A service of six tasks on a network `net`."""
    create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    service = create_service(swarm, "web", "net", 6)
    service.wait_until_running(6)
    return service


@_NOTHING_REFUSED
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_new_leader_takes_over_from_a_lost_one(swarm: Cluster, web: Service, end: str) -> None:
    lost, before = swarm.leader(), web.tasks()

    getattr(lost.engine, end)()
    swarm.wait_for_leader_after(lost)
    moved = web.wait_until_running(6)
    network = Network(swarm.leader().engine, "net")
    check_none_twice(swarm, network)
    lost.engine.start()
    swarm.wait_until_ready()
    web.scale(8)

    assert _addresses_off(lost, before) <= {task.address for task in moved}
    check_addresses(swarm, network)


@_NOTHING_REFUSED
def test_a_new_leader_takes_over_from_a_demoted_one_without_touching_a_task(
    swarm: Cluster, web: Service
) -> None:
    demoted, before = swarm.leader(), web.tasks()

    with swarm.patience():
        swarm.demote(demoted)
        swarm.wait_for_leader_after(demoted)
        assert web.wait_until_running(6) == before
        swarm.promote(demoted)
    web.scale(8)

    check_addresses(swarm, Network(swarm.leader().engine, "net"))


@_NOTHING_REFUSED
@pytest.mark.parametrize("end", ["stop", "cut_power"])
def test_after_all_managers_fail_at_once_the_next_leader_learns_every_address(
    swarm: Cluster, web: Service, end: str
) -> None:
    virtual_address = web.virtual_address

    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: getattr(node.engine, end)(), swarm.nodes))
        list(pool.map(lambda node: node.engine.start(), swarm.nodes))
    swarm.wait_until_ready()
    web.wait_until_running(6)
    web.scale(8)

    assert web.virtual_address == virtual_address
    check_addresses(swarm, Network(swarm.leader().engine, "net"))


@_NOTHING_REFUSED
def test_a_leader_that_returns_knows_networks_created_and_removed_meanwhile(
    swarm: Cluster, web: Service
) -> None:
    node = swarm.leader()
    small, tiny = create_overlay(swarm, "small"), create_overlay(swarm, "tiny", tags="tiny")
    assert small.subnets == ["100.64.0.32/28"]
    swarm.take_lead_from(node)
    for network in (small, tiny):
        remove_overlay(swarm, network)
    larger = create_overlay(swarm, "larger", "--ipam-opt", "prefix=27")

    swarm.give_lead_to(node)
    web.scale(8)

    # The larger network has the block of the small one, of whose removal the node was not told.
    assert larger.subnets == ["100.64.0.32/27"]
    check_addresses(swarm, Network(node.engine, "net"))
    assert _claims(node)["global/100.64.0.32/27"]
    # The block of the tiny one has leaked, and is given out when no other is free.
    assert not _claims(node)["global/100.67.0.0/29"]
    assert create_overlay(swarm, "next", tags="tiny").subnets == ["100.67.0.0/29"]
    assert _claims(node)["global/100.67.0.0/29"]


def test_a_leader_that_returns_gives_out_addresses_released_meanwhile_when_no_other_is_free(
    swarm: Cluster,
) -> None:
    node = swarm.leader()
    network = create_overlay(swarm, "tight", tags="tiny")
    [subnet] = network.subnets
    service = create_service(swarm, "web", "tight", 3, "--constraint", "node.hostname==node1")
    service.wait_until_running(3)
    swarm.take_lead_from(node)
    service.scale(1)
    check_addresses(swarm, network)

    swarm.give_lead_to(node)
    tasks = service.scale(3)

    # Gateway, load balancer, virtual address and three tasks fill the subnet.
    node.plugin.wait_for_line(f"unclaimed address given out again pool=global/{subnet}")
    assert len({task.address for task in tasks}) == 3
    assert _unclaimed(node, subnet) == []
    check_addresses(swarm, Network(node.engine, "tight"))


@_NOTHING_REFUSED
def test_what_a_lost_leader_holds_of_removed_networks_is_found_and_freed_and_nothing_else(
    swarm: Cluster, web: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lost, report = swarm.leader(), str(tmp_path / "report.json")
    commands = {node.name: Command(node.engine, capsys) for node in swarm.nodes}
    for command in commands.values():
        _free_leaks(command, report)
    gone = create_overlay(swarm, "gone")
    [subnet] = gone.subnets
    swarm.take_lead_from(lost)
    remove_overlay(swarm, gone)
    web.wait_until_running(6)
    swarm.wait_for("the former leader manages, and knows", lambda: _manages_without(lost, "gone"))
    # Each is a task of its own kind, and not listed as those of services are.
    for number in range(3):
        run_container(lost.engine, f"attached{number}", "net")

    commands[lost.name]("reconcile", "--report", report, code=3)
    (found,) = json.loads(Path(report).read_text())["differences"]
    assert (found["kind"], found["pool"], found["sure"]) == (
        "leaked pool",
        f"global/{subnet}",
        True,
    )
    commands[lost.name]("reconcile", "--apply", report)

    for command in commands.values():
        assert command("reconcile") == "no differences\n"
    web.scale(8)
    check_addresses(swarm, Network(swarm.leader().engine, "net"))
