"""The set-ups of docs/setups.md for swarms, run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network

import pytest

from tests.support.engine.objects import Container, Network
from tests.support.engine.schemas import mount_schema
from tests.support.setups import blocks, load_images, run_script, section, use_schema_of
from tests.swarm.cluster import Cluster, Node
from tests.swarm.objects import Service, Task, check_addresses, clear
from tests.swarm.schema import SCHEMA

pytestmark = [
    pytest.mark.parametrize("cluster", ["one manager"], indirect=True, scope="session"),
    pytest.mark.usefixtures("nothing_refused", "nothing_left"),
]

_MACVLAN = "Macvlan over a swarm"


def _on_all(swarm: Cluster, act: Callable[[Node], object]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(act, swarm.nodes))


@pytest.fixture(autouse=True)
def as_before(swarm: Cluster) -> Iterator[None]:
    """Every node has the images of the page, and its schema again after the test."""
    _on_all(swarm, lambda node: load_images(node.engine))
    yield
    clear(swarm)
    _on_all(swarm, lambda node: mount_schema(node.plugin, SCHEMA))


def _containers(swarm: Cluster, tasks: list[Task]) -> list[Container]:
    return [Container(swarm.node(task.node).engine, task.container) for task in tasks]


def test_overlay_networks_of_a_swarm(swarm: Cluster) -> None:
    title = "Overlay networks of a swarm"
    _on_all(swarm, lambda node: use_schema_of(title, node.plugin))
    leader = swarm.leader().engine
    create, deploy = blocks(title, "sh")
    run_script(leader, create)
    web = Service(swarm, "web").wait_until_running(3)
    [stack] = blocks(title, "yaml")
    (leader.root / "srv" / "shop.yml").write_text(stack)
    run_script(leader, f"cd /srv && {deploy}")
    Service(swarm, "shop_accounts").wait_until_running(2)

    network = Network(leader, "backend")
    assert network.subnets == ["10.100.0.0/24"]
    assert len({task.node for task in web}) == 3
    check_addresses(swarm, network)


def _range_of(node: Node) -> str:
    [found] = re.findall(rf"^\| `{node.name}` \| (\S+) \|$", section(_MACVLAN), re.M)
    return str(found)


def test_macvlan_over_a_swarm(swarm: Cluster) -> None:
    _on_all(swarm, lambda node: use_schema_of(_MACVLAN, node.plugin))
    configure, create = blocks(_MACVLAN, "sh")
    _on_all(swarm, lambda node: run_script(node.engine, f"RANGE={_range_of(node)}\n{configure}"))
    run_script(swarm.leader().engine, create)
    sensors = Service(swarm, "sensors")
    before = sensors.wait_until_running(6)

    worker = swarm.node("node3")
    worker.engine.kill()
    moved = sensors.wait_until_running(6)
    worker.engine.start()
    swarm.wait_until_ready()
    tasks = sensors.scale(9)

    assert len({task.node for task in before}) == 3
    assert {task.node for task in moved} == {"node1", "node2"}
    assert "node3" in {task.node for task in tasks}
    addresses = [container.addresses for container in _containers(swarm, tasks)]
    for task, [address] in zip(tasks, addresses, strict=True):
        given = ip_address(address.removesuffix("/24"))
        assert given in ip_network(_range_of(swarm.node(task.node)))
    assert len({address for [address] in addresses}) == 9
    first, *others = _containers(swarm, tasks)
    assert all(first.reaches(other.addresses[0].split("/")[0]) for other in others)
