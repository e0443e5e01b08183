"""The exact subnets of networks that lie in no aggregate, announced with FRR: the commands of
docs/routing.md, given to a host and a router while both run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import commands, of_host
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import Fabric, add_host, announce, fabric
from tests.support.fabric.following import clone, follow
from tests.support.fabric.machines import Machine, ensure_routers

_AGGREGATES = ("10.1.16.0/20", "fd00:10:1::/48")
_STRAYS = ("10.1.208.0/26", "fd00:10:8:1::/64")
_IN_AGGREGATES = ("10.1.16.0/26", "fd00:10:1:1::/64")


def _routes(*prefixes: str) -> dict[str, list[int]]:
    return {prefix: [65001] for prefix in prefixes}


@pytest.fixture(scope="module")
def host(say: Say) -> Iterator[tuple[Fabric, Machine]]:
    """A host with an aggregate and a stray of each family, without networks."""
    chroot = ensure_routers(say)
    with fabric(say) as made, ExitStack() as stack:
        machine = add_host(stack, chroot, made)
        announce(machine, *_AGGREGATES, *_STRAYS)
        Frr(machine).start(of_host(1, "frr-host.conf"))
        made.wait_for_routes(_routes(*_AGGREGATES))
        _follow_page(made.router.machine, machine)
        yield made, machine


def _follow_page(router: Machine, host: Machine) -> None:
    for machine in (router, host):
        clone(machine)
    for command in commands("FRR"):
        if "# on the router" in command:
            follow(router, command)
        elif "frr-host-strays.conf" in command:
            follow(host, command)


def test_the_commands_end_no_session(host: tuple[Fabric, Machine]) -> None:
    neighbors = Frr(host[1]).ask("bgp neighbors")

    assert [
        (neighbor["connectionsEstablished"], neighbor["connectionsDropped"])
        for neighbor in neighbors.values()
    ] == [(1, 0)]


def test_the_host_has_the_same_configuration_when_it_starts_again(
    host: tuple[Fabric, Machine],
) -> None:
    configuration = host[1].root / "etc/frr/frr.conf"

    assert configuration.read_text() == of_host(1, "frr-host.conf", "frr-host-strays.conf")


@pytest.mark.parametrize("subnets", [_STRAYS, _IN_AGGREGATES], ids=["stray", "in an aggregate"])
def test_the_subnet_of_a_network_is_known_as_long_as_it_has_a_container(
    host: tuple[Fabric, Machine], subnets: tuple[str, str]
) -> None:
    made, machine = host
    machine.ip("link add net0 type bridge")
    machine.ip("link set net0 up")
    for subnet in subnets:
        machine.ip(f"address add {subnet.replace('.0/', '.1/').replace('::/', '::1/')} dev net0")
    machine.ip("link add veth0 type veth peer name veth1")
    machine.ip("link set veth0 master net0 up")
    machine.ip("link set veth1 up")
    made.wait_for_routes(_routes(*_AGGREGATES, *subnets))
    assert made.client.pings(subnets[0].replace(".0/26", ".1"))
    machine.ip("link delete veth0")

    made.wait_for_routes(_routes(*_AGGREGATES))
    machine.ip("link delete net0")
