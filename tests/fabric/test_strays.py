"""The exact subnets of networks that lie in no aggregate, announced with FRR as docs/routing.md
shows: a host with frr-host-strays.conf, and a router that takes prefixes as long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import as_shown, of_host
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import Fabric, add_host, announce, fabric
from tests.support.fabric.machines import Machine, ensure_routers

_AGGREGATES = ("10.1.16.0/20", "fd00:10:1::/48")
_STRAYS = ("10.1.208.0/26", "fd00:10:8:1::/64")
_IN_AGGREGATES = ("10.1.16.0/26", "fd00:10:1:1::/64")


def _routes(*prefixes: str) -> dict[str, list[int]]:
    return {prefix: [65001] for prefix in prefixes}


def _longer(router: str) -> str:
    """The configuration of the router with the lengths that the page names."""
    return router.replace("le 20", "le 26").replace("le 48", "le 64")


@pytest.fixture(scope="module")
def host(say: Say) -> Iterator[tuple[Fabric, Machine]]:
    """A host with an aggregate and a stray of each family, without networks."""
    chroot = ensure_routers(say)
    with (
        fabric(say, _longer(as_shown("frr-router.conf"))) as made,
        ExitStack() as stack,
    ):
        machine = add_host(stack, chroot, made)
        announce(machine, *_AGGREGATES, *_STRAYS)
        Frr(machine).start(of_host(1, "frr-host.conf", "frr-host-strays.conf"))
        made.wait_for_routes(_routes(*_AGGREGATES))
        yield made, machine


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
