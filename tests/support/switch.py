"""A network between private engines: a bridge in a network namespace of its own.

The namespace lives as long as one process that reads from a pipe which this process holds; with
it go the bridge and every cable.
"""

import subprocess
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Protocol, Self, Unpack

from tests.support.engine.command import Result, RunOptions, run_command
from tests.support.engine.unavailable import Unavailable

_BRIDGE = "switch"
# `ip` looks for the namespace of an engine's process in /proc.
_HOLD = 'mount --rbind /proc "$0/proc" && echo ready && exec cat'
_UNSHARE = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _HOLD]


class Plugged(Protocol):
    """Namespaces that an interface can be given to."""

    @property
    def pid(self) -> int: ...

    def run(self, command: Sequence[str], **options: Unpack[RunOptions]) -> Result: ...


class Switch:
    """The bridge that private engines are plugged into. A context manager: leaving removes it.

    The `ip` of `chroot` is used, so that nothing needs to be installed on the host.
    """

    def __init__(self, chroot: Path) -> None:
        self._chroot = chroot
        self._ports = count(1)

    def __enter__(self) -> Self:
        self._holder = subprocess.Popen(
            [*_UNSHARE, str(self._chroot)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A Ctrl-C at the terminal is for the test run alone, as with the engines.
            start_new_session=True,
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            raise Unavailable("a network namespace for the switch cannot be made here")
        self._ip("link", "add", _BRIDGE, "type", "bridge").check()
        self._ip("link", "set", _BRIDGE, "up").check()
        return self

    def __exit__(self, *_error: object) -> None:
        self._holder.communicate()

    @property
    def process(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    def require_vxlan(self) -> None:
        """Raise Unavailable if the kernel cannot create overlay networks."""
        made = self._ip("link", "add", "probe", "type", "vxlan", "id", "1", "dstport", "4789")
        if made.code:
            raise Unavailable(
                "overlay networks need VXLAN, which this kernel does not have (CONFIG_VXLAN, or "
                f"`modprobe vxlan`): {made.text}"
            )
        self._ip("link", "delete", "probe").check()

    def plug(self, engine: Plugged, address: str) -> None:
        """Give the engine an interface eth0 with this address (`192.0.2.11/24`)."""
        # A new name each time: the port of an engine may outlive a power cut for a moment.
        port = f"port{next(self._ports)}"
        peer = ["peer", "name", "eth0", "netns", str(engine.pid)]
        self._ip("link", "add", port, "type", "veth", *peer).check()
        self._ip("link", "set", port, "master", _BRIDGE, "up").check()
        engine.run(["ip", "address", "add", address, "dev", "eth0"]).check()
        engine.run(["ip", "link", "set", "eth0", "up"]).check()

    def _ip(self, *arguments: str) -> Result:
        inside = ["nsenter", "--target", str(self.process), "--net", "--mount", "--"]
        return run_command(inside, ["chroot", str(self._chroot), "ip", *arguments])
