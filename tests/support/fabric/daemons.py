"""The routing daemons of a machine: FRR and BIRD, started without a service."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from typing import Any

from tests.support.fabric.machines import Machine
from tests.support.mongodb.replica_set import wait_for

_FRR = "/usr/lib/frr"
# The order in which they are started: bgpd connects to zebra.
_DAEMONS = ("zebra", "staticd", "bgpd")


@dataclass(frozen=True)
class Frr:
    """FRR: zebra, staticd and bgpd."""

    machine: Machine

    def start(self, configuration: str) -> None:
        """Start the daemons, and load the configuration."""
        self.machine.must("install", "-d", "-o", "frr", "-g", "frr", "/run/frr")
        self.write(configuration)
        for daemon in _DAEMONS:
            self.start_daemon(daemon)
        self.load()

    def write(self, configuration: str) -> None:
        """Write the file that `load` loads."""
        (self.machine.root / "etc" / "frr" / "frr.conf").write_text(configuration)

    def load(self) -> None:
        """Load the configuration into the daemons that run."""
        self.machine.must("vtysh", "-b")

    def start_daemon(self, name: str) -> None:
        """Start one of the daemons, without a configuration."""
        self.machine.must(f"{_FRR}/{name}", "-d", "-A", "127.0.0.1")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one of the daemons."""
        self.machine.signal(f"/run/frr/{name}.pid", number)

    def stop(self) -> None:
        """End the daemons, as their service does. The kernel's routes of others stay."""
        for daemon in reversed(_DAEMONS):
            self.signal(daemon, signal.SIGTERM)
        wait_for(lambda: not self._runs(), "the end of FRR")

    def _runs(self) -> bool:
        return self.machine.run("busybox", "pidof", *_DAEMONS).code == 0

    def ask(self, question: str) -> dict[str, Any]:
        """The answer of `vtysh` to `show QUESTION json`."""
        answer: dict[str, Any] = json.loads(
            self.machine.must("vtysh", "-c", f"show {question} json") or "{}"
        )
        return answer

    def routes(self) -> dict[str, list[int]]:
        """The prefixes of both families that BGP knows, each with the AS numbers of the neighbours
        that it came from, in order."""
        known: dict[str, list[int]] = {}
        for family in ("ipv4", "ipv6"):
            for prefix, paths in self.ask(f"bgp {family} unicast").get("routes", {}).items():
                known[prefix] = sorted(int(path["path"].split()[0]) for path in paths)
        return known

    def versions(self) -> tuple[int, int]:
        """The versions of the tables of IPv4 and IPv6: each update of BGP raises one."""
        shown = [self.ask(f"bgp {family} unicast") for family in ("ipv4", "ipv6")]
        return shown[0].get("tableVersion", 0), shown[1].get("tableVersion", 0)


@dataclass(frozen=True)
class Bird:
    """BIRD."""

    machine: Machine

    def start(self, configuration: str) -> None:
        """Start it with this configuration."""
        self.machine.must("mkdir", "-p", "/run/bird", "/etc/pyipam")
        self.write(configuration)
        self.machine.must("bird", "-c", "/etc/bird/bird.conf", "-P", "/run/bird/bird.pid")

    def write(self, configuration: str) -> None:
        """Write the file of its configuration."""
        (self.machine.root / "etc" / "bird" / "bird.conf").write_text(configuration)

    def stop(self) -> None:
        """End it, as its service does."""
        self.ask("down")
        wait_for(lambda: not self._runs(), "the end of BIRD")

    def _runs(self) -> bool:
        return self.machine.run("busybox", "pidof", "bird").code == 0

    def ask(self, question: str) -> str:
        """The answer of `birdc`."""
        return self.machine.must("birdc", *question.split())

    def routes(self) -> dict[str, list[int]]:
        """The prefixes of both families that BGP knows, each with the AS numbers of the neighbours
        that it came from, in order."""
        known: dict[str, list[int]] = {}
        prefix = ""
        for line in self.ask("show route").splitlines():
            prefix = line.split()[0] if line[:1].strip() else prefix
            if path := re.search(r"\[AS(\d+)", line):
                known[prefix] = sorted([*known.get(prefix, []), int(path[1])])
        return known

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.machine.signal("/run/bird/bird.pid", number)
