"""The networks and services of a swarm, and the addresses that they use."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from tests.support.engine.command import Result
from tests.support.engine.images import BUSYBOX
from tests.support.engine.objects import Network, try_network
from tests.support.engine.unix_http import HttpError
from tests.swarm.cluster import Cluster, Node

_OVERLAY = ("--driver", "overlay", "--attachable")
_NETWORKS_OF_DOCKER = ("bridge", "host", "none", "ingress", "docker_gwbridge")
# How the name of the endpoint ends that a node itself has on a network of services.
_LOAD_BALANCER = "-endpoint"
_LABEL_OF_TASKS = "com.docker.swarm.task.id"


@dataclass(frozen=True)
class Task:
    """A task of a service: where it runs, with which address and container, and its state."""

    node: str
    address: str
    state: str
    container: str


@dataclass(frozen=True)
class Service:
    """A service of a swarm, on one network."""

    cluster: Cluster
    name: str

    @property
    def virtual_address(self) -> str:
        """Its virtual address, without the prefix length."""
        addresses = [
            str(entry["Addr"]) for entry in self._inspect()["Endpoint"].get("VirtualIPs", [])
        ]
        return addresses[0].split("/")[0] if addresses else ""

    def tasks(self) -> list[Task]:
        """The tasks whose desired state is running, by slot."""
        wanted = {"service": {self.name: True}, "desired-state": {"running": True}}
        target = f"/tasks?filters={quote(json.dumps(wanted))}"
        tasks = self.cluster.leader().engine.listing(target)
        hosts = {node["ID"]: node["Description"]["Hostname"] for node in self.cluster.node_list()}
        return [
            Task(
                node=hosts.get(task.get("NodeID", ""), ""),
                address=_first_address(task),
                state=task["Status"]["State"],
                container=task["Status"].get("ContainerStatus", {}).get("ContainerID", ""),
            )
            for task in sorted(tasks, key=lambda task: int(task.get("Slot", 0)))
        ]

    def wait_until_running(self, replicas: int, seconds: float = 180) -> list[Task]:
        """Wait until exactly this many tasks run and have containers. Returns the tasks."""
        tasks: list[Task] = []

        def run() -> bool:
            tasks[:] = self.tasks()
            return (
                len(tasks) == replicas
                and all(task.state == "running" for task in tasks)
                and len(self._containers()) == replicas
            )

        self.cluster.wait_for(f"{replicas} tasks of {self.name} running", run, seconds)
        return tasks

    def scale(self, replicas: int) -> list[Task]:
        """Change the number of tasks, and wait for them."""
        self._change("scale", "--detach", f"{self.name}={replicas}")
        return self.wait_until_running(replicas)

    def update(self, *options: str) -> None:
        """`docker service update`, without waiting for it."""
        self._change("update", "--detach", "--no-resolve-image", *options, self.name)

    def _change(self, verb: str, *arguments: str) -> None:
        # Swarm refuses to change a service that it is changing itself ("update out of sequence").
        def changed() -> bool:
            return self.cluster.leader().engine.docker("service", verb, *arguments).code == 0

        self.cluster.wait_for(f"{verb} {self.name}", changed)

    def update_state(self) -> str:
        """The state of a rolling update, `completed` at its end."""
        return str(self._inspect().get("UpdateStatus", {}).get("State", ""))

    def remove(self) -> None:
        """Remove it, and wait until its containers are gone."""
        self.cluster.must("service", "rm", self.name)
        self.cluster.wait_for(f"{self.name} gone", lambda: not self._containers())

    def _inspect(self) -> dict[str, Any]:
        services = self.cluster.leader().engine.listing("/services")
        return next(item for item in services if item["Spec"]["Name"] == self.name)

    def _containers(self) -> list[str]:
        label = {"label": [f"com.docker.swarm.service.name={self.name}"]}
        target = f"/containers/json?filters={quote(json.dumps(label))}"
        return [
            str(container["Id"])
            for node in self.cluster.running()
            for container in node.engine.listing(target)
        ]


def _first_address(task: dict[str, Any]) -> str:
    for attachment in task.get("NetworksAttachments") or []:
        for address in attachment.get("Addresses") or []:
            return str(address).split("/")[0]
    return ""


def try_overlay(cluster: Cluster, name: str, *options: str, tags: str = "swarm") -> Result:
    """`docker network create` of an attachable overlay network on the leader."""
    return try_network(cluster.leader().engine, name, *_OVERLAY, *options, tags=tags)


def create_overlay(cluster: Cluster, name: str, *options: str, tags: str = "swarm") -> Network:
    """A new attachable overlay network that has its subnet, as the present leader sees it."""
    try_overlay(cluster, name, *options, tags=tags).check()
    cluster.wait_for(f"network {name} has its subnet", lambda: is_allocated(cluster, name))
    return Network(cluster.leader().engine, name)


def remove_overlay(cluster: Cluster, network: Network) -> None:
    """Remove the network, which swarm allows only once all tasks on it have ended."""

    def removed() -> bool:
        cluster.leader().engine.delete(f"/networks/{network.name}")
        return True

    cluster.wait_for(f"network {network.name} can be removed", removed)


def is_allocated(cluster: Cluster, name: str) -> bool:
    """Whether the network has a subnet, which `network create` does not tell."""
    return bool(cluster.leader().engine.inspect("network", name)["IPAM"]["Config"])


def create_service(
    cluster: Cluster, name: str, network: str, replicas: int, *options: str
) -> Service:
    """A new service of sleeping containers, without waiting for them."""
    command = ["service", "create", "--detach", "--no-resolve-image", "--name", name]
    command += ["--network", network, "--replicas", str(replicas), "--restart-delay", "0s"]
    cluster.must(*command, *options, BUSYBOX)
    return Service(cluster, name)


def addresses_in_use(cluster: Cluster, network: str) -> list[tuple[str, str]]:
    """Every address in use on the network, on all nodes, with its owner: the gateway, containers,
    the load balancer of each node, virtual addresses of services."""
    found = [(gateway, "gateway") for gateway in Network(cluster.leader().engine, network).gateways]
    for node in cluster.running():
        found += _endpoints_on(node, network)
    for service in cluster.leader().engine.listing("/services"):
        name = service["Spec"]["Name"]
        service_addresses = service["Endpoint"].get("VirtualIPs", [])
        identity = cluster.leader().engine.inspect("network", network)["Id"]
        found += [
            (entry["Addr"].split("/")[0], f"virtual address of {name}")
            for entry in service_addresses
            if entry["NetworkID"] == identity
        ]
    return sorted(found)


def _endpoints_on(node: Node, network: str) -> list[tuple[str, str]]:
    try:
        containers = node.engine.inspect("network", network)["Containers"] or {}
    except HttpError:
        # A worker knows the network only while it has a container on it.
        return []
    return [
        (entry["IPv4Address"].split("/")[0], f"{entry['Name']} on {node.name}")
        for entry in containers.values()
    ]


def check_none_twice(cluster: Cluster, network: Network) -> None:
    """Check that no address on the network is used twice, and that the plugin of the leader holds
    them all."""
    [subnet] = network.subnets

    def all_known() -> bool:
        in_use = [address for address, _ in _owners(cluster, network)]
        return set(in_use) <= set(held_addresses(cluster.leader(), subnet, "global"))

    cluster.wait_for(f"the leader's plugin holds all that is in use of {subnet}", all_known)


def check_addresses(cluster: Cluster, network: Network) -> None:
    """Check that no address on the network is used twice, and that the plugins hold what is used.

    That of the leader holds every address in the global space, and that of each node those of its
    own containers in the local space.
    """
    [subnet] = network.subnets

    def accounted_for() -> bool:
        in_use = [address for address, _ in _owners(cluster, network)]
        return held_addresses(cluster.leader(), subnet, "global") == sorted(in_use) and all(
            held_addresses(node, subnet, "local") == _own_addresses(node, network)
            for node in cluster.running()
        )

    cluster.wait_for(f"what is in use of {subnet} is what the plugins hold", accounted_for)


def _owners(cluster: Cluster, network: Network) -> list[tuple[str, str]]:
    in_use = addresses_in_use(cluster, network.name)
    assert len({address for address, _ in in_use}) == len(in_use), in_use
    return in_use


def _own_addresses(node: Node, network: Network) -> list[str]:
    own = [address for address, _ in _endpoints_on(node, network.name)]
    return sorted(own + network.gateways) if own else []


def held_addresses(node: Node, subnet: str, space: str) -> list[str]:
    """The addresses of the subnet that the plugin of the node holds in the address space, and that
    Docker has claimed since it, or its swarm allocator, started."""
    pool = f"{space}/{subnet}"
    if pool not in [held["id"] for held in node.plugin.pools() if held["claimed"]]:
        return []
    leases = node.plugin.get(f"/v1/leases?pool={quote(pool, safe='')}")
    in_use = (lease for lease in leases if lease["claimed"] and not lease["resting"])
    return sorted(str(lease["address"]) for lease in in_use)


def clear(cluster: Cluster) -> None:
    """Remove all services, containers and networks that Docker has not created itself."""
    leader = cluster.leader().engine
    for service in leader.listing("/services"):
        leader.delete(f"/services/{service['ID']}")
    cluster.wait_for(
        "no container running", lambda: not any(map(_remove_containers, cluster.nodes))
    )
    cluster.wait_for("no container attached", lambda: not any(map(_attached, cluster.nodes)))
    cluster.wait_for("no network left", partial(_remove_networks, cluster))


def _remove_containers(node: Node) -> bool:
    """Remove the containers that are no tasks; whether any container runs after that."""
    for container in node.engine.listing("/containers/json?all=1"):
        if _LABEL_OF_TASKS not in container["Labels"]:
            node.engine.delete(f"/containers/{container['Id']}?force=1")
    # Swarm deletes the stopped containers of its tasks some seconds later.
    return bool(node.engine.listing("/containers/json"))


def _attached(node: Node) -> list[str]:
    """The containers that are still attached to a network on the node, which keeps for ever what is
    removed from the swarm meanwhile. A stopped container is, for a moment."""
    inspected = (node.engine.inspect("network", network["Id"]) for network in _networks(node))
    return [
        entry["Name"]
        for network in inspected
        for entry in (network["Containers"] or {}).values()
        if not entry["Name"].endswith(_LOAD_BALANCER)
    ]


def _remove_networks(cluster: Cluster) -> bool:
    """Remove all networks that can be removed; whether there were none."""
    leader = cluster.leader()
    left = [(node, network) for node in cluster.nodes for network in _networks(node)]
    for node, network in left:
        # Only the leader can remove a network of the swarm, though other managers list it.
        if network["Scope"] == "local" or node is leader:
            node.engine.delete(f"/networks/{network['Id']}")
    return not left


def _networks(node: Node) -> list[dict[str, Any]]:
    return [
        network
        for network in node.engine.listing("/networks")
        if network["Name"] not in _NETWORKS_OF_DOCKER
    ]
