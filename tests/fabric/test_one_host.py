"""A host with an engine, the plugin, `pyipam routes --watch` and FRR, beside a router and a client:
what the router knows while networks and containers come and go, and the plugin does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.engine.objects import (
    DRIVER,
    Container,
    clear,
    create_network,
    run_container,
)
from tests.support.engine.plugin import Plugin
from tests.support.engine.registry import ADDRESS, push_edition, registry
from tests.support.engine.schemas import SCHEMA_PATH
from tests.support.fabric.configurations import network_options
from tests.support.fabric.docker_host import DockerHost
from tests.support.fabric.fabric import Fabric, Routes
from tests.support.fabric.pinging import Pinging

pytestmark = [pytest.mark.smoke, pytest.mark.engines("26.1", "28.5")]

_BASE = ("10.1.0.0/20", "fd00:10::/48")


def _routes(*prefixes: str) -> Routes:
    return {prefix: [65001] for prefix in prefixes}


@pytest.fixture
def host(bare_fabric: Fabric, one_host: DockerHost) -> Iterator[DockerHost]:
    """The host with its first aggregates, and without networks before and after the test."""
    if not one_host.plugin.pools():
        create_network(one_host.engine, "first", "--ipv6").remove()
    bare_fabric.wait_for_routes(_routes(*_BASE))
    yield one_host
    clear(one_host.engine)
    assert one_host.plugin.held() == []
    bare_fabric.wait_for_routes(_routes(*_BASE))


def _routed(host: DockerHost, name: str, *options: str) -> None:
    """A network with the options of the documentation."""
    create_network(host.engine, name, "--ipv6", *network_options(), *options)


def _reached(fabric: Fabric, container: Container) -> list[str]:
    """The addresses of a container, each of which the client reaches."""
    addresses = [address.partition("/")[0] for address in container.addresses]
    for address in addresses:
        fabric.wait_for(f"an answer of {address}", lambda: fabric.client.pings(address))  # noqa: B023
    return addresses


def test_a_second_aggregate_is_announced_with_the_first_as_one_and_withdrawn_when_given_back(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    # Before any other one rests, which would be taken back first.
    half = ("--ipam-opt", "prefix=21")
    create_network(host.engine, "first", *half)
    create_network(host.engine, "second", *half)
    assert host.announced() == set(_BASE)

    create_network(host.engine, "third", *half)
    bare_fabric.wait_for_routes(_routes("10.1.0.0/19", "fd00:10::/48"))

    # Of several empty ones the oldest stays.
    clear(host.engine)
    bare_fabric.wait_for_routes(_routes(*_BASE))


def test_twenty_networks_are_one_route_of_each_family(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    for number in range(20):
        _routed(host, f"net{number}")
    containers = [run_container(host.engine, f"on{n}", f"net{n}") for n in (0, 10, 19)]

    for container in containers:
        assert len(_reached(bare_fabric, container)) == 2
    assert len(host.plugin.held()) == 40
    assert bare_fabric.router.routes() == _routes(*_BASE)
    assert host.announced() == set(_BASE)


def test_networks_and_containers_that_come_and_go_send_no_update(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    before = bare_fabric.versions()

    for number in range(6):
        _routed(host, f"net{number}")
        run_container(host.engine, f"on{number}", f"net{number}")
    clear(host.engine)
    _routed(host, "again")
    run_container(host.engine, "on", "again")
    clear(host.engine)
    # What comes later is known, so everything before it would be.
    further = create_network(host.engine, "further", "--subnet", "10.1.240.0/26")
    bare_fabric.wait_for_routes(_routes(*_BASE, "10.1.240.0/20"))
    further.remove()
    bare_fabric.wait_for_routes(_routes(*_BASE))

    after = bare_fabric.versions()
    assert (after[0] - before[0], after[1] - before[1]) == (2, 0)


def _kill(host: DockerHost) -> None:
    host.plugin.kill_and_wait()


def _disable_and_enable(host: DockerHost) -> None:
    host.plugin.disable(force=True)
    host.plugin.enable()


def _restart_the_service(host: DockerHost) -> None:
    host.watcher.stop()
    host.watcher.start()


@pytest.mark.parametrize("happens", [_kill, _disable_and_enable, _restart_the_service])
def test_no_ping_is_lost_and_no_update_sent_while_the_plugin_or_the_service_is_away(
    bare_fabric: Fabric, host: DockerHost, happens: Callable[[DockerHost], None]
) -> None:
    _routed(host, "net")
    four, six = _reached(bare_fabric, run_container(host.engine, "one", "net"))
    before = bare_fabric.versions()

    with Pinging(bare_fabric.client, four) as pings, Pinging(bare_fabric.client, six) as pings_6:
        happens(host)
        _routed(host, "later")

    assert (pings.lost, pings_6.lost) == (0, 0)
    assert bare_fabric.versions() == before
    assert _reached(bare_fabric, run_container(host.engine, "two", "later"))


def test_an_aggregate_elsewhere_is_announced_beside_the_first_and_withdrawn_when_given_back(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    subnets = ("--subnet", "10.1.128.0/26", "--subnet", "fd00:10:77::/64")
    _routed(host, "elsewhere", *subnets)
    bare_fabric.wait_for_routes(_routes(*_BASE, "10.1.128.0/20", "fd00:10:77::/48"))
    _reached(bare_fabric, run_container(host.engine, "one", "elsewhere"))

    clear(host.engine)
    bare_fabric.wait_for_routes(_routes(*_BASE))


@pytest.mark.parametrize("unused", ["10.1.0.60", "10.1.5.9", "fd00:10::60", "fd00:10:0:9::9"])
def test_an_unused_address_is_unreachable_and_no_packet_goes_round_in_circles(
    bare_fabric: Fabric, host: DockerHost, unused: str
) -> None:
    """Of the subnet of a network, and of none."""
    _routed(host, "net")
    assert host.plugin.held() == ["10.1.0.0/26", "fd00:10::/64"]
    run_container(host.engine, "one", "net")
    # Until the kernel knows that nobody else has its address, the host sends no errors with it.
    bare_fabric.wait_for("the bridge", lambda: bare_fabric.client.pings("fd00:10::1"))

    bare_fabric.check_unreachable(unused)


def test_after_a_reboot_the_routes_are_there_before_docker_starts_and_containers_are_reached(
    bare_fabric: Fabric, host: DockerHost
) -> None:
    _routed(host, "net")
    container = run_container(host.engine, "one", "net", "--restart", "always")
    before = _reached(bare_fabric, container)
    assert host.found_at_boot == set()

    host.reboot()

    assert host.found_at_boot == set(_BASE)
    bare_fabric.wait_for_routes(_routes(*_BASE))
    host.engine.wait_for("the container runs again", lambda: len(container.addresses) == 2)
    assert _reached(bare_fabric, container) == before


@pytest.mark.any_engine
def test_no_ping_is_lost_and_no_update_sent_while_the_plugin_is_upgraded(
    bare_fabric: Fabric, host: DockerHost, bundle: Path
) -> None:
    engine = host.engine
    old, new = (f"{ADDRESS}/owner/pyipam:{edition}" for edition in ("1.0", "1.1"))
    host.plugin.remove()
    with registry(engine):
        for name in (old, new):
            push_edition(engine, name, name, bundle)
        setting = f"SCHEMA_PATH={SCHEMA_PATH}"
        engine.must("plugin", "install", "--grant-all-permissions", old, setting)
        upgraded = Plugin(engine, old)
        create_network(engine, "net", "--ipv6", *network_options(), driver=old)
        one, *_ = _reached(bare_fabric, run_container(engine, "one", "net"))
        before = bare_fabric.versions()

        with Pinging(bare_fabric.client, one) as pings:
            upgraded.disable(force=True)
            options = ("--skip-remote-check", "--grant-all-permissions")
            engine.must("plugin", "upgrade", *options, old, new)
            upgraded.enable()
            create_network(engine, "later", "--ipv6", *network_options(), driver=old)

        assert pings.lost == 0
        assert bare_fabric.versions() == before
        clear(engine)
        upgraded.remove()
    host.install(bundle)
    create_network(engine, "first", "--ipv6", driver=DRIVER).remove()
