"""systemd-networkd on a machine, without systemd and without udev.

It has a port of its own there, eth0, and a file that lets it configure all ports, as installers
write one.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from tests.support.fabric.machines import Machine
from tests.support.mongodb.replica_set import wait_for

_PROGRAM = "/lib/systemd/systemd-networkd"
_PID_FILE = "/run/networkd.pid"
_LOG = "/run/networkd.log"
_STATES = "/run/systemd/netif"
_ALL_PORTS = """
[Match]
Name=*

[Network]
IPv6AcceptRA=no
"""
# It configures a port when udev says that it is ready, which it reads from here. Where it takes
# itself to be in a container, it configures ports before it has asked the kernel for routes, and
# therefore removes none.
_UDEV = "/run/udev/data"
_START = f"{_PROGRAM} > {_LOG} 2>&1 & echo $! > {_PID_FILE}"


@dataclass(frozen=True)
class Networkd:
    """systemd-networkd, which has not been started yet."""

    machine: Machine

    def prepare(self) -> None:
        """Write what it needs, and add its port. All other ports have to be there."""
        machine = self.machine
        machine.ip("link add eth0 type veth peer name eth1")
        machine.ip("link set eth1 up")
        files = {
            "/etc/machine-id": f"{7:032x}\n",
            "/etc/systemd/network/80-all.network": _ALL_PORTS,
        }
        for port in (machine.root / "sys/class/net").iterdir():
            files[f"{_UDEV}/n{(port / 'ifindex').read_text().strip()}"] = "I:1\n"
        for name, text in files.items():
            file = machine.root / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def restart(self) -> None:
        """Start it, also where it runs already, and wait until it has configured its port."""
        if (self.machine.root / _PID_FILE.lstrip("/")).exists():
            self._stop()
        self.machine.must("mkdir", "-p", "/run/systemd")
        self.machine.must("sh", "-c", _START)
        wait_for(self._has_configured_its_port, "systemd-networkd to configure eth0")

    def _stop(self) -> None:
        self.machine.signal(_PID_FILE, signal.SIGTERM)
        wait_for(lambda: not self._runs(), "the end of systemd-networkd")
        self.machine.must("rm", "-r", _STATES)

    def _runs(self) -> bool:
        return self.machine.run("sh", "-c", f"kill -0 $(cat {_PID_FILE})").code == 0

    def _has_configured_its_port(self) -> bool:
        assert self._runs(), self.machine.must("cat", _LOG)
        number = self.machine.must("cat", "/sys/class/net/eth0/ifindex").strip()
        state = self.machine.run("cat", f"{_STATES}/links/{number}")
        return "ADMIN_STATE=configured\n" in state.stdout
