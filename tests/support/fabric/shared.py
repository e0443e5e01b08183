"""Hosts of a fabric that share one plan in a database, each with an engine of another version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.engine.chroots import Say
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.schemas import Scope
from tests.support.fabric.configurations import as_shown, of_host
from tests.support.fabric.daemons import Bird, Frr
from tests.support.fabric.docker_host import DockerHost
from tests.support.fabric.fabric import Fabric, Routes, fabric
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.fabric.units import start
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.network import Host
from tests.support.mongodb.replica_set import Place, ReplicaSet
from tests.support.switch import Switch

_DATABASE = "198.51.100.100"
_PORTS = (27017, 27018, 27019)


@dataclass(frozen=True)
class Kind:
    """The version of the engine of a host, the configuration of FRR or BIRD on it, and a unit that
    is started before Docker."""

    version: str
    files: tuple[str, ...] = ("frr-host.conf",)
    unit: str = ""

    def configure(self, number: int, machine: Machine) -> Frr | Bird:
        """Start the unit of host `number`, if there is one, and its routing daemon."""
        if self.unit:
            start(machine, of_host(number, self.unit))
        program = Bird if self.files[0].startswith("bird") else Frr
        routing: Frr | Bird = program(machine)
        routing.start(of_host(number, *self.files))
        return routing


@dataclass(frozen=True)
class SharedPlan:
    """The hosts, and the database that they reach over a network of its own."""

    fabric: Fabric
    hosts: dict[int, DockerHost]
    database: Host
    members: ReplicaSet

    def aggregates(self, number: int) -> set[str]:
        """What a host has claimed, as its plugin tells, merged."""
        routes = self.hosts[number].plugin.get("/v1/routes")["routes"]
        return {str(route["prefix"]) for route in routes}

    def routes_of(self, *numbers: int) -> Routes:
        """What the router has to know of these hosts."""
        return {
            prefix: [65000 + number] for number in numbers for prefix in self.aggregates(number)
        }

    def on_all(self, act: Callable[[DockerHost], None]) -> None:
        """Do something on all hosts at the same time."""
        with ThreadPoolExecutor(len(self.hosts)) as threads:
            list(threads.map(act, self.hosts.values()))

    def kill_majority(self) -> None:
        """Leave the database without a member that can write."""
        for member in self.members.members[:2]:
            member.kill()

    def repair(self) -> None:
        """Bring the database back."""
        with self.database.entered():
            self.members.repair()


@contextmanager
def shared_plan(
    kinds: Sequence[Kind], more: Scope, bundle: Path, folder: Path, say: Say, router: str = ""
) -> Iterator[SharedPlan]:
    """Hosts of these kinds without networks, whose plugins share a plan: that of the documentation
    with one more scope. `router` is the configuration of the router, if not that of a bare one."""
    chroot = ensure_routers(say)
    with fabric(say, router) as made, Switch(chroot) as switch, ExitStack() as stack:
        database, members = _database(stack, chroot, switch, folder)
        plan = SharedPlan(made, {}, database, members)
        for number, kind in enumerate(kinds, 1):
            configure = partial(kind.configure, number)
            host = DockerHost(made, kind.version, say, configure, _plugging(switch, number))
            plan.hosts[number] = stack.enter_context(host)
            say(f"host {number} of a fabric is up, with engine {kind.version}")

        def install(host: DockerHost) -> None:
            name = f"h{host.number}"
            host.install(bundle, _schema(more), STORE_URL=members.url, NODE_NAME=name)

        plan.on_all(install)
        yield plan


def _schema(more: Scope) -> str:
    shown = json.loads(as_shown("schema.json"))
    shown["scopes"].append(more)
    return json.dumps(shown)


def _database(
    stack: ExitStack, chroot: Path, switch: Switch, folder: Path
) -> tuple[Host, ReplicaSet]:
    host = Host(chroot, _DATABASE)
    stack.callback(host.end)
    switch.plug(host, f"{_DATABASE}/24")
    # The members reach each other through it.
    host.run(["ip", "link", "set", "lo", "up"]).check()
    places = [Place(_DATABASE, port, host.way_in) for port in _PORTS]
    members = ReplicaSet(ensure_mongod(), folder / "members", places)
    stack.callback(members.close)
    with host.entered():
        members.start()
    return host, members


def _plugging(switch: Switch, number: int) -> Callable[[Namespaces], None]:
    return lambda inside: switch.plug(inside, f"198.51.100.{number}/24")
