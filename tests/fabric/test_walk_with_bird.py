"""A host with BIRD beside a router: the commands of docs/routing.md, run one after the other on
bare machines, on which no Docker runs. One of the hosts had FRR before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.documented import section
from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.fabric.configurations import commands, commands_of_step, of_host
from tests.support.fabric.daemons import Bird, Frr
from tests.support.fabric.fabric import announce, routes_of
from tests.support.fabric.following import bare_machine, follow, for_machine, plug
from tests.support.fabric.formats import answer_with
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.units import hook_of
from tests.support.mongodb.replica_set import wait_for

_AGGREGATES = ("10.1.16.0/20", "fd00:10:1::/48")
_ROUTES = {prefix: [65001] for prefix in _AGGREGATES}


@pytest.fixture
def machines(say: Say) -> Iterator[tuple[Machine, Machine]]:
    """The router with FRR, and the host, which forwards packets and has its port switched on."""
    homes.remove_abandoned(say)
    chroot = ensure_routers(say)
    with ExitStack() as stack:
        router, host = (bare_machine(stack, name, chroot) for name in ("r1", "h1"))
        for port in ("swp1", "swp2"):
            other = host if port == "swp1" else bare_machine(stack, "h2", chroot)
            plug(router, port, other)
        for command in commands_of_step(1):
            follow(router, command)
        step = commands_of_step(2)
        for command in step[: step.index("apt install frr")]:
            follow(host, command)
        for command in for_machine("the router", commands("BIRD")):
            if "on the router" in command:
                follow(router, command)
        yield router, host


def _commands_of_host() -> tuple[list[str], list[str]]:
    """Those that lead to a session, and those that come instead where there is a file."""
    shown = for_machine("host 1", commands("BIRD"))
    place = shown.index("mkdir -p /etc/pyipam")
    return shown[:place], shown[place:]


def test_a_host_with_bird_announces_what_is_in_its_kernel(
    machines: tuple[Machine, Machine],
) -> None:
    router, host = machines
    announce(host, *_AGGREGATES)
    *preparing, protocols, routes = _commands_of_host()[0]
    for command in preparing:
        follow(host, command)

    wait_for(lambda: Frr(router).routes() == _ROUTES, "the routes on the router", 60)
    for prefix in (*_AGGREGATES, "0.0.0.0/0", "::/0"):
        wait_for(lambda: prefix in follow(host, routes), prefix)  # noqa: B023
    assert "Established" in follow(host, protocols)


def _commands_that_end(what: str) -> list[str]:
    """What the page says ends a way of announcing."""
    rows = section("routing.md", "Changing from one way to another").splitlines()
    [row] = [row for row in rows if row.startswith(f"| {what}")]
    return [line for shown in re.findall(r"`(.*?)`", row) for line in shown.split("; ")]


def _change_from_frr(router: Machine, host: Machine) -> None:
    """Announce with FRR what is in the kernel, and end that as the page says."""
    announce(host, "10.1.32.0/20", "fd00:10:2::/48")
    Frr(host).start(of_host(1, "frr-host.conf"))
    wait_for(lambda: len(Frr(router).routes()) == 2, "the routes on the router", 60)
    wait_for(lambda: "default" in routes_of(host, "bgp"), "the default route", 60)

    disable, *flushing = _commands_that_end("pyipam-routes.service")
    assert disable == "systemctl disable --now pyipam-routes"
    assert len(flushing) == 2
    for command in flushing:
        follow(host, command)
    wait_for(lambda: Frr(router).routes() == {}, "the router to forget them", 60)
    assert _commands_that_end("FRR, for BIRD") == ["systemctl disable --now frr"]
    Frr(host).stop()


def test_a_host_that_had_frr_announces_just_what_its_service_writes_to_a_file_with_bird(
    machines: tuple[Machine, Machine],
) -> None:
    router, host = machines
    _change_from_frr(router, host)
    assert routes_of(host, "bgp") == set()
    _, shown = _commands_of_host()
    *preparing, start = shown
    assert start == "systemctl enable --now pyipam-routes-bird"
    # BIRD gives up its rights, and reads the file without them.
    for command in preparing:
        follow(host, command)
    answer_with(host, "bird", *_AGGREGATES)

    host.must("sh", "-c", hook_of("pyipam-routes-bird.service"))

    wait_for(lambda: Frr(router).routes() == _ROUTES, "the routes on the router", 60)
    assert Bird(host).ask("show protocols").count("up") >= 4
