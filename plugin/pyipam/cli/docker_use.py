"""Which subnets and addresses Docker uses: those of networks, of the endpoints that they list, of
containers that run, and, on a manager of a swarm, those of services and tasks.

All networks count, whatever their IPAM driver: what Docker uses is never taken for leaked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from pyipam.cli.engine import Engine
from pyipam.cli.names import endpoints_in_use, name_of
from pyipam.space.block import Network
from pyipam.store.pool_id import PoolId

# States in which a task of a swarm has ended, and its addresses with it: docs.docker.com, "Swarm
# task states".
_ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})

# Addresses as text, each with who has it.
Users = Mapping[str, str]


@dataclass(frozen=True)
class UsedAddress:
    """An address that Docker uses. `networks` says how many networks have it as their gateway;
    `named` that its container asked for it by name."""

    address: str
    user: str
    networks: int = 0
    named: bool = False


@dataclass(frozen=True)
class UsedSubnet:
    """A subnet of a network of Docker.

    `driver` is the network's IPAM driver, as Docker names it. `scope` is that of the network, and
    `node` is one of the swarm for which each node has a configuration of its own. `users` are the
    addresses of its endpoints here, `gateway` and `auxiliary` what Docker asked for when it was
    created. `fixed` are the addresses that containers asked for by name.
    """

    network: str
    network_id: str
    driver: str
    scope: Literal["local", "swarm", "node", "other"]
    subnet: Network
    ip_range: Network | None
    gateway: str
    auxiliary: Users
    options: Mapping[str, str]
    users: Users
    fixed: frozenset[str]

    @property
    def is_here(self) -> bool:
        """Whether the network is on this node: swarm's is with its first task."""
        return self.scope == "local" or bool(self.users)

    def pool_id(self, space: Literal["local", "global"]) -> str:
        """The id of the pool that this is in an address space."""
        return str(PoolId(space, self.subnet, self.ip_range))

    @property
    def addresses(self) -> dict[str, str]:
        """All addresses that are used here, each with who has it."""
        gateway = {self.gateway: f"gateway of {self.network}"} if self.gateway else {}
        return {**self.auxiliary, **self.users, **gateway}


@dataclass(frozen=True)
class SwarmUse:
    """What a manager of a swarm knows: whether it leads, how many nodes there are, and the
    addresses of services and tasks by network id, those that are in use and those that were."""

    leads: bool
    nodes: int
    users: Mapping[str, Users]
    former: Mapping[str, Collection[str]]


@dataclass(frozen=True)
class DockerUse:
    """What Docker uses. `unclear` are the networks that do not say which subnet they have, by name,
    with their IPAM drivers. `swarm` is None unless the node is a manager, and `in_swarm` says
    whether it is a node of one."""

    subnets: tuple[UsedSubnet, ...] = ()
    unclear: Mapping[str, str] = field(default_factory=dict)
    in_swarm: bool = False
    swarm: SwarmUse | None = None

    def overlapping(self, subnet: Network) -> list[UsedSubnet]:
        """The subnets in use that overlap one."""
        return [
            used
            for used in self.subnets
            if used.subnet.version == subnet.version and used.subnet.overlaps(subnet)
        ]


def addresses_of(networks: Iterable[UsedSubnet]) -> dict[str, str]:
    """All addresses that several networks use here, each with who has it."""
    return {address: who for used in networks for address, who in used.addresses.items()}


def used_addresses(networks: Sequence[UsedSubnet]) -> list[UsedAddress]:
    """The addresses in use on networks of one pool, in order."""
    gateways = [used.gateway for used in networks if used.gateway]
    found = {
        address: UsedAddress(
            address, who, gateways.count(address), any(address in x.fixed for x in networks)
        )
        for used in networks
        for address, who in used.addresses.items()
    }
    return [found[address] for address in sorted(found, key=lambda text: int(ip_address(text)))]


def read_use(engine: Engine) -> DockerUse:
    """What Docker uses now. Raises EngineAway."""
    subnets: list[UsedSubnet] = []
    unclear: dict[str, str] = {}
    listed = _addresses_of_running_containers(engine)
    for summary in engine.networks():
        if summary.get("ConfigOnly"):
            # It describes other networks, and has no pool.
            continue
        network = engine.network(summary["Id"])
        if network is None:
            continue
        found = list(_subnets_of(network, listed.get(summary["Id"], {})))
        subnets += found
        if not found:
            unclear[network["Name"]] = (network.get("IPAM") or {}).get("Driver") or ""
    cluster = engine.info().get("Swarm") or {}
    in_swarm = cluster.get("LocalNodeState", "inactive") not in ("", "inactive")
    swarm = _read_swarm(engine, cluster) if in_swarm and cluster.get("ControlAvailable") else None
    return DockerUse(tuple(subnets), unclear, in_swarm, swarm)


