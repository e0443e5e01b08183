"""From two hosts to a ping: the commands of docs/routing.md, run one after the other on a router
and two hosts that have nothing but Docker and FRR, and a plan of its own each.

There is no systemd: what its services would run is started as their files say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.images import load_busybox
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.objects import DRIVER
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import SCHEMA_PATH
from tests.support.fabric.configurations import (
    FOLDER,
    as_shown,
    commands_of_step,
    docker_user_rules,
    words,
)
from tests.support.fabric.docker_host import Watcher
from tests.support.fabric.following import bare_machine, follow, for_machine, plug
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.mongodb.replica_set import wait_for

_SERVICE = FOLDER.with_name("pyipam-routes.service")
_VERSIONS = {1: "28.5", 2: "26.1"}


class Walked:
    """The router and the hosts, on which one command after the other is run."""

    def __init__(self, stack: ExitStack, say: Say) -> None:
        self._stack = stack
        self._say = say
        self._chroot = ensure_routers(say)
        self.router = bare_machine(stack, "r1", self._chroot)
        self._engines: dict[int, PrivateEngine] = {}
        self._machines: dict[int, Machine] = {}

    def add_host(self, number: int) -> None:
        """A host with a cable to the router; Docker does not run as yet."""

        def boot(inside: Namespaces) -> None:
            machine = bare_machine(self._stack, f"h{number}", self._chroot, inside.pid)
            plug(self.router, f"swp{number}", machine)
            self._machines[number] = machine
            self._configure(number)

        self._engines[number] = PrivateEngine(_VERSIONS[number], self._say, prepare=boot)
        engine = self._stack.enter_context(self._engines[number])
        load_busybox(engine)

    def _configure(self, number: int) -> None:
        """Step 2."""
        machine = self._machines[number]
        for command in for_machine(f"host {number}", commands_of_step(2)):
            follow(machine, command)

    def wait_for_session(self, number: int) -> None:
        """Wait until the last command of step 2 prints the router twice, with the port to it."""
        summary = commands_of_step(2)[-1]
        machine = self._machines[number]
        wait_for(lambda: follow(machine, summary).count("(up0)") == 2, "the session", 60)

    def install(self, number: int, bundle: Path) -> None:
        """Step 3, with a plugin that is not in a registry."""
        engine = self._engines[number]
        (engine.root / "root" / "schema.json").write_text(as_shown("schema.json"))
        *preparing, install = for_machine(f"host {number}", commands_of_step(3))
        for command in preparing:
            engine.run("sh", "-c", command, directory="/root").check()
        plugin = Plugin.create(engine, DRIVER, bundle)
        setting = words(install)[-1]
        assert setting == f"SCHEMA_PATH={SCHEMA_PATH}"
        plugin.set(SCHEMA_PATH=SCHEMA_PATH)
        plugin.enable()

    def serve(self, number: int, folder: Path) -> None:
        """Step 4: the command of the service, with the folders of the engine and of the test."""
        (line,) = re.findall(r"^ExecStart=\S+/pyipam (.*)$", _SERVICE.read_text(), re.MULTILINE)
        assert line.startswith("routes --watch --sync kernel --keep ")
        home = folder / f"h{number}"
        home.mkdir()
        watcher = Watcher(self._engines[number].inside, home / "routes.json", home / "log")
        self._stack.callback(watcher.stop)
        watcher.start()

    def create_network(self, number: int) -> None:
        """Step 5: the rules, a network, a container."""
        engine = self._engines[number]
        create, run = commands_of_step(5)[-2:]
        engine.restart()
        for rule in docker_user_rules():
            engine.run(*rule)
        wait_for(lambda: Plugin(engine, DRIVER).status()["failure"] is None, "the plugin")
        engine.run(*words(create)).check()
        engine.run(*words(run)).check()

    def shown(self, command: str) -> str:
        """What a command of the last step prints on host 1, or on the router."""
        engine, machine = self._engines[1], self._machines[1]
        if "on the router" in command:
            machine = self.router
        if command.startswith("docker"):
            return engine.run(*words(command)).text
        return follow(machine, command)


@pytest.fixture
def walked(say: Say) -> Iterator[Walked]:
    homes.remove_abandoned(say)
    with ExitStack() as stack:
        yield Walked(stack, say)


def test_the_commands_of_the_page_lead_from_two_hosts_to_a_ping(
    walked: Walked, bundle: Path, tmp_path: Path
) -> None:
    for number in _VERSIONS:
        walked.add_host(number)
    for command in commands_of_step(1):
        follow(walked.router, command)
    for number in _VERSIONS:
        walked.wait_for_session(number)
        walked.install(number, bundle)
        walked.serve(number, tmp_path)
        walked.create_network(number)

    _, kernel, known, *pings = commands_of_step(6)
    assert len(pings) == 2
    wait_for(lambda: "10.1.16.0/20" in walked.shown(known), "the route on the router", 60)
    wait_for(lambda: "10.1.32.0/20" in walked.shown(known), "the route on the router", 60)
    assert "unreachable 10.1.16.0/20 metric 4278198272" in walked.shown(kernel)
    for ping in pings:
        wait_for(lambda: " 0% packet loss" in walked.shown(ping), ping, 60)  # noqa: B023
