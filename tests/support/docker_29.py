"""Docker 29 as the plugin hears it: networks as `ipamAllocate` in moby's
daemon/libnetwork/network.go (branch docker-29.x) allocates, replays and releases them.

What tests/support/dockerd.py says besides is the same in every release.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.dockerd import GATEWAY, Driver, Pool

# moby: pkg/plugins/client.go, dummyHost. Docker 20.10 leaves the header empty.
HOST = "plugin.moby.localhost"
# moby: Network.createEndpoint. It is not stored, so what is replayed has none.
ENDPOINT = {"com.docker.network.endpoint.name": "happy_engine"}


@dataclass(frozen=True)
class Config:
    """What the user said of one subnet of a network (IpamConf in moby)."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: tuple[str, ...] = ()
    v6: bool = False

    @property
    def names_no_subnet(self) -> bool:
        """Whether the engine looks for one: none is named, or a length alone."""
        return not self.subnet or ipaddress.ip_network(self.subnet).network_address.is_unspecified


@dataclass(frozen=True)
class Info:
    """What the engine was given for it, and keeps (IpamInfo in moby)."""

    pool: Pool
    gateway: str


@dataclass
class Network:
    """A network as Docker 29 stores it. `driver_wants_gateway` is what its network driver says
    (GetSkipGwAlloc in moby): macvlan and ipvlan do not."""

    configs: tuple[Config, ...]
    options: Mapping[str, str] | None = None
    driver_wants_gateway: bool = True
    infos: tuple[Info, ...] = ()
    containers: list[list[tuple[Pool, str]]] = field(default_factory=list)

    @property
    def pools(self) -> list[Pool]:
        return [info.pool for info in self.infos]

    @property
    def subnets(self) -> list[str]:
        return [pool.subnet for pool in self.pools]


def network(*configs: Config, macvlan: bool = False, shared: bool = False) -> Network:
    """A network that is not created yet, of one automatic IPv4 subnet if none is described."""
    return Network(
        configs or (Config(),),
        {"shared": "true"} if shared else {},
        driver_wants_gateway=not macvlan,
    )


def allocate(driver: Driver, asked: Network) -> None:
    """Request what a creation requests, or, where the network exists, what a start of the engine
    replays."""
    former = (*asked.infos, *[None] * len(asked.configs))
    asked.infos = tuple(
        _allocate_version(driver, asked, config, info)
        for config, info in zip(asked.configs, former, strict=False)
    )


def _allocate_version(driver: Driver, asked: Network, config: Config, info: Info | None) -> Info:
    """moby: Network.ipamAllocateVersion, and RequestPool in daemon/libnetwork/ipams/remote."""
    subnet, gateway = config.subnet, config.gateway
    if info is not None:
        subnet = info.pool.subnet if config.names_no_subnet else subnet
        gateway = gateway or info.gateway
    driver.call("GetDefaultAddressSpaces").json()
    pool = driver.request_pool(
        subnet, ip_range=config.ip_range, options=asked.options, v6=config.v6
    )
    if gateway or asked.driver_wants_gateway:
        gateway = driver.request_address(pool, gateway, GATEWAY).partition("/")[0]
    for address in config.aux_addresses:
        driver.request_address(pool, address)
    return Info(pool, gateway)


def create(driver: Driver, asked: Network) -> Network:
    """The network, created."""
    allocate(driver, asked)
    return asked


def start_container(driver: Driver, on: Network) -> list[str]:
    """Request what `docker start` requests; the addresses."""
    given = [(pool, driver.request_address(pool, options=ENDPOINT)) for pool in on.pools]
    on.containers.append(given)
    return [address for _, address in given]


def replay(driver: Driver, *networks: Network) -> None:
    """Announce the engine, and request what it requests when it starts (moby: reservePools in
    daemon/libnetwork/controller.go)."""
    driver.announce()
    for each in networks:
        before = each.infos
        allocate(driver, each)
        assert each.infos == before
        for container in each.containers:
            for pool, address in container:
                named = address.partition("/")[0]
                assert driver.request_address(pool, named) == address


def remove(driver: Driver, removed: Network) -> None:
    """Release what `docker network rm` releases (moby: Network.ipamReleaseVersion): a gateway only
    if there is one."""
    for config, info in zip(removed.configs, removed.infos, strict=True):
        if info.gateway:
            driver.release_address(info.pool, info.gateway)
        for address in config.aux_addresses:
            driver.release_address(info.pool, address)
        driver.release_pool(info.pool)
