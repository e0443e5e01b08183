"""A host of a fabric: an engine with the plugin, a routing daemon, and the service that keeps the
routes of its networks in the kernel, all in the network of the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.images import load_busybox
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.objects import DRIVER
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import SCHEMA_PATH, write_schema
from tests.support.fabric.configurations import as_shown
from tests.support.fabric.daemons import Bird, Frr
from tests.support.fabric.fabric import Fabric, routes_of
from tests.support.fabric.machines import Machine, ensure_routers
from tests.support.mongodb.replica_set import wait_for

_PLUGIN = Path(__file__).parents[3] / "plugin"
# The command, on a host whose folders are in that of the engine.
_WATCH = """
import sys
from pathlib import Path
from pyipam.cli.main import main
from pyipam.cli.surroundings import Surroundings
sockets, *arguments = sys.argv[1:]
sys.exit(main(arguments, surroundings=Surroundings(sockets=Path(sockets))))
"""


class Watcher:
    """A running `pyipam routes --watch --sync kernel`, as the service of the host runs it."""

    def __init__(self, inside: Namespaces, kept: Path, log: Path, *options: str) -> None:
        self._inside = inside
        self._kept = kept
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it goes on with the routes that it has kept."""
        root = self._inside.root
        network = ["nsenter", f"--net=/proc/{self._inside.pid}/ns/net", "--"]
        command = [*network, "setpriv", "--pdeathsig", "KILL", sys.executable, "-c", _WATCH]
        command += [str(root / "run/docker/plugins"), "routes", "--watch", "--sync", "kernel"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--keep", str(self._kept), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "DOCKER_HOST": f"unix://{root}/run/docker.sock",
                    "PYTHONPATH": str(_PLUGIN),
                },
            )

    def stop(self) -> None:
        """Kill it: the routes stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class DockerHost:
    """A host, whose power can be cut. A context manager: leaving removes it."""

    def __init__(
        self,
        fabric: Fabric,
        version: str,
        say: Say,
        configure: Callable[[Machine], Frr | Bird],
        plug_in: Callable[[Namespaces], None] = lambda _: None,
    ) -> None:
        """`configure` starts the routing daemon on a machine whose network is that of the engine.
        `plug_in` gives the engine further cables, each time before it starts."""
        self.number = fabric.next_number()
        self._fabric = fabric
        self._configure = configure
        self._plug_in = plug_in
        self._chroot = ensure_routers(say)
        self._powered = ExitStack()
        self._notes = homes.make(f"notes-{self.number}")
        self.engine = PrivateEngine(version, say, prepare=self._boot)
        self.found_at_boot: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self.engine.start()
            load_busybox(self.engine)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._remove()

    def install(self, bundle: Path, schema: str = "", **settings: str) -> Plugin:
        """Install the plugin with this schema, or that of the documentation, and these settings."""
        plugin = Plugin.create(self.engine, DRIVER, bundle)
        write_schema(plugin, schema or as_shown("schema.json"))
        plugin.set(SCHEMA_PATH=SCHEMA_PATH, **settings)
        plugin.enable()
        return plugin

    @property
    def plugin(self) -> Plugin:
        """The plugin."""
        return Plugin(self.engine, DRIVER)

    def reboot(self) -> None:
        """Cut the power, and start again with what is on the disk: first the routing daemon and
        the service with the routes, then Docker."""
        self.die()
        self.engine.start()

    def die(self) -> None:
        """Cut the power."""
        self._powered.close()
        self.engine.cut_power()
        # As /run would be after a reboot.
        shutil.rmtree(self.engine.home / "run", ignore_errors=True)

    def _boot(self, inside: Namespaces) -> None:
        name = f"h{self.number}"
        self.machine = self._powered.enter_context(Machine(name, self._chroot, inside.pid))
        self._fabric.plug_in(self.number, self.machine)
        self._plug_in(inside)
        self.watcher = Watcher(inside, self._notes.path / "routes.json", self._notes.path / "log")
        self._powered.callback(self.watcher.stop)
        self.routing = self._configure(self.machine)
        self.watcher.start()
        if self._announced_before():
            wait_for(lambda: bool(self.announced()), "the routes of before the reboot")
        self.found_at_boot = self.announced()

    def _announced_before(self) -> bool:
        kept = self._notes.path / "routes.json"
        return kept.exists() and bool(json.loads(kept.read_bytes())["routes"])

    def announced(self) -> set[str]:
        """What is in its kernel to be announced."""
        return routes_of(self.machine, "100")

    def _remove(self) -> None:
        self._powered.close()
        self.engine.remove()
        self._notes.remove()
