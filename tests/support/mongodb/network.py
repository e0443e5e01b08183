"""Network namespaces, which can be disconnected, for members and clients of a replica set."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Unpack

from tests.support.engine.command import Result, RunOptions, run_command
from tests.support.mongodb.replica_set import Place
from tests.support.switch import Switch

_CLONE_NEWNET = 0x40000000
_PORT = 27017
_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A network namespace with an address, which exists from construction until `end`."""

    def __init__(self, chroot: Path, address: str) -> None:
        """The `ip` of `chroot` is used."""
        self.address = address
        self._chroot = chroot
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "ready\n", "no network namespace can be made here"

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    @property
    def way_in(self) -> tuple[str, ...]:
        """The prefix of a command that lets it run inside."""
        return ("nsenter", f"--net={self._namespace}", "--")

    @property
    def place(self) -> Place:
        """The place of a member that runs inside."""
        return Place(self.address, _PORT, self.way_in)

    def run(self, command: Sequence[str], **options: Unpack[RunOptions]) -> Result:
        """Run a program of the chroot inside and wait for it."""
        return run_command([*self.way_in, "chroot", str(self._chroot)], command, **options)

    def cut_off(self) -> None:
        """Disconnect it from everybody."""
        self.run(["ip", "link", "set", "eth0", "down"]).check()

    def cut_off_from(self, others: Sequence[Host]) -> None:
        """Disconnect it from these hosts only."""
        for other in others:
            self.run(["ip", "route", "add", "blackhole", f"{other.address}/32"]).check()

    def reconnect(self) -> None:
        """Undo `cut_off` and `cut_off_from`."""
        self.run(["ip", "route", "flush", "type", "blackhole"])
        self.run(["ip", "link", "set", "eth0", "up"]).check()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread, and the threads and processes that it starts, run inside."""
        with open("/proc/thread-self/ns/net") as outside:
            _enter(self._namespace)
            try:
                yield
            finally:
                _enter(f"/proc/self/fd/{outside.fileno()}")

    def end(self) -> None:
        """End the namespace."""
        self._holder.communicate()

    @property
    def _namespace(self) -> str:
        return f"/proc/{self.pid}/ns/net"


def _enter(namespace: str) -> None:
    with open(namespace) as file:
        if _libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def network(chroot: Path, count: int) -> Iterator[list[Host]]:
    """This many hosts on one switch."""
    with Switch(chroot) as switch, ExitStack() as stack:
        hosts = []
        for number in range(count):
            host = Host(chroot, f"192.0.2.{number + 11}")
            stack.callback(host.end)
            switch.plug(host, f"{host.address}/24")
            hosts.append(host)
        yield hosts
