"""What Docker calls the networks of pools and the containers of leases.

They are joined here: a network by its subnet and the driver name it asks, a container by the
network and its address. The plugin itself knows only those that `pyipam record` handed to it.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from pyipam.cli.client import Answer
from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.finding import Found
from pyipam.cli.messages import say
from pyipam.cli.refusal import EngineAway
from pyipam.cli.spec_files import alias_names
from pyipam.store.pool_id import subnet_of

# States in which a container has no address, whatever the list shows: Docker 20.10 goes on showing
# those of a container that a power cut ended, until it is started and gets others. The list has the
# state of a container that ends only once its addresses have been released (moby,
# daemon/monitor.go); those of one that is being started are with its networks before.
_NOT_RUNNING = frozenset({"created", "restarting", "removing", "exited", "dead"})

Names = dict[str, list[str]]


class DockerNames:
    """The names of networks by subnet, and of containers by network and address. Without Docker
    there are none, and those that the plugin's answers have count."""

    def __init__(self, networks: Names, containers: Names, *, are_dockers: bool) -> None:
        self._networks = networks
        self._containers = containers
        self._are_dockers = are_dockers

    def with_names(self, held: Answer) -> Answer:
        """A pool or a lease of the plugin's answer, with the names of its networks and, for a
        lease, of its containers."""
        if not self._are_dockers:
            return held
        pool = held.get("pool") or held["id"]
        subnet = subnet_of(pool)
        names: dict[str, Any] = {"networks": self.networks_of(subnet), "named_at": None}
        if "address" in held:
            names["containers"] = self.containers_of(subnet, held["address"])
        return Answer(held | names)

    @property
    def all_networks(self) -> set[str]:
        """Every network that has a name here."""
        return {name for names in self._networks.values() for name in names}

    @property
    def all_containers(self) -> set[str]:
        """Every container that has a name here."""
        return {name for names in self._containers.values() for name in names}

    def networks_of(self, subnet: str) -> list[str]:
        """The networks on a subnet."""
        return self._networks.get(subnet, [])

    def containers_of(self, subnet: str, address: str) -> list[str]:
        """The containers that have this address in a network on the subnet."""
        return self._containers.get(f"{subnet} {address}", [])


_NO_NAMES = DockerNames({}, {}, are_dockers=False)


def names_for(found: Found) -> DockerNames:
    """The names that the plugin's engine has; none where no engine can be asked, which is said."""
    if found.engine is None or found.plugin is None:
        return _NO_NAMES
    try:
        return _read_names(found.engine, found.plugin)
    except EngineAway as error:
        say(f"without the names of networks and containers: {error}")
        return _NO_NAMES


def driver_names(plugin: Plugin) -> set[str]:
    """The names by which networks ask for the plugin."""
    return {plugin.name, plugin.short_name, *alias_names(plugin.aliases)}


def subnets_of(network: dict[str, Any]) -> list[str]:
    """The subnets of a network."""
    config = (network.get("IPAM") or {}).get("Config") or ()
    return [_network(pool.get("Subnet", "")) for pool in config]


def endpoints_of(container: dict[str, Any]) -> list[dict[str, Any]]:
    """What a container has on each of its networks."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return list(networks.values())


def endpoints_in_use(container: dict[str, Any]) -> list[dict[str, Any]]:
    """The same of a container in the engine's list; none unless it runs or is paused."""
    return [] if container.get("State") in _NOT_RUNNING else endpoints_of(container)


def name_of(container: dict[str, Any]) -> str:
    """The name of a container, as a list or its inspection has it."""
    names = container.get("Names") or [container.get("Name") or container["Id"][:12]]
    return str(names[0]).removeprefix("/")


def lies_in(address: str, subnet: str) -> bool:
    """Whether an address is one of a subnet; not if either is none."""
    try:
        return ip_address(address) in ip_network(subnet)
    except ValueError:
        return False


def _read_names(engine: Engine, plugin: Plugin) -> DockerNames:
    drivers = driver_names(plugin)
    networks: Names = {}
    subnets: dict[str, list[str]] = {}
    for network in engine.networks():
        if (network.get("IPAM") or {}).get("Driver") in drivers:
            subnets[network["Id"]] = subnets_of(network)
            for subnet in subnets[network["Id"]]:
                networks.setdefault(subnet, []).append(network["Name"])
    containers: Names = {}
    for container in engine.containers():
        for endpoint in endpoints_in_use(container):
            for subnet in subnets.get(endpoint.get("NetworkID", ""), ()):
                for key in ("IPAddress", "GlobalIPv6Address"):
                    address = endpoint.get(key)
                    if address and lies_in(address, subnet):
                        found = containers.setdefault(f"{subnet} {ip_address(address)}", [])
                        found.append(name_of(container))
    return DockerNames(networks, containers, are_dockers=True)


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text
