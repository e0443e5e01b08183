"""Every way of making a network, through every kind of restart.

One engine of each version has a network of every way, with a container on it. After each restart
all of them must work as before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyipam.store.pool_id import subnet_of
from tests.support.engine.chroots import Say
from tests.support.engine.images import load_busybox
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.objects import (
    DRIVER,
    Container,
    Network,
    clear,
    create_network,
    run_container,
)
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.registry import ADDRESS, push_edition, registry
from tests.support.engine.schemas import SCHEMA_PATH, schema_text, scope, write_schema

_PLAN = schema_text(
    scope("100.64.0.0/20", 24, tags=["default"]),
    scope("fd00:64::/48", 64, tags=["default"]),
    scope("192.168.48.0/20", 24, tags=["lan"]),
)
_PLAN_WITH_OTHER_TAGS = schema_text(
    scope("100.64.0.0/20", 26, tags=["web"], scopes=[scope("100.64.0.0/22", 24, tags=["db"])]),
    scope("100.80.0.0/20", 24, tags=["default"]),
    scope("fd00:64::/48", 56, tags=["web"]),
    scope("192.168.48.0/20", tags=["lan"]),
)


_NEXT_EDITION = f"{ADDRESS}/owner/pyipam:next"


@dataclass(frozen=True)
class Way:
    """A way of making a network: the options of `docker network create`, the driver's name, the
    address that its container asks for by name, if it does, and the first major version of Docker
    that knows this way."""

    options: tuple[str, ...] = ()
    driver: str = DRIVER
    fixed: str = ""
    has_router: bool = True
    since: int = 20


_WAYS = {
    "automatic": Way(),
    "prefix": Way(("--ipam-opt", "prefix=27")),
    "explicit": Way(("--subnet", "100.64.12.0/24"), fixed="100.64.12.77"),
    "ip-range": Way(
        (
            *("--subnet", "100.64.13.0/24", "--ip-range", "100.64.13.64/26"),
            *("--gateway", "100.64.13.254", "--aux-address", "printer=100.64.13.64"),
        )
    ),
    "macvlan": Way(
        (
            *("--driver", "macvlan", "--opt", "parent=uplink"),
            *("--subnet", "192.168.50.0/24", "--gateway", "192.168.50.1"),
        ),
        fixed="192.168.50.9",
        has_router=False,
    ),
    "shared": Way(
        (
            *("--driver", "macvlan", "--opt", "parent=uplink-1", "--ipam-opt", "shared=true"),
            *("--subnet", "192.168.51.0/24", "--gateway", "192.168.51.1"),
            *("--ip-range", "192.168.51.64/27"),
        ),
        has_router=False,
    ),
    "shared-too": Way(
        (
            *("--driver", "macvlan", "--opt", "parent=uplink-2", "--ipam-opt", "shared=true"),
            *("--subnet", "192.168.51.0/24", "--gateway", "192.168.51.1"),
            *("--ip-range", "192.168.51.96/27"),
        ),
        has_router=False,
    ),
    "internal": Way(("--internal",)),
    "dual-stack": Way(("--ipv6",)),
    "dual-stack-explicit": Way(
        ("--ipv6", "--subnet", "100.64.14.0/24", "--subnet", "fd00:64:0:14::/64")
    ),
    "ipv6-alone": Way(("--ipv6", "--ipv4=false"), since=28),
    "alias": Way(driver="pyipam"),
    "alias-with-options": Way(("--ipam-opt", "prefix=28,72", "--ipv6"), driver="pyipam"),
    "unmanaged": Way(("--subnet", "10.200.0.0/24")),
}


def _ways(engine: PrivateEngine) -> dict[str, Way]:
    """The ways that the engine knows."""
    major = int(engine.server_version().split(".")[0])
    return {name: way for name, way in _WAYS.items() if way.since <= major}


def _container_of(way: str) -> str:
    return f"on-{way}"


def _prepare(namespaces: Namespaces) -> None:
    """Give the host links that macvlan networks can be on."""
    for name in ("uplink", "uplink-1", "uplink-2"):
        far = f"{name}-far"
        namespaces.run(["ip", "link", "add", name, "type", "veth", "peer", "name", far]).check()
        namespaces.run(["ip", "link", "set", name, "up"]).check()
        namespaces.run(["ip", "link", "set", far, "up"]).check()


@pytest.fixture(scope="module")
def engine(version: str, bundle: Path, say: Say) -> Iterator[PrivateEngine]:
    """An engine with a network of every way, and a container on each."""
    with PrivateEngine(version, say, prepare=_prepare) as engine:
        load_busybox(engine)
        with registry(engine):
            push_edition(engine, _NEXT_EDITION, "next", bundle)
        plugin = Plugin.create(engine, DRIVER, bundle)
        write_schema(plugin, _PLAN)
        plugin.set(SCHEMA_PATH=SCHEMA_PATH, ALLOW_UNMANAGED="true")
        plugin.enable()
        plugin.point_alias("pyipam")
        for name, way in _ways(engine).items():
            create_network(engine, name, *way.options, driver=way.driver)
            fixed = ("--ip", way.fixed) if way.fixed else ()
            run_container(engine, _container_of(name), name, *fixed)
        yield engine


@pytest.fixture
def plugin(engine: PrivateEngine) -> Plugin:
    """The plugin, which holds what all the networks have."""
    return Plugin(engine, DRIVER)


def _engine_is_stopped_and_started(plugin: Plugin) -> None:
    plugin.engine.restart()


def _engine_is_killed(plugin: Plugin) -> None:
    plugin.engine.kill()
    plugin.engine.start()


def _power_fails(plugin: Plugin) -> None:
    plugin.engine.cut_power()
    plugin.engine.start()


def _engine_is_killed_under_its_containers(plugin: Plugin) -> None:
    plugin.engine.stop()
    plugin.engine.start(live_restore=True)
    _start_containers(plugin.engine)
    plugin.engine.kill()
    plugin.engine.start(live_restore=True)


def _plugin_is_killed(plugin: Plugin) -> None:
    plugin.kill_and_wait()


def _plugin_is_disabled_and_enabled(plugin: Plugin) -> None:
    plugin.disable(force=True)
    plugin.enable()


def _plan_is_edited(plugin: Plugin) -> None:
    write_schema(plugin, _PLAN_WITH_OTHER_TAGS)
    plugin.engine.restart()


def _plugin_is_upgraded(plugin: Plugin) -> None:
    # Docker forgets SCHEMA_PATH here, so the plugin goes on with the schema that it remembers.
    plugin.disable(force=True)
    options = ("--skip-remote-check", "--grant-all-permissions")
    with registry(plugin.engine):
        plugin.engine.must("plugin", "upgrade", *options, plugin.name, _NEXT_EDITION)
    plugin.enable()


_RESTARTS = [
    _engine_is_stopped_and_started,
    _plugin_is_killed,
    _engine_is_killed,
    _plugin_is_disabled_and_enabled,
    _engine_is_killed_under_its_containers,
    _power_fails,
    _plan_is_edited,
    _plugin_is_upgraded,
]


def _start_containers(engine: PrivateEngine) -> None:
    engine.must("start", *map(_container_of, _ways(engine)))


def _subnets(engine: PrivateEngine) -> dict[str, list[str]]:
    return {name: Network(engine, name).subnets for name in _ways(engine)}


def _gateways(plugin: Plugin) -> dict[str, str]:
    """The gateway of each subnet. (docker shows only those that were asked for by name.)"""
    leases = [lease for lease in plugin.leases() if lease["kind"] == "gateway"]
    return {subnet_of(lease["pool"]): str(lease["address"]) for lease in leases}


def _holdings(plugin: Plugin) -> dict[str, object]:
    """The pools that are held, each with how many networks have it and whether it is claimed."""
    return {pool["id"]: (pool["references"], pool["claimed"]) for pool in plugin.pools()}


def _check_works(engine: PrivateEngine, name: str, gateways: dict[str, str]) -> None:
    """The container of the network has a right address, and a new one gets another."""
    way, network = _WAYS[name], Network(engine, name)
    old = Container(engine, _container_of(name))
    if way.fixed:
        assert old.addresses[0].split("/")[0] == way.fixed
    new = run_container(engine, f"new-on-{name}", name)
    try:
        for addresses in (old.addresses, new.addresses):
            networks = [str(ipaddress.ip_interface(address).network) for address in addresses]
            assert networks == network.subnets
        assert not set(old.addresses) & set(new.addresses)
        if way.has_router:
            for gateway in (gateways[subnet] for subnet in network.subnets):
                assert new.reaches(gateway), gateway
    finally:
        new.remove()


def _gist(error: BaseException) -> str:
    return str(error).strip() or repr(error)


@pytest.mark.parametrize("restart", _RESTARTS, ids=lambda restart: restart.__name__.strip("_"))
def test_every_network_works_after(
    engine: PrivateEngine, plugin: Plugin, restart: Callable[[Plugin], None]
) -> None:
    subnets, gateways, held = _subnets(engine), _gateways(plugin), _holdings(plugin)

    restart(plugin)
    _start_containers(engine)

    assert _subnets(engine) == subnets
    assert _gateways(plugin) == gateways
    assert _holdings(plugin) == held
    failures = {}
    for name in _ways(engine):
        try:
            _check_works(engine, name, gateways)
        except AssertionError as error:
            failures[name] = _gist(error)
    assert not failures


def test_their_removal_frees_everything(engine: PrivateEngine, plugin: Plugin) -> None:
    clear(engine)

    assert plugin.pools() == []
