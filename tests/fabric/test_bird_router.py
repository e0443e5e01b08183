"""A router with BIRD, between a host with FRR and one with BIRD, which has its routes from a file
that its service wrote with `pyipam routes --format bird`: with the configurations of
docs/routing.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import as_shown, of_host
from tests.support.fabric.daemons import Bird, Frr
from tests.support.fabric.fabric import Fabric, Routes, add_host, announce, fabric
from tests.support.fabric.formats import answer_nothing, answer_with
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.units import hook_of

_FRR = ["10.1.16.0/20", "fd00:10:1::/48"]
_BIRD = ["10.1.32.0/20", "fd00:10:2::/48"]
_ADDRESSES = ["10.1.16.1", "fd00:10:1::1", "10.1.32.1", "fd00:10:2::1"]
# The network of the host with BIRD, and a container on it.
_NETWORK = ["10.1.32.0/26", "fd00:10:2::/64"]
_CONTAINER = ["10.1.32.2", "fd00:10:2::2"]
_HOOK = hook_of("pyipam-routes-bird.service")


def _routes(frr: list[str], bird: list[str]) -> Routes:
    return {prefix: [65001] for prefix in frr} | {prefix: [65002] for prefix in bird}


@pytest.fixture(scope="module")
def known(say: Say) -> Iterator[Fabric]:
    """The router, which knows the aggregates of both hosts."""
    chroot = ensure_routers(say)
    with fabric(say, as_shown("bird-router.conf"), Bird) as made, ExitStack() as stack:
        for number in (1, 2):
            host = add_host(stack, chroot, made)
            host.ip("link add net0 type bridge")
            host.ip("link set net0 up")
            for address in _ADDRESSES[2 * number - 2 : 2 * number]:
                host.ip(f"address add {address}/{64 if ':' in address else 26} dev net0")
        announce(made.hosts[0], *_FRR)
        Frr(made.hosts[0]).start(of_host(1, "frr-host.conf"))
        # The pattern of its `include` is satisfied by no file.
        Bird(made.hosts[1]).start(of_host(2, "bird-host-file.conf"))
        made.wait_for_routes(_routes(_FRR, []))
        _write(made, *_BIRD)
        made.wait_for_routes(_routes(_FRR, _BIRD))
        yield made


def _write(known: Fabric, *prefixes: str) -> None:
    """Let the host with BIRD announce these prefixes, as its service does."""
    answer_with(known.hosts[1], "bird", *prefixes)
    known.hosts[1].must("sh", "-c", _HOOK)


@pytest.mark.parametrize("address", _ADDRESSES)
def test_a_client_behind_the_router_reaches_both_hosts(known: Fabric, address: str) -> None:
    known.wait_for("an answer", lambda: known.client.pings(address))


@pytest.mark.parametrize("address", _ADDRESSES[2:])
def test_the_hosts_reach_each_other_by_the_addresses_of_their_networks(
    known: Fabric, address: str
) -> None:
    own = _ADDRESSES[_ADDRESSES.index(address) - 2]

    known.wait_for("an answer", lambda: known.hosts[0].pings(address, "-I", own))


def test_what_is_written_to_the_file_is_known_and_what_is_not_there_any_more_is_not(
    known: Fabric,
) -> None:
    _write(known, "10.1.32.0/19", "10.1.96.0/20")
    known.wait_for_routes(_routes(_FRR, ["10.1.32.0/19", "10.1.96.0/20"]))

    _write(known, *_BIRD)
    known.wait_for_routes(_routes(_FRR, _BIRD))


def test_what_is_announced_stays_while_the_plugin_does_not_answer(known: Fabric) -> None:
    answer_nothing(known.hosts[1])

    done = known.hosts[1].run("sh", "-c", _HOOK)

    assert done.code
    Bird(known.hosts[1]).ask("configure")
    assert known.router.routes() == _routes(_FRR, _BIRD)


@pytest.fixture(scope="module")
def container(known: Fabric, say: Say) -> Iterator[Machine]:
    """A container on the network of the host with BIRD."""
    host = known.hosts[1]
    with Machine("container", ensure_routers(say)) as made:
        host.plug("veth0", made, "eth0")
        host.ip("link set veth0 master net0")
        for address, length in zip(_CONTAINER, (26, 64), strict=True):
            made.ip(f"address add {address}/{length} dev eth0" + " nodad" * (length == 64))
        for gateway in _ADDRESSES[2:]:
            made.ip(f"-{6 if ':' in gateway else 4} route add default via {gateway}")
        yield made


@pytest.mark.parametrize("address", _CONTAINER)
def test_containers_are_reached_where_their_own_subnets_are_in_the_file_too(
    known: Fabric, container: Machine, address: str
) -> None:
    """As with `--exact`: what BIRD has of the subnet in the kernel gives way to the bridge."""
    further = ["10.1.96.0/20", "fd00:10:6::/48"]
    _write(known, *_BIRD, *_NETWORK, *further)
    # The router takes no subnet as long. What comes with them is known, so they are in force.
    known.wait_for_routes(_routes(_FRR, [*_BIRD, *further]))

    known.wait_for("an answer to the host", lambda: known.hosts[1].pings(address))
    known.wait_for("an answer to the client", lambda: known.client.pings(address))
    _write(known, *_BIRD)
    known.wait_for_routes(_routes(_FRR, _BIRD))


@pytest.mark.parametrize("unused", ["10.1.17.9", "10.1.33.9", "fd00:10:1:9::9", "fd00:10:2:9::9"])
def test_an_unused_address_is_unreachable_and_no_packet_goes_round_in_circles(
    known: Fabric, unused: str
) -> None:
    known.check_unreachable(unused)


@pytest.mark.parametrize("foreign", ["10.2.0.0/20", "10.1.208.0/26", "::/0", "fd00:10:8:1::/64"])
def test_the_router_takes_nothing_that_is_no_prefix_of_the_plan(
    known: Fabric, foreign: str
) -> None:
    _write(known, *_BIRD, foreign, "10.1.96.0/20")
    # What comes with it is known, so it would be.
    known.wait_for_routes(_routes(_FRR, [*_BIRD, "10.1.96.0/20"]))

    _write(known, *_BIRD)
    known.wait_for_routes(_routes(_FRR, _BIRD))
