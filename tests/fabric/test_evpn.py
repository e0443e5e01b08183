"""One subnet on several hosts: layer 2 over VXLAN, whose addresses BGP tells (EVPN), with the
configurations of docs/routing.md.

The containers are namespaces on the bridges of the hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import permutations

import pytest

from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import as_shown, exchanged, of_host
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import Fabric, add_host, fabric
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.units import start, stop

_NUMBERS = (1, 2, 3)
_BRIDGE, _VXLAN = "br100", "vx100"
# What a header of VXLAN leaves of 1,500 bytes.
_MTU = 1450
_HEADERS = {4: 20 + 8, 6: 40 + 8}


def _address(number: int, family: int) -> str:
    return f"10.9.0.{10 + number}" if family == 4 else f"fd00:9::{10 + number}"


@dataclass(frozen=True)
class Layer2:
    """Hosts with a container each, all in one subnet."""

    fabric: Fabric
    routing: dict[int, Frr]
    containers: dict[int, Machine]

    def host(self, number: int) -> Machine:
        return self.fabric.hosts[number - 1]

    def mac(self, number: int) -> str:
        return self.containers[number].must("cat", "/sys/class/net/eth0/address").strip()

    def knows(self, number: int, other: int) -> bool:
        """Whether a host knows behind which other one the container of that one is."""
        table = self.host(number).must("bridge", "fdb", "show", "dev", _VXLAN)
        return any(
            line.startswith(self.mac(other)) and f"dst {_vtep(other)}" in line
            for line in table.splitlines()
        )

    def floods_to(self, number: int) -> set[str]:
        """The hosts to which a host sends what is for all."""
        table = self.host(number).must("bridge", "fdb", "show", "dev", _VXLAN)
        return {
            line.split()[line.split().index("dst") + 1]
            for line in table.splitlines()
            if line.startswith("00:00:00:00:00:00") and "dst" in line
        }


def _vtep(number: int) -> str:
    return f"192.0.2.{number}"


@pytest.fixture(scope="module")
def layer_2(say: Say) -> Iterator[Layer2]:
    chroot = ensure_routers(say)
    with ExitStack() as stack:
        made = Layer2(stack.enter_context(fabric(say)), {}, {})
        for number in _NUMBERS:
            host = add_host(stack, chroot, made.fabric)
            start(host, _unit(number))
            container = stack.enter_context(Machine(f"c{number}", chroot))
            _plug(host, container, number)
            made.containers[number] = container
            made.routing[number] = Frr(host)
            made.routing[number].start(of_host(number, "frr-host.conf"))
            _add(host, of_host(number, "frr-evpn-host.conf"))
        _add(made.fabric.router.machine, as_shown("frr-evpn-router.conf"))
        _wait_until_all_know(made)
        yield made


def _add(machine: Machine, configuration: str) -> None:
    """Give this to the FRR that runs on the machine, as the commands of the page do."""
    (machine.root / "root" / "evpn.conf").write_text(configuration)
    machine.must("vtysh", "-f", "/root/evpn.conf")


def _unit(number: int) -> str:
    return exchanged(as_shown("evpn.service"), _vtep(1), _vtep(number))


def _plug(host: Machine, container: Machine, number: int) -> None:
    host.plug("c0", container, "eth0")
    host.ip(f"link set c0 master {_BRIDGE}")
    container.ip(f"link set eth0 mtu {_MTU}")
    container.ip(f"address add {_address(number, 4)}/24 dev eth0")
    container.ip(f"address add {_address(number, 6)}/64 dev eth0 nodad")


def _wait_until_all_know(layer_2: Layer2) -> None:
    # A host learns the address of its container with the first packet.
    def all_known() -> bool:
        for number in _NUMBERS:
            layer_2.containers[number].run("ping", "-n", "-c1", "-W1", "10.9.0.1")
        return all(layer_2.knows(one, other) for one, other in permutations(_NUMBERS, 2))

    layer_2.fabric.wait_for("that all addresses are known", all_known)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("source", "target"), list(permutations(_NUMBERS, 2)))
def test_containers_of_one_subnet_reach_each_other_with_packets_of_1450_bytes(
    layer_2: Layer2, source: int, target: int, family: int
) -> None:
    size = str(_MTU - _HEADERS[family])

    assert layer_2.containers[source].pings(
        _address(target, family), "-M", "do", "-s", size, "-I", _address(source, family)
    )


def test_every_host_knows_behind_which_host_a_container_is(layer_2: Layer2) -> None:
    known = {(one, other) for one, other in permutations(_NUMBERS, 2) if layer_2.knows(one, other)}

    assert known == set(permutations(_NUMBERS, 2))
    assert [layer_2.floods_to(number) for number in _NUMBERS] == [
        {_vtep(other) for other in _NUMBERS if other != number} for number in _NUMBERS
    ]


def test_frr_shows_the_other_hosts_as_vteps(layer_2: Layer2) -> None:
    """With the command that the page shows."""
    shown = layer_2.host(1).must("vtysh", "-c", "show evpn vni 100")

    assert "remote vteps" in shown.lower()
    assert all(_vtep(other) in shown for other in (2, 3))


def test_the_router_keeps_no_route_of_the_subnet_but_one_to_each_host(layer_2: Layer2) -> None:
    assert layer_2.fabric.router.routes() == {
        f"{_vtep(number)}/32": [65000 + number] for number in _NUMBERS
    }


def test_what_is_behind_a_host_that_dies_is_forgotten_and_known_again(layer_2: Layer2) -> None:
    with layer_2.fabric.unplugged(layer_2.host(3)):
        layer_2.fabric.wait_for(
            "that host 3 is forgotten",
            lambda: (
                not any(
                    layer_2.knows(number, 3) or _vtep(3) in layer_2.floods_to(number)
                    for number in (1, 2)
                )
            ),
        )
        assert layer_2.containers[1].pings(_address(2, 4))

    _wait_until_all_know(layer_2)


def test_containers_are_reached_again_when_the_service_has_been_started_again(
    layer_2: Layer2,
) -> None:
    stop(layer_2.host(3), _unit(3))
    layer_2.fabric.wait_for("that host 3 is forgotten", lambda: not layer_2.knows(1, 3))

    start(layer_2.host(3), _unit(3))

    _wait_until_all_know(layer_2)
    assert layer_2.containers[1].pings(_address(3, 4))
