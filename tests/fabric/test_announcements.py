"""What FRR and BIRD make of the routes that pyipam puts into the kernel of a host, with the
configurations of docs/routing.md.

Two hosts run FRR, the third one BIRD; each announces an aggregate of both families. What is in the
kernel stays the same in most tests: whatever happens to the daemons, nobody asks pyipam.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import permutations

import pytest

from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import of_host
from tests.support.fabric.daemons import Bird, Frr
from tests.support.fabric.fabric import Fabric, Routes, add_host, announce, withdraw
from tests.support.fabric.machines import Machine, ensure_routers

_NUMBERS = (1, 2, 3)
# A default route, what is outside of the plan, and what is longer than node_prefix.
# The kernel prefers it to what BGP has brought, as a mistake of the host.
_PREFERRED = 1
_FOREIGN = ("0.0.0.0/0", "10.2.0.0/20", "10.1.208.0/26", "::/0", "fd00:11::/48", "fd00:10:8:1::/64")


def _aggregates(number: int) -> list[str]:
    return [f"10.1.{number * 16}.0/20", f"fd00:10:{number}::/48"]


def _address(number: int, family: int) -> str:
    """The address of a container of that host: here, of its bridge."""
    return f"10.1.{number * 16}.1" if family == 4 else f"fd00:10:{number}::1"


def _routes_of(*numbers: int) -> Routes:
    return {prefix: [65000 + number] for number in numbers for prefix in _aggregates(number)}


_ALL = _routes_of(*_NUMBERS)


@dataclass(frozen=True)
class Hosts:
    """The fabric with three hosts, whose routes the router knows."""

    fabric: Fabric
    routing: dict[int, Frr | Bird]

    def machine(self, number: int) -> Machine:
        return self.fabric.hosts[number - 1]

    def restart(self, number: int) -> None:
        """Stop the routing daemons of a host, and start them as before."""
        routing = self.routing[number]
        routing.stop()
        routing.start(_configuration(number))


def _configuration(number: int) -> str:
    return of_host(number, "bird-host.conf" if number == 3 else "frr-host.conf")


@pytest.fixture(scope="module")
def announced(bare_fabric: Fabric, say: Say) -> Iterator[Hosts]:
    chroot = ensure_routers(say)
    with ExitStack() as stack:
        routing: dict[int, Frr | Bird] = {}
        for number in _NUMBERS:
            host = add_host(stack, chroot, bare_fabric)
            _add_network(host, number)
            announce(host, *_aggregates(number))
            routing[number] = Bird(host) if number == 3 else Frr(host)
            routing[number].start(_configuration(number))
        bare_fabric.wait_for_routes(_ALL)
        yield Hosts(bare_fabric, routing)


def _add_network(host: Machine, number: int) -> None:
    host.ip("link add net0 type bridge")
    host.ip("link set net0 up")
    host.ip(f"address add {_address(number, 4)}/26 dev net0")
    host.ip(f"address add {_address(number, 6)}/64 dev net0 nodad")


@pytest.fixture
def hosts(announced: Hosts) -> Iterator[Hosts]:
    """The three hosts; after the test, the router must know their routes as before."""
    yield announced
    announced.fabric.wait_for_routes(_ALL)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("source", "target"), list(permutations(_NUMBERS, 2)))
def test_hosts_reach_each_other_by_the_addresses_of_their_networks(
    hosts: Hosts, source: int, target: int, family: int
) -> None:
    own = _address(source, family)

    hosts.fabric.wait_for(
        "an answer", lambda: hosts.machine(source).pings(_address(target, family), "-I", own)
    )


@pytest.mark.parametrize("number", _NUMBERS)
@pytest.mark.parametrize("family", [4, 6])
def test_a_client_behind_the_router_reaches_the_networks(
    hosts: Hosts, number: int, family: int
) -> None:
    hosts.fabric.wait_for("an answer", lambda: hosts.fabric.client.pings(_address(number, family)))


@pytest.mark.parametrize("unused", ["10.1.17.9", "fd00:10:1:9::9"])
def test_an_unused_address_is_unreachable_and_no_packet_goes_round_in_circles(
    hosts: Hosts, unused: str
) -> None:
    """The host has a default route, which leads back to the router."""
    hosts.fabric.check_unreachable(unused)


@pytest.mark.parametrize("number", _NUMBERS)
def test_networks_that_come_and_go_send_no_update(hosts: Hosts, number: int) -> None:
    before = hosts.fabric.versions()

    for block in range(1, 11):
        hosts.machine(number).ip(f"link add net{block} type bridge")
        hosts.machine(number).ip(f"link set net{block} up")
        subnet = f"10.1.{number * 16 + block}.1/26"
        hosts.machine(number).ip(f"address add {subnet} dev net{block}")
        hosts.machine(number).ip(f"address add fd00:10:{number}:{block}::1/64 dev net{block}")
    for block in range(1, 11):
        hosts.machine(number).ip(f"link delete net{block}")
    # What comes later is known, so everything before it would be.
    _announce_for_a_moment(hosts, number, f"10.1.{128 + number * 16}.0/20")

    after = hosts.fabric.versions()
    assert (after[0] - before[0], after[1] - before[1]) == (2, 0)


def _announce_for_a_moment(hosts: Hosts, number: int, prefix: str) -> None:
    machine = hosts.machine(number)
    hosts.fabric.announce_for_a_moment(machine, prefix, _ALL, 65000 + number)


@pytest.mark.parametrize("number", _NUMBERS)
def test_a_further_aggregate_is_known_and_withdrawn_again(hosts: Hosts, number: int) -> None:
    further = {f"10.1.{128 + number * 16}.0/20": [65000 + number]}

    announce(hosts.machine(number), *further)
    hosts.fabric.wait_for_routes({**_ALL, **further})

    withdraw(hosts.machine(number), *further)
    hosts.fabric.wait_for_routes(_ALL)


@pytest.mark.parametrize("number", _NUMBERS)
def test_adjacent_aggregates_are_known_as_one_prefix(hosts: Hosts, number: int) -> None:
    """The blocks that a host has claimed one beside the other."""
    merged = f"10.1.{128 + (number - 1) * 32}.0/19"

    announce(hosts.machine(number), merged)
    hosts.fabric.wait_for_routes({**_ALL, merged: [65000 + number]})

    withdraw(hosts.machine(number), merged)
    hosts.fabric.wait_for_routes(_ALL)


@pytest.mark.parametrize("foreign", _FOREIGN)
def test_a_host_announces_nothing_of_its_kernel_that_is_no_prefix_of_the_plan(
    hosts: Hosts, foreign: str
) -> None:
    announce(hosts.machine(1), foreign, metric=_PREFERRED)
    # What comes later is known, so everything before it would be.
    _announce_for_a_moment(hosts, 1, "10.1.144.0/20")
    sent = _sent(hosts, foreign)

    withdraw(hosts.machine(1), foreign, metric=_PREFERRED)

    assert "10.1.16.0/20" in sent or "fd00:10:1::/48" in sent
    assert foreign not in sent


@pytest.mark.parametrize("foreign", _FOREIGN)
def test_the_router_takes_nothing_that_is_no_prefix_of_the_plan(
    hosts: Hosts, announces_everything: None, foreign: str
) -> None:
    announce(hosts.machine(1), foreign, metric=_PREFERRED)
    hosts.fabric.wait_for("an announcement", lambda: foreign in _sent(hosts, foreign))
    _announce_for_a_moment(hosts, 1, "10.1.144.0/20")

    withdraw(hosts.machine(1), foreign, metric=_PREFERRED)


@pytest.fixture
def announces_everything(hosts: Hosts) -> Iterator[None]:
    """Let host 1 announce everything that its kernel knows, as a mistake would."""
    _redistribute(hosts, "")
    yield
    _redistribute(hosts, " route-map PYIPAM")


def _redistribute(hosts: Hosts, what: str) -> None:
    lines = ["configure terminal", "router bgp"]
    for family in ("ipv4", "ipv6"):
        lines += [f"address-family {family} unicast", "no redistribute kernel"]
        lines += [f"redistribute kernel{what}", "exit-address-family"]
    hosts.machine(1).must("vtysh", *(word for line in lines for word in ("-c", line)))


def _sent(hosts: Hosts, prefix: str) -> set[str]:
    """What host 1 has sent to the router in the family of the prefix."""
    family = "ipv6" if ":" in prefix else "ipv4"
    routing = hosts.routing[1]
    assert isinstance(routing, Frr)
    return set(
        routing.ask(f"bgp {family} unicast neighbors up0 advertised-routes")["advertisedRoutes"]
    )


@pytest.mark.parametrize("number", [1, 2])
def test_what_a_killed_bgpd_announced_is_gone_and_comes_back(hosts: Hosts, number: int) -> None:
    routing = hosts.routing[number]
    assert isinstance(routing, Frr)

    routing.signal("bgpd", signal.SIGKILL)
    hosts.fabric.wait_for_routes(_without(number))
    routing.start_daemon("bgpd")
    routing.load()

    hosts.fabric.wait_for_routes(_ALL)


def test_what_a_killed_bird_announced_is_gone_and_comes_back(hosts: Hosts) -> None:
    routing = hosts.routing[3]
    assert isinstance(routing, Bird)

    routing.signal(signal.SIGKILL)
    hosts.fabric.wait_for_routes(_without(3))
    routing.start(_configuration(3))

    hosts.fabric.wait_for_routes(_ALL)


@pytest.mark.parametrize("number", [1, 3])
def test_without_carrier_the_routes_are_gone_until_it_is_back(hosts: Hosts, number: int) -> None:
    with hosts.fabric.unplugged(hosts.machine(number)):
        hosts.fabric.wait_for_routes(_without(number))

    hosts.fabric.wait_for_routes(_ALL)


def test_what_hangs_is_gone_after_the_hold_time_and_comes_back(hosts: Hosts) -> None:
    frr, bird = hosts.routing[1], hosts.routing[3]
    assert isinstance(frr, Frr)
    assert isinstance(bird, Bird)

    frr.signal("bgpd", signal.SIGSTOP)
    bird.signal(signal.SIGSTOP)
    hosts.fabric.wait_for_routes(_routes_of(2))
    frr.signal("bgpd", signal.SIGCONT)
    bird.signal(signal.SIGCONT)

    hosts.fabric.wait_for_routes(_ALL)


@pytest.mark.parametrize("number", [1, 3])
def test_daemons_that_are_started_again_announce_what_is_in_the_kernel(
    hosts: Hosts, number: int
) -> None:
    kernel = [hosts.machine(number).ip(f"{family} route show proto 100") for family in ("-4", "-6")]

    hosts.restart(number)

    hosts.fabric.wait_for_routes(_ALL)
    assert kernel == [
        hosts.machine(number).ip(f"{family} route show proto 100") for family in ("-4", "-6")
    ]


def _without(number: int) -> Routes:
    return _routes_of(*(other for other in _NUMBERS if other != number))
