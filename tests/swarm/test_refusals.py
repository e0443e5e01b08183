"""Refusals that a swarm hides from its users, and where they can be found."""

from collections.abc import Callable

import pytest

from tests.support.engine.objects import create_network, try_network
from tests.swarm.cluster import Cluster, Node
from tests.swarm.objects import Service, create_overlay, create_service, is_allocated, try_overlay

pytestmark = [
    pytest.mark.parametrize("cluster", ["one manager"], indirect=True, scope="session"),
    pytest.mark.usefixtures("nothing_left"),
]

RefusedAt = Callable[[Node], list[str]]


@pytest.fixture
def refused_at(swarm: Cluster) -> RefusedAt:
    """The refusals in the log of the dockerd of a node since the test began."""
    before = {node.name: len(node.refusals()) for node in swarm.nodes}
    return lambda node: node.refusals()[before[node.name] :]


def _error(service: Service) -> str:
    """The errors of the tasks, as `docker service ps` shows them."""
    command = ["service", "ps", "--no-trunc", "--format", "{{.Error}}", service.name]
    return service.cluster.must(*command)


def test_swarm_creates_a_network_without_a_subnet_and_the_log_of_the_leader_has_the_reason(
    swarm: Cluster, refused_at: RefusedAt
) -> None:
    made = try_overlay(swarm, "net", tags="nope")
    leader = swarm.leader()
    swarm.wait_for("a line in the log", lambda: bool(refused_at(leader)))

    assert made.code == 0
    assert made.stderr == ""
    assert not is_allocated(swarm, "net")
    line = refused_at(leader)[0]
    assert "refused call=IpamDriver.RequestPool reason=" in line
    assert "no scope of the schema serves an IPv4 network with tags 'nope'" in line
    assert "are: default, shared, swarm, tiny" in line
    assert leader.plugin.status()["refusals"][-1]["message"].endswith("shared, swarm, tiny")


def test_a_local_network_that_names_a_scope_for_swarm_is_refused(
    swarm: Cluster, refused_at: RefusedAt
) -> None:
    worker = swarm.node("node2")

    refused = try_network(worker.engine, "own", tags="swarm")

    assert refused.code == 1
    assert "is for swarm networks only (address_space global)" in refused.stderr
    swarm.wait_for("a line in the log", lambda: len(refused_at(worker)) == 1)


def test_a_prefix_length_as_subnet_is_refused_with_the_option_to_use(
    swarm: Cluster, refused_at: RefusedAt
) -> None:
    try_overlay(swarm, "net", "--subnet", "0.0.0.0/27")
    leader = swarm.leader()
    swarm.wait_for("a line in the log", lambda: bool(refused_at(leader)))

    assert "--ipam-opt prefix=27" in refused_at(leader)[0]
    assert not is_allocated(swarm, "net")


def test_swarm_refuses_a_short_name_without_asking_a_plugin(
    swarm: Cluster, refused_at: RefusedAt
) -> None:
    leader = swarm.leader()
    leader.plugin.point_alias("pyipam")

    refused = try_network(leader.engine, "net", "--driver", "overlay", driver="pyipam")

    assert refused.code == 1
    assert "legacy plugin pyipam" in refused.stderr
    assert "not supported in swarm mode" in refused.stderr
    assert refused_at(leader) == []


def test_tasks_on_a_full_network_wait_and_run_once_addresses_are_free(
    swarm: Cluster, refused_at: RefusedAt
) -> None:
    create_overlay(swarm, "net", tags="tiny")
    on_one_node = ("--constraint", "node.hostname==node1")
    first = create_service(swarm, "first", "net", 3, *on_one_node)
    first.wait_until_running(3)
    leader = swarm.leader()

    # Gateway, load balancer of the node, virtual address and three tasks take all six addresses.
    second = create_service(swarm, "second", "net", 1, *on_one_node)
    swarm.wait_for("a line in the log", lambda: bool(refused_at(leader)))
    waiting = [task.state for task in second.tasks()]
    first.scale(1)
    second.wait_until_running(1)

    assert waiting == ["new"]
    assert "pool global/100.67.0.0/29 has no free address: all 6" in refused_at(leader)[0]


def test_a_network_that_is_too_small_for_a_service_is_warned_about_when_it_is_created(
    swarm: Cluster, refused_at: RefusedAt
) -> None:
    create_overlay(swarm, "net", "--ipam-opt", "prefix=30")
    leader = swarm.leader()
    (warning,) = leader.plugin.status()["warnings"]
    service = create_service(swarm, "web", "net", 1, "--constraint", "node.hostname==node1")
    swarm.wait_for("a line in the log", lambda: bool(refused_at(leader)))

    assert warning.startswith("pool global/100.64.0.0/30 has 2 addresses for a network of a swarm")
    leader.plugin.wait_for_line("the operator must act", warning[:40])
    assert [task.state for task in service.tasks()] == ["new"]


@pytest.mark.parametrize("length", ["28", "29"], ids=["the same subnet", "a part of it"])
@pytest.mark.parametrize("worker", ["node2", "node3"])
def test_a_conflicting_network_of_a_worker_is_named_with_its_id_and_the_remedy(
    swarm: Cluster, refused_at: RefusedAt, worker: str, length: str
) -> None:
    node = swarm.node(worker)
    own = ["--ipam-opt", "id=lab", "--ipam-opt", f"prefix={length}"]
    create_network(node.engine, "own", *own, tags="shared")
    assert create_overlay(swarm, "net", tags="shared").subnets == ["100.66.0.0/28"]

    service = create_service(swarm, "web", "net", 1, "--constraint", f"node.hostname=={worker}")
    swarm.wait_for("a line in the log", lambda: bool(refused_at(node)))
    swarm.wait_for("an error of the task", lambda: bool(_error(service)))

    assert f"pool local/100.66.0.0/{length} (id lab)" in refused_at(node)[0]
    assert "address_space in the schema" in refused_at(node)[0]
    assert "address_space in the schema" in _error(service)
