"""A host whose FRR announces static routes, which its service gives to FRR with `pyipam routes
--format frr`: with the configurations of docs/routing.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import as_shown, of_host
from tests.support.fabric.daemons import Frr
from tests.support.fabric.fabric import Fabric, Routes, add_host, fabric
from tests.support.fabric.formats import answer_nothing, answer_with
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.units import commands_of, hook_of

_SERVICE = "pyipam-routes-frr.service"
_FOLDER = "/var/lib/pyipam"
_AGGREGATES = ("10.1.16.0/20", "fd00:10:1::/48")
_ADDRESSES = ("10.1.16.1/26", "fd00:10:1::1/64")


def _routes(*prefixes: str) -> Routes:
    return {prefix: [65001] for prefix in prefixes}


@pytest.fixture(scope="module")
def started(say: Say) -> Iterator[tuple[Fabric, Machine]]:
    """The host with a network, and with the service, which has not announced anything yet."""
    chroot = ensure_routers(say)
    with fabric(say) as made, ExitStack() as stack:
        host = add_host(stack, chroot, made)
        host.ip("link add net0 type bridge")
        host.ip("link set net0 up")
        for address in _ADDRESSES:
            host.ip(f"address add {address} dev net0")
        host.must("mkdir", "-p", _FOLDER)
        Frr(host).start(of_host(1, "frr-host-static.conf"))
        _prepare(host)
        yield made, host


@pytest.fixture
def host(started: tuple[Fabric, Machine]) -> Iterator[tuple[Fabric, Machine]]:
    """The host, which announces its aggregates before and after the test."""
    _announce_aggregates(*started)
    yield started
    _announce_aggregates(*started)


def _announce_aggregates(made: Fabric, host: Machine) -> None:
    _announce(host, *_AGGREGATES)
    made.wait_for_routes(_routes(*_AGGREGATES))


def _prepare(host: Machine) -> None:
    """What the service runs first."""
    for command in commands_of(as_shown(_SERVICE), "ExecStartPre"):
        done = host.run(*command.words, directory=_FOLDER)
        assert (done.code, done.text) == (0, "")


def _announce(host: Machine, *prefixes: str) -> None:
    """What the service does where these prefixes are to be announced."""
    answer_with(host, "frr", *prefixes)
    host.must("sh", "-c", hook_of(_SERVICE), directory=_FOLDER)


@pytest.mark.parametrize("address", _ADDRESSES)
def test_a_client_behind_the_router_reaches_the_networks(
    host: tuple[Fabric, Machine], address: str
) -> None:
    made, _ = host

    made.wait_for("an answer", lambda: made.client.pings(address.partition("/")[0]))


@pytest.mark.parametrize("unused", ["10.1.17.9", "fd00:10:1:9::9"])
def test_an_unused_address_is_unreachable_and_no_packet_goes_round_in_circles(
    host: tuple[Fabric, Machine], unused: str
) -> None:
    host[0].check_unreachable(unused)


def test_what_is_to_be_announced_is_known_and_what_is_not_any_more_is_not(
    host: tuple[Fabric, Machine],
) -> None:
    made, machine = host
    _announce(machine, "10.1.32.0/19", "10.1.96.0/20", "fd00:10:1::/48")
    made.wait_for_routes(_routes("10.1.32.0/19", "10.1.96.0/20", "fd00:10:1::/48"))

    _announce(machine)

    made.wait_for_routes({})


def test_what_is_announced_already_sends_no_update(host: tuple[Fabric, Machine]) -> None:
    made, machine = host
    before = made.versions()

    _announce(machine, *_AGGREGATES)
    # What comes later is known, so everything before it would be.
    _announce(machine, *_AGGREGATES, "10.1.96.0/20")
    made.wait_for_routes(_routes(*_AGGREGATES, "10.1.96.0/20"))

    after = made.versions()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 0)


def test_what_is_announced_stays_while_the_plugin_does_not_answer(
    host: tuple[Fabric, Machine],
) -> None:
    made, machine = host
    answer_nothing(machine)

    done = machine.run("sh", "-c", hook_of(_SERVICE), directory=_FOLDER)

    assert done.code
    assert made.router.routes() == _routes(*_AGGREGATES)


def test_when_frr_has_been_started_again_its_routes_are_back_without_the_plugin(
    host: tuple[Fabric, Machine],
) -> None:
    made, machine = host
    answer_nothing(machine)
    frr = Frr(machine)
    frr.stop()
    made.wait_for_routes({})
    frr.start(of_host(1, "frr-host-static.conf"))

    _prepare(machine)

    made.wait_for_routes(_routes(*_AGGREGATES))


def test_what_is_withdrawn_while_frr_has_forgotten_it_is_no_error(
    host: tuple[Fabric, Machine],
) -> None:
    made, machine = host
    frr = Frr(machine)
    frr.stop()
    frr.start(of_host(1, "frr-host-static.conf"))

    _announce(machine, _AGGREGATES[0])

    made.wait_for_routes(_routes(_AGGREGATES[0]))
