"""The program as a process, with the folders that dockerd gives to a plugin."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.dockerd import Driver, Engine

REPOSITORY = Path(__file__).parents[2]
DEFAULT_SCHEMA = REPOSITORY / "schema.json"
# How long a machine that does much else may take.
WAIT_TIMEOUT_SECONDS = 60.0
# What the program becomes when it drops its privileges.
UNPRIVILEGED_UID = 65532
# In front of a command: gives it a mount namespace of its own.
IN_OWN_MOUNT_NAMESPACE = (
    ["unshare", "--mount"]
    if os.getuid() == 0
    else ["unshare", "--mount", "--user", "--map-root-user"]
)
# The same for a network namespace, and what enters that of a process.
IN_OWN_NETWORK = (
    ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--user", "--map-root-user"]
)
ENTER_NETWORK = (
    ["nsenter", "--net"]
    if os.getuid() == 0
    else ["nsenter", "--net", "--user", "--preserve-credentials"]
)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as the condition holds, and fail if it never does. `what` completes the
    sentence "waited in vain until …"."""
    deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


class Program:
    """A plugin: a folder, and its process, which is started, stopped, killed and started again."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are those of every start that does not set them itself."""
        self.home = home
        self._settings = {} if settings is None else settings
        self.sockets = home / "run"
        self.state = home / "state"
        self.schema = home / "schema.json"
        # A copy, since only root may be able to read the repository.
        self._default = Path(shutil.copy(DEFAULT_SCHEMA, home / "default.json"))
        self.user = "0"
        # A call may be waiting for the database.
        self.process: subprocess.Popen[bytes] | None = None
        self._drivers: list[Driver] = []

    def start(self, *command: str, **settings: str) -> None:
        """Start the process with these settings, and return when its socket accepts connections.

        The folder of the sockets is empty, as dockerd creates it. The command of the program is
        appended to `command`.
        """
        self.spawn(*command, **settings)
        wait_until(self._listens, "the socket listens")

    def spawn(self, *command: str, **settings: str) -> None:
        """Start the process as `start` does, but do not wait for it."""
        shutil.rmtree(self.sockets, ignore_errors=True)
        self.sockets.mkdir()
        self._spawn(*command, **settings)

    def start_over_old_sockets(self, *command: str, **settings: str) -> None:
        """Start the process without removing the sockets that another one has left."""
        self._spawn(*command, **settings)
        wait_until(self._listens, "the socket listens")

    def _spawn(self, *command: str, **settings: str) -> None:
        with (self.home / "stdout").open("ab") as out, (self.home / "stderr").open("ab") as err:
            self.process = subprocess.Popen(
                [*command, sys.executable, "-m", "pyipam.server"],
                env={**self._environment(), **self._settings, **settings},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY / "plugin"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYIPAM_SOCKET": str(self.socket()),
            "PYIPAM_STATE": str(self.state),
            "PYIPAM_SCHEMA": str(self.schema if self.schema.exists() else "/dev/null"),
            "PYIPAM_DEFAULT_SCHEMA": str(self._default),
            "PYIPAM_USER": self.user,
            # A test does not depend on the routes of the machine.
            "PYIPAM_HOST_ROUTES": "none",
        }

    def _listens(self, name: str = "driver") -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.errors()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket(name))) == 0

    def stop(self, number: signal.Signals = signal.SIGTERM, times: int = 1) -> int:
        """Stop the process as `docker plugin disable` does; its exit code."""
        for _ in range(times):
            self.signal(number)
        return self.wait()

    def kill(self) -> None:
        """End the process as a crash does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait until the process has ended; its exit code."""
        assert self.process is not None
        code = self.process.wait(WAIT_TIMEOUT_SECONDS)
        self.process = None
        for driver in self._drivers:
            driver.close()
        self._drivers.clear()
        return code

    def restart(self) -> None:
        """Kill the process and start it again, as dockerd does after a crash of the plugin."""
        self.kill()
        self.start()

    def socket(self, name: str = "driver") -> Path:
        return self.sockets / f"{name}.sock"

    def driver(self, engine: Engine, name: str = "driver", host: str = "") -> Driver:
        """A new connection of the engine, under one of the plugin's driver names."""
        wait_until(partial(self._listens, name), f"the socket of {name} listens")
        driver = Driver(engine.connect(self.socket(name)), host)
        self._drivers.append(driver)
        return driver

    def announced(self, engine: Engine, host: str = "") -> Driver:
        """A new connection of an engine that has asked for the capabilities."""
        driver = self.driver(engine, host=host)
        driver.announce()
        return driver

    def write_schema(self, *scopes: Mapping[str, Any]) -> None:
        """Write a schema of these root scopes to the mounted file, in place."""
        self.schema.write_text(json.dumps({"schema_version": 1, "scopes": scopes}))

    def log(self) -> list[str]:
        """The lines that the process has written to its standard output so far."""
        return (self.home / "stdout").read_text().splitlines()

    def logged(self, *parts: str) -> bool:
        """Whether some line of the log contains all these parts."""
        return any(all(part in line for part in parts) for line in self.log())

    def errors(self) -> str:
        """What the process has written to its standard error."""
        return (self.home / "stderr").read_text()

    def close(self) -> None:
        """Stop the process if it is running, and check that it has reported no fault."""
        if self.process is not None:
            assert self.stop() == 0
        if (self.home / "stderr").exists():
            assert self.errors() == "", self.errors()
            assert not self.logged(" internal error "), self.log()


@contextmanager
def new_program(settings: Mapping[str, str]) -> Iterator[Program]:
    """A plugin that has not been started yet. Every start has these settings."""
    # Not below the folder of pytest, which only its owner can enter.
    home = Path(tempfile.mkdtemp(prefix="pyipam-"))
    home.chmod(0o755)
    try:
        program = Program(home, settings)
        try:
            yield program
        finally:
            program.close()
    finally:
        shutil.rmtree(home)


def scope(cidr: str, child_prefix: int | None = None, **keys: Any) -> dict[str, Any]:
    """A scope of a schema."""
    network, prefix = cidr.split("/")
    drawn = {} if child_prefix is None else {"child_prefix": child_prefix}
    return {"network": network, "prefix": int(prefix), **drawn, **keys}
