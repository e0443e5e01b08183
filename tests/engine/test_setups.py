"""The set-ups of docs/setups.md, run as they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from tests.support.engine.namespaces import Namespaces
from tests.support.engine.objects import Container, Network, clear
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import default_schema, mount_schema
from tests.support.setups import blocks, load_images, run_script, use_schema_of


def _compose(engine: PrivateEngine, file: str) -> None:
    project = engine.root / "srv" / "shop"
    project.mkdir(exist_ok=True)
    (project / "docker-compose.yml").write_text(file)
    engine.run("docker-compose", "up", "--detach", directory="/srv/shop").check()


@pytest.fixture(scope="module", autouse=True)
def images(engine: PrivateEngine) -> None:
    """The images that the page names, of which one is enough here."""
    load_images(engine)


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
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))
    _compose(engine, *blocks(title, "yaml"))

    assert Network(engine, "shop_public").subnets == ["100.64.16.0/26", "fd00:64:1::/64"]
    assert Network(engine, "shop_api").subnets == ["100.64.32.0/26", "fd00:64:2::/64"]
    assert Network(engine, "shop_database").subnets == ["100.64.48.0/28"]
    assert len(Container(engine, "shop-accounts-1").addresses) == 3


@pytest.mark.engines("20.10")
def test_network_planes_with_compose_1_29(engine: PrivateEngine, plugin: Plugin) -> None:
    use_schema_of("Network planes of one application", plugin)
    _compose(engine, *blocks("Network planes, with docker-compose 1.29", "yaml"))

    assert Network(engine, "shop_public").subnets == ["100.64.16.0/26", "fd00:64:1::/64"]
    assert Network(engine, "shop_api").subnets == ["100.64.32.0/26"]
    assert [pool["label"] for pool in plugin.pools()] == ["shop-public", "shop-api", "shop-public"]


@pytest.mark.smoke
@pytest.mark.usefixtures("uplink")
def test_containers_on_your_lan(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Containers on your LAN"
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))

    printer, scanner = Container(engine, "printer"), Container(engine, "scanner")
    assert printer.addresses == ["192.168.34.70/24"]
    [address] = scanner.addresses
    assert ip_interface(address).ip in ip_network("192.168.34.128/25")
    assert printer.reaches("192.168.34.1")
    assert scanner.reaches("192.168.34.70")


@pytest.mark.usefixtures("second_uplink")
def test_two_links_to_one_lan(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Two links to one LAN"
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))

    printer, scanner = Container(engine, "printer"), Container(engine, "scanner")
    assert printer.addresses == ["192.168.34.200/24"]
    assert scanner.addresses == ["192.168.34.96/24"]
    assert printer.reaches("192.168.34.1")
    assert scanner.reaches("192.168.34.1")


@pytest.mark.smoke
def test_a_routed_fabric_in_which_a_host_has_few_prefixes(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    title = "A routed fabric, in which a host has few prefixes"
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))

    assert Network(engine, "frontend").subnets == ["10.1.0.0/26", "fd00:10::/64"]
    assert Network(engine, "backend").subnets == ["10.1.0.64/26", "fd00:10:0:1::/64"]
    assert Network(engine, "private").subnets == ["10.101.0.0/26"]
    announced = plugin.get("/v1/routes")["routes"]
    assert [route["prefix"] for route in announced] == ["10.1.0.0/20", "fd00:10::/48"]


@pytest.mark.engines("28.5")
def test_ipv6_alone(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "IPv6 alone"
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))

    assert Network(engine, "six").subnets == ["fd00:66::/64"]
    assert Container(engine, "one").addresses == ["fd00:66::2/64"]
    assert Container(engine, "one").reaches(str(ip_address("fd00:66::1")))


@pytest.fixture
def vpn(engine: PrivateEngine) -> Iterator[None]:
    """The routes of a VPN: one that covers many addresses, and one to a host in a table of its own,
    where tailnets have theirs."""
    inside: Namespaces = engine.inside
    for command in (
        "ip link add wg0 type bridge",
        "ip link set wg0 up",
        "ip route add 10.60.16.0/20 dev wg0",
        "ip route add 10.60.32.7 dev wg0 table 52",
        "ip rule add pref 5270 lookup 52",
    ):
        inside.run(command.split()).check()
    yield
    inside.run(["ip", "rule", "delete", "pref", "5270"]).check()
    inside.run(["ip", "link", "delete", "wg0"]).check()


@pytest.mark.usefixtures("vpn")
def test_beside_a_vpn(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Beside a VPN or a tailnet"
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))

    assert Network(engine, "beside").subnets == ["10.60.33.0/24"]
    assert Container(engine, "web").reaches("10.60.33.1")
    covering = [entry["route"] for entry in plugin.status()["routes"]["covering"]]
    assert covering == ["10.60.16.0/20", "10.60.32.7/32"]


def test_beside_a_vpn_that_is_down(engine: PrivateEngine, plugin: Plugin) -> None:
    title = "Beside a VPN or a tailnet"
    use_schema_of(title, plugin)
    run_script(engine, *blocks(title, "sh"))

    assert Network(engine, "beside").subnets == ["10.60.16.0/24"]