@dataclass(frozen=True)
class _Endpoint:
    name: str
    is_fixed: bool


def _addresses_of_running_containers(engine: Engine) -> dict[str, dict[str, _Endpoint]]:
    """The addresses that the list of containers shows for those that run, by network id."""
    found: dict[str, dict[str, _Endpoint]] = {}
    for container in engine.containers():
        name = name_of(container)
        for endpoint in endpoints_in_use(container):
            wanted = endpoint.get("IPAMConfig") or {}
            of_network = found.setdefault(endpoint.get("NetworkID") or "", {})
            for key, wish in (("IPAddress", "IPv4Address"), ("GlobalIPv6Address", "IPv6Address")):
                if endpoint.get(key):
                    of_network[_plain(endpoint[key])] = _Endpoint(name, bool(wanted.get(wish)))
    return found


def _subnets_of(network: dict[str, Any], listed: Mapping[str, _Endpoint]) -> Iterator[UsedSubnet]:
    ipam = network.get("IPAM") or {}
    users = {address: endpoint.name for address, endpoint in listed.items()}
    for endpoint in (network.get("Containers") or {}).values():
        for key in ("IPv4Address", "IPv6Address"):
            if endpoint.get(key):
                users.setdefault(_plain(endpoint[key]), endpoint.get("Name") or "an endpoint")
    for config in ipam.get("Config") or ():
        subnet = _network(config.get("Subnet"))
        if subnet is None:
            continue
        # An auxiliary address is a name for Docker, and an address that it asked for.
        auxiliary = {
            _plain(address): f"auxiliary address {name} of {network['Name']}"
            for name, address in (config.get("AuxiliaryAddresses") or {}).items()
        }
        gateway = _plain(config.get("Gateway") or "")
        yield UsedSubnet(
            network["Name"],
            network["Id"],
            ipam.get("Driver") or "",
            _scope_of(network),
            subnet,
            _network(config.get("IPRange")),
            gateway if _is_in(gateway, subnet) else "",
            {a: who for a, who in auxiliary.items() if _is_in(a, subnet)},
            ipam.get("Options") or {},
            {a: who for a, who in users.items() if _is_in(a, subnet)},
            frozenset(a for a, endpoint in listed.items() if endpoint.is_fixed),
        )


def _scope_of(network: dict[str, Any]) -> Literal["local", "swarm", "node", "other"]:
    if network.get("Scope") == "local":
        return "local"
    if network.get("Scope") != "swarm":
        return "other"
    return "node" if (network.get("ConfigFrom") or {}).get("Network") else "swarm"


def _read_swarm(engine: Engine, cluster: dict[str, Any]) -> SwarmUse:
    users: dict[str, dict[str, str]] = {}
    former: dict[str, set[str]] = {}
    for service in engine.services():
        name = (service.get("Spec") or {}).get("Name") or service["ID"]
        for vip in (service.get("Endpoint") or {}).get("VirtualIPs") or ():
            if vip.get("Addr"):
                users.setdefault(vip["NetworkID"], {})[_plain(vip["Addr"])] = f"service {name}"
    for task in engine.tasks():
        ended = (task.get("Status") or {}).get("State") in _ENDED
        for attachment in task.get("NetworksAttachments") or ():
            network_id = (attachment.get("Network") or {}).get("ID") or ""
            for address in map(_plain, attachment.get("Addresses") or ()):
                if ended:
                    former.setdefault(network_id, set()).add(address)
                else:
                    users.setdefault(network_id, {})[address] = f"task {task['ID'][:12]}"
    nodes = engine.nodes()
    mine = [node for node in nodes if node.get("ID") == cluster.get("NodeID")]
    leads = any((node.get("ManagerStatus") or {}).get("Leader") for node in mine)
    return SwarmUse(leads, len(nodes), users, former)


def _plain(text: str) -> str:
    """An address without a prefix length, written as pyipam writes it."""
    address = text.partition("/")[0]
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def _network(text: str | None) -> Network | None:
    try:
        return ip_network(text, strict=False) if text else None
    except ValueError:
        return None


def _is_in(address: str, subnet: Network) -> bool:
    try:
        return ip_address(address) in subnet
    except ValueError:
        return False
