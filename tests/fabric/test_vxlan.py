"""Aggregates of hosts that tell each other over a VXLAN, with the configurations of
docs/routing.md. The network between the hosts routes nothing of the plan."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import permutations

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.command import run_command
from tests.support.fabric.configurations import as_shown, commands, exchanged, of_host, words
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import announce, routes_of
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.units import start, stop
from tests.support.mongodb.replica_set import wait_for

# The last two reflect the routes of all.
_NUMBERS = (1, 2, 253, 254)
_REFLECTORS = (253, 254)
_MTU = 1450


def _aggregates(number: int) -> list[str]:
    return [f"10.1.{number % 16 * 16}.0/20", f"fd00:10:{number}::/48"]


def _addresses(number: int) -> list[str]:
    return [f"10.1.{number % 16 * 16}.1", f"fd00:10:{number}::1"]


def _others(number: int) -> list[int]:
    return [other for other in _NUMBERS if other != number]


@pytest.fixture(scope="module")
def hosts(say: Say) -> Iterator[dict[int, Frr]]:
    """The hosts, which know each other's aggregates."""
    homes.remove_abandoned(say)
    chroot = ensure_routers(say)
    with ExitStack() as stack:
        switch = stack.enter_context(Machine("switch", chroot))
        switch.ip("link add net type bridge")
        switch.ip("link set net up")
        started = {}
        for number in _NUMBERS:
            host = stack.enter_context(Machine(f"h{number}", chroot))
            _join(switch, host, number)
            announce(host, *_aggregates(number))
            started[number] = Frr(host)
            started[number].start(_configuration(number))
        for number in _NUMBERS:
            _wait_for_routes(started, number, _others(number))
        yield started


def _join(switch: Machine, host: Machine, number: int) -> None:
    switch.plug(f"port{number}", host, "eth0")
    switch.ip(f"link set port{number} master net")
    host.ip(f"address add {_underlay(number)}/24 dev eth0")
    start(host, _unit(number))
    host.ip("link add net0 type bridge")
    host.ip("link set net0 up")
    for address, length in zip(_addresses(number), (26, 64), strict=True):
        host.ip(f"address add {address}/{length} dev net0" + " nodad" * (length == 64))


def _unit(number: int) -> str:
    own = exchanged(as_shown("vxlan.service"), _underlay(1), _underlay(number))
    return exchanged(own, "fd00:ff::1/64", f"fd00:ff::{number:x}/64")


def _underlay(number: int) -> str:
    return f"198.51.100.{number}"


def _configuration(number: int) -> str:
    if number not in _REFLECTORS:
        return of_host(number, "frr-vxlan-host.conf").replace(str(65000 + number), "65001")
    shown = as_shown("frr-vxlan-reflector.conf")
    return shown if number == 254 else _of_second_reflector(shown)


def _of_second_reflector(shown: str) -> str:
    """What the command of the page makes of the file of the first one."""
    (command,) = (line for line in commands("Over a VXLAN") if line.startswith("sed"))
    program, option, script, _ = words(command)
    assert option == "-i"
    return run_command([], [program, script], stdin=shown.encode()).check().stdout


def _wait_for_routes(hosts: dict[int, Frr], number: int, known: list[int]) -> None:
    """Wait until the kernel of a host has just the aggregates of these others by BGP."""
    expected = {prefix for other in known for prefix in _aggregates(other)}
    wait_for(
        lambda: routes_of(hosts[number].machine, "bgp") == expected, f"{expected} on h{number}"
    )


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("source", "target"), list(permutations(_NUMBERS, 2)))
def test_hosts_reach_each_other_with_packets_of_1450_bytes(
    hosts: dict[int, Frr], source: int, target: int, family: int
) -> None:
    place = 0 if family == 4 else 1
    size = str(_MTU - (28 if family == 4 else 48))

    assert hosts[source].machine.pings(
        _addresses(target)[place], "-I", _addresses(source)[place], "-M", "do", "-s", size
    )


@pytest.mark.parametrize("family", [4, 6])
def test_a_packet_that_would_be_cut_in_two_is_refused(hosts: dict[int, Frr], family: int) -> None:
    place = 0 if family == 4 else 1
    size = str(_MTU + 1 - (28 if family == 4 else 48))

    target, source = _addresses(2)[place], _addresses(1)[place]
    ping = hosts[1].machine.run(
        "ping", "-n", "-c1", "-W2", "-I", source, "-M", "do", "-s", size, target
    )

    assert f"mtu: {_MTU}" in ping.text.replace("mtu=", "mtu: ")


def test_what_a_host_announced_is_gone_from_all_when_it_dies(hosts: dict[int, Frr]) -> None:
    hosts[2].signal("bgpd", signal.SIGKILL)
    for number in _others(2):
        _wait_for_routes(hosts, number, [other for other in _others(number) if other != 2])
    hosts[2].start_daemon("bgpd")
    hosts[2].load()

    for number in _NUMBERS:
        _wait_for_routes(hosts, number, _others(number))


def test_routes_stay_known_while_one_of_two_reflectors_is_dead(hosts: dict[int, Frr]) -> None:
    hosts[254].signal("bgpd", signal.SIGKILL)
    for number in _others(254):
        _wait_for_routes(hosts, number, [other for other in _others(number) if other != 254])

    assert hosts[1].machine.pings(_addresses(2)[0], "-I", _addresses(1)[0])
    hosts[254].start_daemon("bgpd")
    hosts[254].load()
    for number in _NUMBERS:
        _wait_for_routes(hosts, number, _others(number))


def test_a_host_whose_vxlan_is_made_anew_knows_the_others_again(hosts: dict[int, Frr]) -> None:
    stop(hosts[2].machine, _unit(2))
    for number in _others(2):
        _wait_for_routes(hosts, number, [other for other in _others(number) if other != 2])

    start(hosts[2].machine, _unit(2))

    for number in _NUMBERS:
        _wait_for_routes(hosts, number, _others(number))
