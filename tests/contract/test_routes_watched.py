"""`pyipam routes --watch`: the real command beside the real program, in a network of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.dockerd import Driver, Engine, create_network, remove_network
from tests.support.program import ENTER_NETWORK, IN_OWN_NETWORK, REPOSITORY, Program, wait_until

COMMAND = [sys.executable, "-m", "pyipam", "routes", "--watch", "--exact"]


class Watching:
    """The command, which runs until the test ends, and the network that it is in."""

    def __init__(self, program: Program) -> None:
        self.kept = program.home / "kept" / "routes.json"
        self.said = program.home / "said"
        self._program = program
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, **environment: str) -> None:
        """Start it with these options, in a network of its own."""
        read = ("--socket", str(self._program.socket()))
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                [*IN_OWN_NETWORK, *COMMAND, *read, "--keep", str(self.kept), *options],
                env=os.environ | {"PYTHONPATH": str(REPOSITORY / "plugin")} | environment,
                stderr=said,
                stdout=said,
            )

    def stop(self) -> int:
        """Stop it as systemd does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code, self.process = self.process.wait(60), None
        return code

    def routes(self) -> set[str]:
        """The routes of protocol 100 in its network."""
        assert self.process is not None
        enter = [*ENTER_NETWORK, f"--target={self.process.pid}", "ip"]
        shown = b"".join(
            subprocess.run(
                [*enter, version, "route", "show", "proto", "100"], capture_output=True, check=False
            ).stdout
            for version in ("-4", "-6")
        )
        return {" ".join(line.split()[:2]) for line in shown.decode().splitlines()}

    def wait_for(self, *subnets: str) -> None:
        """Wait until these are its routes."""
        wanted = {f"unreachable {subnet}" for subnet in subnets}
        wait_until(lambda: self.routes() == wanted, f"the routes are {wanted}")


@pytest.fixture
def driver(program: Program, engine_a: Engine) -> Driver:
    program.start()
    return program.announced(engine_a)


@pytest.fixture
def watching(program: Program) -> Iterator[Watching]:
    watching = Watching(program)
    yield watching
    if watching.process is not None:
        watching.stop()


def test_the_kernel_follows_the_networks(driver: Driver, watching: Watching) -> None:
    watching.start("--sync", "kernel")
    first = create_network(driver, families=[4, 6])
    watching.wait_for(*first.subnets)

    second = create_network(driver)
    watching.wait_for(*first.subnets, *second.subnets)
    remove_network(driver, first)

    watching.wait_for(*second.subnets)


def test_the_routes_stay_while_the_plugin_is_away_and_when_the_command_stops(
    driver: Driver, program: Program, watching: Watching
) -> None:
    network = create_network(driver)
    watching.start("--sync", "kernel")
    watching.wait_for(*network.subnets)

    program.kill()
    wait_until(lambda: "the last routes stay" in watching.said.read_text(), "that is noticed")

    assert watching.routes() == {f"unreachable {subnet}" for subnet in network.subnets}
    assert watching.stop() == 0


def test_the_next_boot_begins_with_what_was_kept_before_the_plugin_answers(
    driver: Driver, program: Program, watching: Watching
) -> None:
    network = create_network(driver)
    watching.start("--sync", "kernel")
    wait_until(watching.kept.exists, "the routes are kept")
    watching.stop()
    program.kill()

    watching.start("--sync", "kernel")

    watching.wait_for(*network.subnets)


def test_a_command_is_given_the_routes_at_every_change(
    driver: Driver, program: Program, watching: Watching
) -> None:
    given = program.home / "given"
    network = create_network(driver)

    watching.start("--run", f"cat > {given}.new && mv {given}.new {given}")
    wait_until(given.exists, "the command has run")
    before = json.loads(given.read_text())
    remove_network(driver, network)
    wait_until(lambda: json.loads(given.read_text()) != before, "it has run again")

    assert [route["prefix"] for route in before["routes"]] == network.subnets
    assert json.loads(given.read_text())["routes"] == []


def test_systemd_is_told_when_what_was_kept_is_in_the_kernel(
    program: Program, watching: Watching
) -> None:
    notified = program.home / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(notified))
        listening.settimeout(60)
        watching.start("--sync", "kernel", NOTIFY_SOCKET=str(notified))

        assert listening.recv(100) == b"READY=1"


def test_without_the_privilege_the_kernel_is_not_tried() -> None:
    refused = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *COMMAND, "--sync", "kernel"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "plugin")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert refused.stderr == (
        "pyipam: refused: --sync kernel changes routes of this host, for which it needs "
        "CAP_NET_ADMIN: run it as root\n"
    )
