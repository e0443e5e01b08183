"""systemd-networkd on hosts with FRR, where it configures all ports: what it leaves there with the
files that docs/routing.md shows, and what it removes without each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import as_shown, commands, of_host
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import Fabric, Routes, add_host, announce, fabric, routes_of
from tests.support.fabric.following import clone, follow
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.networkd import Networkd
from tests.support.fabric.units import start

_RESTART = "systemctl restart systemd-networkd"


def _aggregates(number: int) -> list[str]:
    return [f"10.1.{16 * number}.0/20", f"fd00:10:{number}::/48"]


def _routes_without(left_out: int = 0) -> Routes:
    numbers = [number for number in (1, 2, 3) if number != left_out]
    return {prefix: [65000 + number] for number in numbers for prefix in _aggregates(number)}


@pytest.fixture(scope="module")
def hosts(say: Say) -> Iterator[tuple[Fabric, dict[int, Machine]]]:
    """Hosts with aggregates, a default route by BGP, and the ports of a VXLAN and of EVPN."""
    homes.remove_abandoned(say)
    chroot = ensure_routers(say)
    with fabric(say) as made, ExitStack() as stack:
        machines = {number: add_host(stack, chroot, made) for number in (1, 2, 3)}
        for number, machine in machines.items():
            for unit in ("vxlan.service", "evpn.service"):
                start(machine, as_shown(unit))
            announce(machine, *_aggregates(number))
            Frr(machine).start(of_host(number, "frr-host.conf"))
            clone(machine)
            Networkd(machine).prepare()
        made.wait_for_routes(_routes_without())
        for machine in machines.values():
            made.wait_for("the default routes", lambda: all(_learned(machine)))  # noqa: B023
        yield made, machines


def _learned(machine: Machine) -> list[str]:
    return [machine.ip(f"{family} route show default proto bgp") for family in ("-4", "-6")]


def _kept_by_units(machine: Machine) -> list[str]:
    return [machine.ip(words) for words in ("-br address show vx200", "-br link show master br100")]


def _follow(machine: Machine, *left_out: str) -> None:
    """Do what the page says, without the commands that name one of these files."""
    *installing, restart = commands("Keeping it announced")
    assert restart == _RESTART
    for command in installing:
        if not set(left_out) & set(command.split()):
            follow(machine, command)
    Networkd(machine).restart()


def test_nothing_is_lost_when_networkd_starts_and_starts_again(
    hosts: tuple[Fabric, dict[int, Machine]],
) -> None:
    made, machines = hosts
    learned, kept = _learned(machines[1]), _kept_by_units(machines[1])
    before = made.versions()

    _follow(machines[1])
    Networkd(machines[1]).restart()

    assert routes_of(machines[1], "100") == set(_aggregates(1))
    assert _learned(machines[1]) == learned
    assert _kept_by_units(machines[1]) == kept
    assert made.versions() == before


def test_what_is_announced_is_lost_without_the_setting(
    hosts: tuple[Fabric, dict[int, Machine]],
) -> None:
    """Otherwise the test above would show nothing."""
    made, machines = hosts

    _follow(machines[2], "networkd.conf")

    assert routes_of(machines[2], "100") == set()
    made.wait_for_routes(_routes_without(2))
    announce(machines[2], *_aggregates(2))
    made.wait_for_routes(_routes_without())


def test_what_frr_and_the_units_gave_to_ports_is_lost_where_they_are_not_left_alone(
    hosts: tuple[Fabric, dict[int, Machine]],
) -> None:
    _, machines = hosts
    assert "fd00:ff::1/64" in _kept_by_units(machines[3])[0]

    _follow(machines[3], "unmanaged.network")

    assert routes_of(machines[3], "100") == set(_aggregates(3))
    assert _learned(machines[3])[0] == ""
    address, members = _kept_by_units(machines[3])
    assert "fd00:ff::1/64" not in address
    assert members == ""
