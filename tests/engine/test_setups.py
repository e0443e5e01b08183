"""The set-ups of docs/setups.md, run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from tests.support.engine.namespaces import Namespaces
from tests.support.engine.objects import Container, Network, clear
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import default_schema, mount_schema, write_schema

_PAGE = Path(__file__).parents[2] / "docs" / "setups.md"


def _blocks(title: str, language: str) -> list[str]:
    """The blocks of this language in the section of this title."""
    [section] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", _text(), re.M | re.S)
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)


def _text() -> str:
    return _PAGE.read_text()


def _run(engine: PrivateEngine, script: str) -> None:
    engine.run("sh", "-e", "-c", script).check()


def _use_schema_of(title: str, plugin: Plugin) -> None:
    [schema] = _blocks(title, "json")
    write_schema(plugin, schema)
    [commands] = re.findall(r"^```sh\n(.*?)^```", _text().partition("\n## ")[0], re.M | re.S)
    _run(plugin.engine, commands)


def _compose(engine: PrivateEngine, file: str) -> None:
    project = engine.root / "srv" / "shop"
    project.mkdir(exist_ok=True)
    (project / "docker-compose.yml").write_text(file)
    engine.run("docker-compose", "up", "--detach", directory="/srv/shop").check()


@pytest.fixture(autouse=True)
def as_before(engine: PrivateEngine, plugin: Plugin) -> Iterator[None]:
    """The plugin has its default schema and short name again after the test."""
    yield
    clear(engine)
    mount_schema(plugin, default_schema())
    plugin.restart_with(DRIVER_ALIASES="pyipam=")


@pytest.fixture
def uplink(engine: PrivateEngine) -> Iterator[None]:
    """A link to a LAN, whose router is there."""
    inside: Namespaces = engine.inside
    far = ["type", "veth", "peer", "name", "router"]
    inside.run(["ip", "link", "add", "uplink", *far]).check()
    inside.run(["ip", "link", "set", "uplink", "up"]).check()
    inside.run(["ip", "link", "set", "router", "up"]).check()
    inside.run(["ip", "address", "add", "192.168.34.1/24", "dev", "router"]).check()
    yield
    clear(engine)
    inside.run(["ip", "link", "delete", "uplink"]).check()


@pytest.fixture
def second_uplink(engine: PrivateEngine, uplink: None) -> Iterator[None]:
    """Another link to the LAN, which a switch joins with the first one."""
    inside: Namespaces = engine.inside
    commands = (
        "ip link add uplink2 type veth peer name switched",
        "ip link add switch type bridge",
        "ip link set switched master switch",
        "ip address flush dev router",
        "ip link set router master switch",
        "ip address add 192.168.34.1/24 dev switch",
        *(f"ip link set {name} up" for name in ("uplink2", "switched", "switch")),
    )
    for command in commands:
        inside.run(command.split()).check()
    yield
    clear(engine)
    for name in ("uplink2", "switch"):
        inside.run(["ip", "link", "delete", name]).check()


@pytest.mark.smoke
@pytest.mark.engines("26.1", "28.5")
def test_network_planes_of_one_application(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Network planes of one application"
    _use_schema_of(title, plugin)
    _run(engine, *_blocks(title, "sh"))
    _compose(engine, *_blocks(title, "yaml"))

    assert Network(engine, "shop_public").subnets == ["100.64.16.0/26", "fd00:64:1::/64"]
    assert Network(engine, "shop_api").subnets == ["100.64.32.0/26", "fd00:64:2::/64"]
    assert Network(engine, "shop_database").subnets == ["100.64.48.0/28"]
    assert len(Container(engine, "shop-accounts-1").addresses) == 3


@pytest.mark.engines("20.10")
def test_network_planes_with_compose_1_29(engine: PrivateEngine, plugin: Plugin) -> None:
    _use_schema_of("Network planes of one application", plugin)
    _compose(engine, *_blocks("Network planes, with docker-compose 1.29", "yaml"))

    assert Network(engine, "shop_public").subnets == ["100.64.16.0/26", "fd00:64:1::/64"]
    assert Network(engine, "shop_api").subnets == ["100.64.32.0/26"]
    assert [pool["label"] for pool in plugin.pools()] == ["shop-public", "shop-api", "shop-public"]


@pytest.mark.smoke
@pytest.mark.usefixtures("uplink")
def test_containers_on_your_lan(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Containers on your LAN"
    _use_schema_of(title, plugin)
    _run(engine, *_blocks(title, "sh"))

    printer, scanner = Container(engine, "printer"), Container(engine, "scanner")
    assert printer.addresses == ["192.168.34.70/24"]
    [address] = scanner.addresses
    assert ip_interface(address).ip in ip_network("192.168.34.128/25")
    assert printer.reaches("192.168.34.1")
    assert scanner.reaches("192.168.34.70")


@pytest.mark.usefixtures("second_uplink")
def test_two_links_to_one_lan(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Two links to one LAN"
    _use_schema_of(title, plugin)
    _run(engine, *_blocks(title, "sh"))

    printer, scanner = Container(engine, "printer"), Container(engine, "scanner")
    assert printer.addresses == ["192.168.34.200/24"]
    assert scanner.addresses == ["192.168.34.96/24"]
    assert printer.reaches("192.168.34.1")
    assert scanner.reaches("192.168.34.1")


@pytest.mark.engines("28.5")
def test_ipv6_alone(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "IPv6 alone"
    _use_schema_of(title, plugin)
    _run(engine, *_blocks(title, "sh"))

    assert Network(engine, "six").subnets == ["fd00:66::/64"]
    assert Container(engine, "one").addresses == ["fd00:66::2/64"]
    assert Container(engine, "one").reaches(str(ip_address("fd00:66::1")))
