"""Machines of a routed fabric: namespaces with routing daemons, joined by cables.

FRR and BIRD are in a chroot that is made once and kept in the cache: their packages start daemons
where they are installed. Of systemd, the program that checks units and systemd-networkd are used.
What is written goes to an overlay that ends with the machine.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self, Unpack

from tests.support.engine import homes
from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.command import Result, RunOptions, run_command
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.private_engine import require_root
from tests.support.engine.releases import Release

_ROUTERS = Release(
    "machines",
    "bookworm",
    ("bird2", "busybox-static", "frr", "iproute2", "iputils-ping", "systemd"),
)
_FORWARDING = ("net.ipv4.conf.all.forwarding=1", "net.ipv6.conf.all.forwarding=1")
# `ip` looks for the namespace at the other end of a cable in /proc.
_WITH_PROC = 'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"'


def ensure_routers(say: Say) -> Path:
    """The chroot with FRR and BIRD, built now if the cache does not hold it."""
    require_root()
    return ensure_chroot(_ROUTERS, say)


class Machine:
    """A machine with the programs of the chroot. It forwards packets.

    A context manager: leaving ends every process on it and deletes what it has written.
    """

    def __init__(self, name: str, chroot: Path, network_of: int | None = None) -> None:
        """With `network_of`, its network is that of this process, of an engine for example."""
        self.name = name
        self._chroot = chroot
        self._home = homes.make(name)
        self._namespaces = Namespaces(chroot, self._home.path)
        self._network_of = network_of or self._namespaces.pid

    def __enter__(self) -> Self:
        try:
            for setting in _FORWARDING:
                self.must("busybox", "sysctl", "-w", setting)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The pid, outside, of a process in its network."""
        return self._network_of

    @property
    def root(self) -> Path:
        """Its root directory, seen from outside."""
        return self._namespaces.root

    @property
    def way_in(self) -> list[str]:
        """The prefix of a command that lets it run on the machine."""
        pid = self._namespaces.pid
        process = f"--pid=/proc/{pid}/ns/pid_for_children"
        network = f"--net=/proc/{self._network_of}/ns/net"
        return [
            "nsenter",
            "--target",
            str(pid),
            "--mount",
            "--ipc",
            "--uts",
            process,
            network,
            "--",
        ]

    def run(self, *command: str, **options: Unpack[RunOptions]) -> Result:
        """Run a command on it and wait for it."""
        return run_command(self.way_in, command, **options)

    def must(self, *command: str, **options: Unpack[RunOptions]) -> str:
        """Run a command on it, which must succeed; its standard output."""
        return self.run(*command, **options).check().stdout

    def ip(self, words: str) -> str:
        """What `ip` prints with these words, of which it must take all."""
        return self.must("ip", *words.split())

    def signal(self, pid_file: str, number: signal.Signals) -> None:
        """Send a signal to the process that has written this file."""
        pid = int((self.root / pid_file.lstrip("/")).read_text())
        self._namespaces.kill(pid, number)

    def pings(self, address: str, *options: str) -> bool:
        """Whether one ping is answered within two seconds."""
        return self.run("ping", "-n", "-c1", "-W2", *options, address).code == 0

    def plug(self, port: str, other: Machine, other_port: str) -> None:
        """Join two machines by a cable between a new interface of each."""
        peer = ["peer", "name", other_port, "netns", str(other.pid)]
        self._ip_outside("link", "add", port, "type", "veth", *peer)
        for machine, end in ((self, port), (other, other_port)):
            machine.ip(f"link set {end} up")

    def _end(self) -> None:
        self._namespaces.end()
        self._home.remove()

    def _ip_outside(self, *arguments: str) -> None:
        network = ["nsenter", "--target", str(self.pid), "--net"]
        mounts = ["unshare", "--mount", "--propagation", "private"]
        way_in: Sequence[str] = [*network, *mounts, "sh", "-c", _WITH_PROC, str(self._chroot)]
        run_command(way_in, ["ip", *arguments]).check()
