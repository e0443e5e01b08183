"""TCP connections through a fabric: who is reached, and whom a server sees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.engine.command import Result
from tests.support.engine.objects import Container
from tests.support.fabric.machines import Machine

PORT, PUBLISHED = 80, 81
# Tells everybody the address that the connection comes from.
_TELLER = """
import socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    with server.accept()[0] as connection:
        connection.sendall(connection.getpeername()[0].removeprefix("::ffff:").encode() + b"\\n")
"""


@contextmanager
def teller(machine: Machine) -> Iterator[None]:
    """While the block runs, the machine tells everybody who connects the address that it sees."""
    network = ["nsenter", f"--net=/proc/{machine.pid}/ns/net", "--"]
    command = [*network, "setpriv", "--pdeathsig", "KILL", sys.executable, "-c", _TELLER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.kill()


def address_seen(container: Container, teller: str) -> str:
    """The address of a container that a teller sees; nothing if it is not reached."""
    asked = ("exec", container.name, "nc", "-w", "3", teller, str(PORT))
    return container.engine.docker(*asked).stdout.strip()


def serve(container: Container) -> None:
    """Let a container serve, on PORT and on PUBLISHED, and wait until it does, and has made sure
    that its address is nobody else's (RFC 4862, 5.4)."""
    engine = container.engine
    shown = ("exec", container.name, "ip", "-6", "address")
    engine.wait_for("the address is used", lambda: "tentative" not in engine.must(*shown))
    for port in map(str, (PORT, PUBLISHED)):
        serving = ("nc", "-ll", "-p", port, "-e", "echo", "served")
        engine.must("exec", "--detach", container.name, *serving)
        asked = ("exec", container.name, "nc", "-w", "1", "127.0.0.1", port)
        engine.wait_for("the container serves", lambda: _says_served(engine.docker(*asked)))  # noqa: B023


def is_served(machine: Machine, address: str, port: int) -> bool:
    """Whether a machine reaches that port of a serving container."""
    return _says_served(machine.run("busybox", "nc", "-w", "2", address, str(port)))


def _says_served(asked: Result) -> bool:
    return asked.stdout.strip() == "served"
