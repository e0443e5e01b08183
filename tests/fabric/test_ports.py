"""Which ports of a container are reached by route, and which address it is seen with: with the
options and rules that docs/routing.md shows, and what is lost without them, on each engine.

The host forwards packets before Docker starts, where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.engine.objects import Container, clear, create_network, run_container
from tests.support.fabric.configurations import (
    as_shown,
    commands,
    docker_user_rules,
    network_options,
    words,
)
from tests.support.fabric.connections import (
    PORT,
    PUBLISHED,
    address_seen,
    is_served,
    serve,
    teller,
)
from tests.support.fabric.docker_host import DockerHost
from tests.support.fabric.fabric import CLIENT, CLIENT6, Fabric
from tests.support.fabric.units import commands_of

pytestmark = pytest.mark.smoke

_OLDER = ("20.10", "26.1")
_older = pytest.mark.engines(*_OLDER)
_newer = pytest.mark.engines("28.5")


class Met(NamedTuple):
    """What a client meets at an address of a container: whether it answers a ping, and serves on a
    port that is not published, and on one that is."""

    ping: bool
    port: bool
    published: bool


_ALL = Met(ping=True, port=True, published=True)
_NOTHING = Met(ping=False, port=False, published=False)


@pytest.fixture
def host(bare_fabric: Fabric, one_host: DockerHost) -> Iterator[DockerHost]:
    """The host, without networks and rules before and after the test."""
    with teller(bare_fabric.client):
        yield one_host
    clear(one_host.engine)
    for program in ("iptables", "ip6tables"):
        one_host.engine.run(program, "-F", "DOCKER-USER")


def _serving(fabric: Fabric, host: DockerHost, *options: str) -> Container:
    """A serving container on a network with these options, whose route the router knows."""
    create_network(host.engine, "net", "--ipv6", *options)
    container = run_container(host.engine, "one", "net", "--publish", str(PUBLISHED))
    serve(container)
    fabric.wait_for_routes({"10.1.0.0/20": [65001], "fd00:10::/48": [65001]})
    return container


def _met(fabric: Fabric, container: Container) -> tuple[Met, Met]:
    """What the client meets at the addresses of both families."""
    four, six = (_met_at(fabric, address) for address in _addresses(container))
    return four, six


def _met_at(fabric: Fabric, address: str) -> Met:
    client = fabric.client
    ports = [is_served(client, address, port) for port in (PORT, PUBLISHED)]
    return Met(client.pings(address), *ports)


def _addresses(container: Container) -> list[str]:
    return [address.partition("/")[0] for address in container.addresses]


def _seen(container: Container) -> list[str]:
    """The addresses with which the client sees the container."""
    return [address_seen(container, server) for server in (CLIENT, CLIENT6)]


def _add_rules(host: DockerHost) -> None:
    """Run the commands of the page that let the plan and the client through. Where ip6tables has no
    chain of Docker, nothing is filtered."""
    shown = [line for line in commands("The networks") if "tables" in line]
    assert len(shown) == 2
    for command in [*docker_user_rules(), *map(words, shown)]:
        result = host.engine.run(*command)
        assert result.code == 0 or "-D" in command or "ip6tables" in command[0], result.text


def test_with_options_and_rules_everything_is_reached_and_seen_with_its_own_address(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    container = _serving(bare_fabric, host, *network_options())
    _add_rules(host)

    assert _met(bare_fabric, container) == (_ALL, _ALL)
    assert _seen(container) == _addresses(container)


def test_rules_are_there_once_however_often_docker_is_started(host: DockerHost) -> None:
    for _ in range(3):
        _add_rules(host)

    rules = host.engine.run("iptables", "-S", "DOCKER-USER").check().stdout
    assert rules.count("-s 10.1.0.0/16 -d 10.1.0.0/16 -j ACCEPT") == 1


@_older
def test_without_options_everything_is_reached_and_ipv4_is_seen_with_another_address(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    """That of the host; which is not answered where the router knows no way to it, as here."""
    container = _serving(bare_fabric, host)

    assert _met(bare_fabric, container) == (_ALL, _ALL)
    own = _addresses(container)
    assert [seen == address for seen, address in zip(_seen(container), own, strict=True)] == [
        False,
        True,
    ]


@_newer
def test_without_options_nothing_is_reached(bare_fabric: Fabric, host: DockerHost) -> None:
    container = _serving(bare_fabric, host)
    _add_rules(host)

    assert _met(bare_fabric, container) == (_NOTHING, _NOTHING)


@_newer
def test_without_masquerading_alone_a_container_gets_no_answers(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    off = ("-o", "com.docker.network.bridge.enable_ip_masquerade=false")
    container = _serving(bare_fabric, host, *off)

    assert _met(bare_fabric, container)[0] == _NOTHING
    assert _seen(container)[0] == ""


@_newer
def test_without_rules_only_published_ports_are_reached(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    container = _serving(bare_fabric, host, *network_options())

    expected = Met(ping=True, port=False, published=True)
    assert _met(bare_fabric, container) == (expected, expected)
    assert _seen(container) == _addresses(container)


@_older
def test_without_rules_everything_is_reached(bare_fabric: Fabric, host: DockerHost) -> None:
    container = _serving(bare_fabric, host, *network_options())

    assert _met(bare_fabric, container) == (_ALL, _ALL)
    assert _seen(container) == _addresses(container)


@pytest.fixture
def closed(host: DockerHost) -> Iterator[DockerHost]:
    """The host, whose Docker has been started with docker-closed.conf, twice."""
    for _ in range(2):
        host.engine.stop()
        for command in commands_of(as_shown("docker-closed.conf"), "ExecStartPre"):
            done = host.engine.run(*command.words)
            assert done.code == 0 or command.may_fail, done.text
        host.engine.start()
    yield host
    host.engine.run("ip6tables", "-D", "FORWARD", "-j", "DOCKER-USER").check()


@_older
def test_closed_to_others_only_ports_published_at_the_host_are_reached(
    bare_fabric: Fabric, closed: DockerHost
) -> None:
    container = _serving(bare_fabric, closed, *network_options())

    assert _met(bare_fabric, container) == (_NOTHING, _NOTHING)
    assert _seen(container) == _addresses(container)
    published = closed.engine.must("port", "one", f"{PUBLISHED}/tcp").splitlines()[0]
    port = int(published.rpartition(":")[2])
    assert is_served(bare_fabric.client, "10.1.0.1", port)
    assert is_served(bare_fabric.client, "fd00:10::1", port)


@_older
def test_closed_to_others_what_the_rules_let_through_is_reached(
    bare_fabric: Fabric, closed: DockerHost
) -> None:
    container = _serving(bare_fabric, closed, *network_options())
    _add_rules(closed)

    assert _met(bare_fabric, container) == (_ALL, _ALL)
    for program in ("iptables", "ip6tables"):
        rules = closed.engine.run(program, "-S", "DOCKER-USER").check().stdout
        assert rules.count("-j DROP") == 1


@_older
def test_without_rules_only_published_ports_are_reached_where_docker_switched_forwarding_on(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    host.engine.stop()
    host.machine.must("busybox", "sysctl", "-w", "net.ipv4.conf.all.forwarding=0")
    host.machine.must("busybox", "sysctl", "-w", "net.ipv4.ip_forward=0")
    host.engine.start()
    try:
        container = _serving(bare_fabric, host, *network_options())

        assert _met(bare_fabric, container) == (Met(ping=False, port=False, published=True), _ALL)
        assert _seen(container) == _addresses(container)

        _add_rules(host)
        assert _met(bare_fabric, container) == (_ALL, _ALL)
    finally:
        host.engine.run("iptables", "-P", "FORWARD", "ACCEPT").check()
