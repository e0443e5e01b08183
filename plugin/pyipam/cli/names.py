"""What Docker calls the networks of pools and the containers of leases.

The plugin never learns these names. They are joined here: a network by its subnet and the driver
name it asks, a container by the network and its address.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.finding import Found
from pyipam.cli.messages import say
from pyipam.cli.refusal import EngineAway
from pyipam.cli.spec_files import alias_names

Names = dict[str, list[str]]


class DockerNames:
    """The names of networks by subnet, and of containers by network and address."""

    def __init__(self, networks: Names, containers: Names) -> None:
        self._networks = networks
        self._containers = containers

    def networks_of(self, subnet: str) -> list[str]:
        """The networks on a subnet."""
        return self._networks.get(subnet, [])

    def containers_of(self, subnet: str, address: str) -> list[str]:
        """The containers that have this address in a network on the subnet."""
        return self._containers.get(f"{subnet} {address}", [])


def names_for(found: Found) -> DockerNames:
    """The names that the plugin's engine has; none where no engine can be asked, which is said."""
    if found.engine is None or found.plugin is None:
        return DockerNames({}, {})
    try:
        return _read_names(found.engine, found.plugin)
    except EngineAway as error:
        say(f"without the names of networks and containers: {error}")
        return DockerNames({}, {})


def _read_names(engine: Engine, plugin: Plugin) -> DockerNames:
    drivers = {plugin.name, plugin.short_name, *alias_names(plugin.aliases)}
    networks: Names = {}
    subnets: dict[str, list[str]] = {}
    for network in engine.networks():
        ipam = network.get("IPAM") or {}
        if ipam.get("Driver") in drivers:
            mine = [_network(pool.get("Subnet", "")) for pool in ipam.get("Config") or ()]
            subnets[network["Id"]] = mine
            for subnet in mine:
                networks.setdefault(subnet, []).append(network["Name"])
    containers: Names = {}
    for container in engine.containers():
        name = (container.get("Names") or [container["Id"][:12]])[0].removeprefix("/")
        for endpoint in _endpoints(container):
            for subnet in subnets.get(endpoint.get("NetworkID", ""), ()):
                for key in ("IPAddress", "GlobalIPv6Address"):
                    address = endpoint.get(key)
                    if address and _lies_in(address, subnet):
                        containers.setdefault(f"{subnet} {ip_address(address)}", []).append(name)
    return DockerNames(networks, containers)


def _endpoints(container: dict[str, Any]) -> list[dict[str, Any]]:
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return list(networks.values())


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def _lies_in(address: str, subnet: str) -> bool:
    try:
        return ip_address(address) in ip_network(subnet)
    except ValueError:
        return False
