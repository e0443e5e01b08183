"""Networks of Docker in one subnet on two hosts that share a plan, over VXLAN with EVPN: with the
configurations and commands of docs/routing.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.objects import Container, run_container
from tests.support.fabric.configurations import as_shown, commands, words
from tests.support.fabric.docker_host import DockerHost
from tests.support.fabric.shared import Kind, SharedPlan, shared_plan

_SECTION = "One subnet on several hosts: EVPN"
_FILES = ("frr-host.conf", "frr-evpn-host.conf")
_KINDS = tuple(Kind(version, _FILES, "evpn.service") for version in ("28.5", "20.10"))
_VTEPS = {f"192.0.2.{number}/32": [65000 + number] for number in (1, 2)}
# How many bytes of 1,450 a ping sends besides its header and that of IPv4.
_SIZE = str(1450 - 28)


@pytest.fixture(scope="module")
def plan(bundle: Path, tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[SharedPlan]:
    """The hosts, each with a network in the subnet."""
    homes.remove_abandoned(say)
    router = as_shown("frr-router.conf", "frr-evpn-router.conf")
    folder = tmp_path_factory.mktemp("evpn")
    (scope,) = (json.loads(line) for line in commands(_SECTION) if line.startswith("{"))
    with shared_plan(_KINDS, scope, bundle, folder, say, router) as made:
        for host in made.hosts.values():
            _create(host)
        made.fabric.wait_for_routes(_VTEPS)
        yield made


def _create(host: DockerHost) -> None:
    """With a part of the subnet on host 1, as the command has it, and without one on host 2."""
    (create,) = (line for line in commands(_SECTION) if line.startswith("docker"))
    command = words(create)
    if host.number != 1:
        place = command.index("--ip-range")
        del command[place : place + 2]
    host.engine.run(*command).check()


def _run(plan: SharedPlan, number: int, name: str) -> Container:
    return run_container(plan.hosts[number].engine, name, "evpn")


def _address(container: Container) -> str:
    return container.addresses[0].partition("/")[0]


def _reaches(one: Container, other: Container) -> bool:
    """Whether a packet of 1,450 bytes is answered by one."""
    ping = ("exec", one.name, "ping", "-c1", "-w10", "-s", _SIZE, _address(other))
    return one.engine.docker(*ping).code == 0


def test_containers_of_both_hosts_have_different_addresses_of_one_subnet_and_reach_each_other(
    plan: SharedPlan,
) -> None:
    containers = [_run(plan, number, f"one{turn}") for turn in range(3) for number in (1, 2)]

    addresses = [container.addresses[0] for container in containers]
    assert len(set(addresses)) == 6
    part = ip_network("10.9.0.64/26")
    assert all(ip_interface(address) in part for address in addresses[::2])
    assert all(address.startswith("10.9.0.") for address in addresses)
    first, second = containers[:2]
    plan.fabric.wait_for("an answer", lambda: _reaches(first, second))
    plan.fabric.wait_for("an answer", lambda: _reaches(second, first))


def test_the_subnet_is_announced_by_no_host(plan: SharedPlan) -> None:
    assert [host.announced() for host in plan.hosts.values()] == [set(), set()]
    assert plan.fabric.router.routes() == _VTEPS


@pytest.mark.parametrize("number", [1, 2])
def test_a_container_is_reached_again_after_a_reboot_of_its_host(
    plan: SharedPlan, number: int
) -> None:
    other = _run(plan, 3 - number, f"beside{number}")
    restarted = run_container(plan.hosts[number].engine, "again", "evpn", "--restart", "always")
    plan.fabric.wait_for("an answer", lambda: _reaches(other, restarted))

    plan.hosts[number].reboot()

    plan.hosts[number].engine.wait_for(
        "the container runs again", lambda: bool(restarted.addresses)
    )
    plan.fabric.wait_for("an answer", lambda: _reaches(other, restarted), 60)


def test_what_was_on_a_host_that_died_is_forgotten_by_the_other_one(plan: SharedPlan) -> None:
    one, two = _run(plan, 1, "stays"), _run(plan, 2, "dies")
    plan.fabric.wait_for("an answer", lambda: _reaches(one, two))
    networks = plan.hosts[2].engine.inspect("container", "dies")["NetworkSettings"]["Networks"]
    mac = networks["evpn"]["MacAddress"]
    plan.fabric.wait_for("the container", lambda: f"{mac} dst 192.0.2.2" in _known(plan))

    plan.hosts[2].die()

    plan.fabric.wait_for(
        "that the host is forgotten",
        lambda: not any(word in _known(plan) for word in ("192.0.2.2", mac)),
    )


def _known(plan: SharedPlan) -> str:
    """What host 1 knows of the containers of others."""
    return plan.hosts[1].machine.must("bridge", "fdb", "show", "dev", "vx100")
