"""The examples of the specification of pyipam, command by command, on a new plugin."""

import pytest

from tests.support.engine.images import BUSYBOX
from tests.support.engine.objects import Container, Network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

# Quoted as the specification prints them. The shell removes the inner quotes too.
_IPV4 = """docker network create --ipam-driver {driver} test \
--ipam-opt "scope_filter_tags="null_routed"" --ipam-opt "id="testnet"" """
_IPV6 = """docker network create --ipam-driver {driver} test6 \
--ipam-opt "scope_filter_tags="null_routed"" --ipam-opt "id="testnet"" --ipv6"""
_COMPOSE = """\
version: "2.4"

networks:
  default:
    internal: true
    ipam:
      driver: pyipam
      options:
          id: "fluentd_default_net"
          scope_filter_tags: "host_to_container"
services:
  fluentd:
    hostname: fluentd
    domainname: docker.internal
    restart: unless-stopped
    image: fluentd
    networks:
      - default
"""
_COMPOSE_BY_NAME = """\
networks:
  default:
    internal: true
    ipam:
      driver: host
services:
  fluentd:
    image: fluentd
"""
_COMPOSE_OF_TWO = """\
version: "2.4"
networks:
  default:
    ipam: {driver: small}
services:
  one: {image: fluentd, container_name: one, restart: always}
  two: {image: fluentd, container_name: two, restart: always}
"""

both_names = pytest.mark.parametrize("driver", ["pyipam", "owner/pyipam:latest"])


@both_names
def test_the_ipv4_example_of_the_specification_creates_its_network(
    engine: PrivateEngine, plugin: Plugin, driver: str
) -> None:
    engine.run("sh", "-c", _IPV4.format(driver=driver)).check()

    network = engine.inspect("network", "test")
    assert network["IPAM"] == {
        "Driver": driver,
        "Options": {"id": "testnet", "scope_filter_tags": "null_routed"},
        "Config": [{"Subnet": "100.64.0.0/30", "Gateway": "100.64.0.1"}],
    }
    assert [(pool["subnet"], pool["label"]) for pool in plugin.pools()] == [
        ("100.64.0.0/30", "testnet")
    ]


@both_names
def test_the_ipv6_example_of_the_specification_creates_its_network(
    engine: PrivateEngine, plugin: Plugin, driver: str
) -> None:
    engine.run("sh", "-c", _IPV4.format(driver=driver)).check()
    engine.run("sh", "-c", _IPV6.format(driver=driver)).check()

    network = Network(engine, "test6")
    assert network.subnets == ["100.64.0.4/30", "fc00:f00f::/64"]
    assert network.gateways == ["100.64.0.5", "fc00:f00f::1"]
    assert plugin.held() == ["100.64.0.0/30", "100.64.0.4/30", "fc00:f00f::/64"]


def test_a_container_reaches_its_gateway_over_ipv4_and_ipv6(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    engine.run("sh", "-c", _IPV6.format(driver="pyipam")).check()

    container = run_container(engine, "one", "test6")

    assert container.addresses == ["100.64.0.2/30", "fc00:f00f::2/64"]
    assert container.reaches("100.64.0.1")
    assert container.reaches("fc00:f00f::1")
    assert plugin.status()["schema"]["source"] == "default"


@pytest.mark.engines("20.10")
def test_the_compose_file_of_the_specification_draws_a_subnet_by_its_tag(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    _compose_up(engine, _COMPOSE)

    assert Network(engine, "project_default").subnets == ["100.64.80.0/30"]
    assert Container(engine, "project_fluentd_1").addresses == ["100.64.80.2/30"]
    assert [pool["label"] for pool in plugin.pools()] == ["fluentd_default_net"]
    _compose(engine, "down")
    assert plugin.held() == []


@pytest.mark.engines("26.1", "28.5")
def test_compose_2_draws_a_subnet_by_tag_through_an_alias(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    plugin.restart_with(DRIVER_ALIASES="pyipam= ; host=host_to_container")
    plugin.point_alias("host")

    _compose_up(engine, _COMPOSE_BY_NAME)

    assert Network(engine, "project_default").subnets == ["100.64.80.0/30"]
    assert Container(engine, "project-fluentd-1").addresses == ["100.64.80.2/30"]
    _compose(engine, "down")
    assert plugin.held() == []


@pytest.mark.smoke
def test_a_compose_file_gets_blocks_of_the_length_that_its_driver_name_stands_for(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    plugin.restart_with(DRIVER_ALIASES="pyipam= ; small=host_to_container prefix=28 id=shop")
    plugin.point_alias("small")

    _compose_up(engine, _COMPOSE_OF_TWO)
    containers = [Container(engine, name) for name in ("one", "two")]
    before = [container.addresses for container in containers]
    engine.restart()

    assert Network(engine, "project_default").subnets == ["100.64.80.0/28"]
    assert sorted(before) == [["100.64.80.2/28"], ["100.64.80.3/28"]]
    assert sorted(container.addresses for container in containers) == sorted(before)
    assert containers[0].reaches("100.64.80.1")
    assert [(pool["label"], pool["claimed"]) for pool in plugin.pools()] == [("shop", True)]
    _compose(engine, "down", "--timeout", "0")
    assert plugin.held() == []


def _compose_up(engine: PrivateEngine, file: str) -> None:
    project = engine.root / "srv" / "project"
    project.mkdir(exist_ok=True)
    (project / "docker-compose.yml").write_text(file)
    engine.must("tag", BUSYBOX, "fluentd")
    _compose(engine, "up", "--detach")


def _compose(engine: PrivateEngine, *arguments: str) -> None:
    engine.run("docker-compose", *arguments, directory="/srv/project").check()
