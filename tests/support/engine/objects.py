"""The networks and containers of an engine, with their subnets, gateways and addresses."""

from dataclasses import dataclass
from typing import Any

from tests.support.engine.command import Result
from tests.support.engine.images import BUSYBOX
from tests.support.engine.private_engine import PrivateEngine

DRIVER = "owner/pyipam:latest"


@dataclass(frozen=True)
class Network:
    """A network of an engine."""

    engine: PrivateEngine
    name: str

    @property
    def subnets(self) -> list[str]:
        """Its subnets, IPv4 first."""
        return [str(config["Subnet"]) for config in self._configs()]

    @property
    def gateways(self) -> list[str]:
        """Its gateways in the order of the subnets, without the prefix length that some engines
        append."""
        return [str(config["Gateway"]).split("/")[0] for config in self._configs()]

    def remove(self) -> None:
        """Remove it."""
        self.engine.must("network", "rm", self.name)

    def _configs(self) -> list[dict[str, Any]]:
        configs: list[dict[str, Any]] = self.engine.inspect("network", self.name)["IPAM"]["Config"]
        return configs


@dataclass(frozen=True)
class Container:
    """A container of an engine."""

    engine: PrivateEngine
    name: str

    @property
    def addresses(self) -> list[str]:
        """Its addresses with their prefix lengths on all its networks, IPv4 before IPv6."""
        addresses = []
        for endpoint in self._endpoints():
            if endpoint["IPAddress"]:
                addresses.append(f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}")
            if endpoint["GlobalIPv6Address"]:
                prefix = endpoint["GlobalIPv6PrefixLen"]
                addresses.append(f"{endpoint['GlobalIPv6Address']}/{prefix}")
        return addresses

    def reaches(self, address: str) -> bool:
        """Whether the address answers a ping from inside the container within ten seconds."""
        ping = ["ping", "-6"] if ":" in address else ["ping", "-4"]
        return self.engine.docker("exec", self.name, *ping, "-c1", "-w10", address).code == 0

    def remove(self) -> None:
        """Stop and remove it."""
        self.engine.must("rm", "--force", self.name)

    def _endpoints(self) -> list[dict[str, Any]]:
        networks = self.engine.inspect("container", self.name)["NetworkSettings"]["Networks"]
        return [networks[name] for name in sorted(networks)]


def try_network(
    engine: PrivateEngine, name: str, *options: str, driver: str = DRIVER, tags: str = ""
) -> Result:
    """`docker network create` with the plugin as IPAM driver; the result, successful or not."""
    command = ["network", "create", "--ipam-driver", driver]
    if tags:
        command += ["--ipam-opt", f"scope_filter_tags={tags}"]
    return engine.docker(*command, *options, name)


def create_network(
    engine: PrivateEngine, name: str, *options: str, driver: str = DRIVER, tags: str = ""
) -> Network:
    """A new network with addresses from the plugin."""
    try_network(engine, name, *options, driver=driver, tags=tags).check()
    return Network(engine, name)


def try_container(engine: PrivateEngine, name: str, network: str, *options: str) -> Result:
    """`docker run` of a sleeping container; the result, successful or not."""
    run = ["run", "--detach", "--name", name, "--network", network, *options, BUSYBOX]
    return engine.docker(*run)


def run_container(engine: PrivateEngine, name: str, network: str, *options: str) -> Container:
    """A new sleeping container on the network."""
    try_container(engine, name, network, *options).check()
    return Container(engine, name)


def clear(engine: PrivateEngine) -> None:
    """Remove all containers, and all networks that Docker has not created itself."""
    for container in engine.listing("/containers/json?all=1"):
        engine.delete(f"/containers/{container['Id']}?force=1")
    for network in engine.listing("/networks"):
        if network["Name"] not in ("bridge", "host", "none"):
            engine.delete(f"/networks/{network['Id']}")
