"""Three managers whose plugins share one plan in MongoDB: every node knows what others hold."""

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network

import pytest

from tests.support.engine.host_command import Command
from tests.support.engine.objects import Container, Network, create_network, run_container
from tests.support.setups import blocks, load_images, run_script
from tests.swarm.cluster import Cluster
from tests.swarm.objects import (
    Service,
    Task,
    check_addresses,
    check_none_twice,
    clear,
    create_overlay,
    create_service,
    remove_overlay,
)
from tests.swarm.schema import FIRST_SCOPE, SCHEMA, edit_schema

pytestmark = [
    pytest.mark.parametrize(
        "cluster", ["three managers on MongoDB"], indirect=True, scope="session"
    ),
    pytest.mark.usefixtures("nothing_refused"),
]


def test_every_node_draws_its_own_blocks_from_the_shared_plan(swarm: Cluster) -> None:
    pools = [create_network(node.engine, "own").subnets for node in swarm.nodes]
    assert sorted(pools) == [["100.65.0.0/28"], ["100.65.0.16/28"], ["100.65.0.32/28"]]


@pytest.mark.usefixtures("nothing_left")
def test_containers_on_all_nodes_have_different_addresses_and_reach_each_other(
    swarm: Cluster,
) -> None:
    network = create_overlay(swarm, "net")
    assert network.subnets == ["100.64.0.0/28"]
    last = swarm.nodes[-1]
    wanted = run_container(last.engine, "wanted", "net", "--ip", "100.64.0.9")
    others = [run_container(node.engine, f"on-{node.name}", "net") for node in swarm.nodes]

    assert wanted.addresses == ["100.64.0.9/28"]
    assert all(other.reaches("100.64.0.9") for other in others)
    check_addresses(swarm, network)


@pytest.mark.usefixtures("nothing_left")
def test_scaling_a_service_up_and_down_leaves_nothing_held(swarm: Cluster) -> None:
    network = create_overlay(swarm, "net")
    service = create_service(swarm, "web", "net", 3)
    service.wait_until_running(3)
    service.scale(6)
    check_addresses(swarm, network)
    service.scale(1)
    check_addresses(swarm, network)


def test_a_new_leader_takes_over_from_a_killed_one_and_releases_its_pools(
    swarm: Cluster,
) -> None:
    lost = swarm.leader()
    create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    gone = create_overlay(swarm, "gone", tags="tiny")
    service = create_service(swarm, "web", "net", 6)
    before = service.wait_until_running(6)

    lost.engine.kill()
    swarm.wait_for_leader_after(lost)
    moved = service.wait_until_running(6)
    check_none_twice(swarm, Network(swarm.leader().engine, "net"))
    kept = {task.address for task in before if task.node != lost.name}
    assert kept <= {task.address for task in moved}

    # In a shared plan the new leader can release the pool of the lost one.
    remove_overlay(swarm, gone)
    assert create_overlay(swarm, "next", tags="tiny").subnets == ["100.67.0.0/29"]
    lost.engine.start()
    swarm.wait_until_ready()
    service.scale(8)
    check_addresses(swarm, Network(swarm.leader().engine, "net"))


def test_a_leader_that_returns_knows_networks_created_and_removed_meanwhile(swarm: Cluster) -> None:
    node = swarm.leader()
    create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    service = create_service(swarm, "web", "net", 6)
    service.wait_until_running(6)
    small, tiny = create_overlay(swarm, "small"), create_overlay(swarm, "tiny", tags="tiny")
    swarm.take_lead_from(node)
    for network in (small, tiny):
        remove_overlay(swarm, network)
    larger = create_overlay(swarm, "larger", "--ipam-opt", "prefix=27")

    swarm.give_lead_to(node)
    service.scale(8)

    check_addresses(swarm, Network(node.engine, "net"))
    claimed = {pool["id"]: pool["claimed"] for pool in node.plugin.pools()}
    assert claimed[f"global/{larger.subnets[0]}"]
    # The other node has released it in the plan that both share: nothing has leaked.
    assert "global/100.67.0.0/29" not in claimed
    assert create_overlay(swarm, "next", tags="tiny").subnets == ["100.67.0.0/29"]


def test_a_local_network_gets_no_block_of_the_swarm_or_of_another_node(
    swarm: Cluster,
) -> None:
    overlays = [create_overlay(swarm, f"net{number}", tags="shared") for number in range(2)]
    taken = [subnet for network in overlays for subnet in network.subnets]
    for node in swarm.nodes:
        taken += create_network(node.engine, "own", tags="shared").subnets
    taken += create_overlay(swarm, "last", tags="shared").subnets
    assert len(set(taken)) == 6, taken


_MACVLAN = "Macvlan over a swarm"
# As docs/setups.md suggests it for such a plan.
_COMMON_RANGE = "192.168.34.64/26"


@pytest.fixture
def sensors(swarm: Cluster) -> Iterator[Service]:
    """The service of docs/setups.md on a macvlan network, for which all nodes have one range."""
    [schema] = blocks(_MACVLAN, "json")
    edit_schema(swarm, schema, "192.168.34.0/24 lan")
    configure, create = blocks(_MACVLAN, "sh")
    for node in swarm.nodes:
        load_images(node.engine)
        run_script(node.engine, f"RANGE={_COMMON_RANGE}\n{configure}")
    run_script(swarm.leader().engine, create)
    yield Service(swarm, "sensors")
    clear(swarm)
    edit_schema(swarm, SCHEMA, FIRST_SCOPE)


def _addresses(swarm: Cluster, tasks: list[Task]) -> list[str]:
    containers = [Container(swarm.node(task.node).engine, task.container) for task in tasks]
    return [address for container in containers for address in container.addresses]


@pytest.mark.usefixtures("nothing_left")
def test_containers_of_a_macvlan_network_differ_though_all_nodes_have_one_range(
    swarm: Cluster, sensors: Service
) -> None:
    before = sensors.wait_until_running(6)
    addresses = _addresses(swarm, before)
    follower = next(node for node in swarm.nodes if node is not swarm.leader())

    follower.engine.kill()
    follower.engine.start()
    swarm.wait_until_ready()
    after = _addresses(swarm, sensors.scale(9))

    assert {task.node for task in before} == {node.name for node in swarm.nodes}
    for given, count in ((addresses, 6), (after, 9)):
        assert len(set(given)) == len(given) == count
        assert all(ip_interface(one).ip in ip_network(_COMMON_RANGE) for one in given)


def test_no_node_finds_a_difference_in_what_the_others_and_the_swarm_hold(
    swarm: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    create_overlay(swarm, "net", "--ipam-opt", "prefix=27")
    create_service(swarm, "web", "net", 6).wait_until_running(6)
    for node in swarm.nodes:
        create_network(node.engine, "own")
        run_container(node.engine, "attached", "net")
        run_container(node.engine, "alone", "own")

    for node in swarm.nodes:
        assert Command(node.engine, capsys)("reconcile") == "no differences\n"
