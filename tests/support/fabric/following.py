"""A reader of docs/routing.md, who runs its commands on bare machines.

There is no systemd: what it would run is run as the units that were copied say.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.support.fabric.configurations import FOLDER, words
from tests.support.fabric.machines import Machine
from tests.support.fabric.units import start

# Where the clone of the repository has its folder docs/routing.
_CLONED = "/root/docs/routing"
_UNITS = "etc/systemd/system"
_START = "systemctl enable --now "
_FORWARDING = ("net.ipv4.conf.all.forwarding=0", "net.ipv6.conf.all.forwarding=0")
# What stands for a command that needs a system with services, or a package index.
_INSTEAD = {
    "sysctl --system": "busybox sysctl -p /etc/sysctl.d/50-routed.conf",
    "apt install frr": "test -x /usr/lib/frr/bgpd",
    "apt install bird2": "test -x /usr/sbin/bird",
    "systemctl daemon-reload": "true",
    "systemctl restart frr": "/usr/lib/frr/frrinit.sh restart",
    "systemctl restart bird": (
        "/usr/lib/bird/prepare-environment && bird -p && bird -u bird -g bird"
    ),
}


def bare_machine(
    stack: ExitStack, name: str, chroot: Path, network_of: int | None = None
) -> Machine:
    """A machine that forwards nothing, with a clone of the repository; it ends with the stack."""
    machine = stack.enter_context(Machine(name, chroot, network_of))
    for setting in _FORWARDING:
        machine.must("busybox", "sysctl", "-w", setting)
    # Of the package procps, which every machine has.
    machine.must("mkdir", "-p", "/etc/sysctl.d")
    clone(machine)
    return machine


def clone(machine: Machine) -> None:
    """Put a clone of the repository there."""
    shutil.copytree(FOLDER, machine.root / _CLONED.lstrip("/"))


def plug(router: Machine, port: str, host: Machine) -> None:
    """Join the two by a cable, whose ports are switched off."""
    router.plug(port, host, "up0")
    for machine, end in ((router, port), (host, "up0")):
        machine.ip(f"link set {end} down")


def follow(machine: Machine, command: str) -> str:
    """Run a command of the page; what it prints."""
    if command.startswith(_START):
        for unit in words(command.removeprefix(_START)):
            _start(machine, unit)
        return ""
    if command.startswith("systemctl restart port@"):
        return follow(machine, command.replace("systemctl restart ", _START))
    command = command.partition(" # ")[0]
    return machine.must("sh", "-c", _INSTEAD.get(command, command), directory=_CLONED)


def for_machine(machine: str, shown: list[str]) -> list[str]:
    """Those of these commands that are run there, `host 1` or `the router`: some say in a comment
    for which machine they are."""
    own = f"# on {machine}"
    return [command for command in shown if own in command or "# on " not in command]


def _start(machine: Machine, unit: str) -> None:
    name, at, instance = unit.partition("@")
    copied = machine.root / _UNITS / f"{name}{at}.service"
    further = sorted(copied.with_name(f"{copied.name}.d").glob("*.conf"))
    start(machine, "\n".join(file.read_text() for file in (copied, *further)), instance)
