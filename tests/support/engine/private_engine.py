"""A private Docker engine, in namespaces that affect no other engine of the machine."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, Unpack
from urllib.parse import quote

from tests.support.engine import homes
from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.command import CommandFailed, Result, RunOptions
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.releases import release_named
from tests.support.engine.unavailable import Unavailable
from tests.support.engine.unix_http import HttpError, get_json, request

_START_SECONDS = 180.0

Kind = Literal["container", "network", "plugin"]
_INSPECT: dict[Kind, str] = {
    "container": "/containers/{}/json",
    "network": "/networks/{}",
    "plugin": "/plugins/{}/json",
}


@dataclass(frozen=True)
class Daemon:
    """How dockerd is started: its storage driver, and further arguments."""

    storage_driver: str = "overlay2"
    arguments: tuple[str, ...] = ()


def require_root() -> None:
    """Raise Unavailable if no private engine can be started here."""
    if os.geteuid():
        raise Unavailable("a private Docker engine needs root (namespaces, mounts, iptables)")


class PrivateEngine:
    """A dockerd of one release, with its own namespaces, files, data and `docker` client.

    A context manager: entering starts it, leaving ends it and removes everything that it wrote.
    """

    # Where dockerd writes its pid, in the engine's own files.
    pid_file = "/run/docker.pid"

    def __init__(
        self,
        version: str,
        say: Say,
        *,
        prepare: Callable[[Namespaces], None] = lambda _: None,
        daemon: Daemon = Daemon(),
    ) -> None:
        """`prepare` is called with new namespaces each time, before dockerd starts in them."""
        require_root()
        self.version = version
        self._options = daemon
        self._say = say
        self._prepare = prepare
        self._chroot = ensure_chroot(release_named(version), say)
        self._home = homes.make(version)
        self._namespaces: Namespaces | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.remove()

    @property
    def inside(self) -> Namespaces:
        """The namespaces in which the engine runs."""
        assert self._namespaces, "the engine is not powered"
        return self._namespaces

    @property
    def home(self) -> Path:
        """The directory of everything that the engine writes."""
        return self._home.path

    @property
    def root(self) -> Path:
        """The root directory of the engine, seen from outside, to read and write files."""
        return self.inside.root

    @property
    def runs(self) -> bool:
        """Whether dockerd has been started and has not ended."""
        return self._daemon is not None and self._daemon.poll() is None

    @property
    def log(self) -> str:
        """Everything that dockerd has written so far."""
        with contextlib.suppress(FileNotFoundError):
            return self._log_file.read_text(errors="replace")
        return ""

    @property
    def _pid_file(self) -> Path:
        return self.root / self.pid_file.lstrip("/")

    @property
    def _log_file(self) -> Path:
        return self._home.path / "dockerd.log"

    def start(self, *, live_restore: bool = False) -> None:
        """Start dockerd, on the data it had before if it ran before, and wait until it answers.

        With `live_restore`, containers and plugins will outlive it.
        """
        if self._namespaces is None:
            self._namespaces = Namespaces(self._chroot, self._home.path)
            self._prepare(self._namespaces)
        self._daemon = self.inside.spawn(self._dockerd(live_restore), self._log_file)
        self._wait_until_up()

    def stop(self) -> None:
        """Stop dockerd as a service manager does: send SIGTERM, then wait."""
        self._signal_daemon(signal.SIGTERM)

    def kill(self) -> None:
        """Kill dockerd alone."""
        self._signal_daemon(signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)

    def cut_power(self) -> None:
        """End every process of the engine at once; `start` then finds what is on the disk."""
        if self._namespaces:
            self._namespaces.end()
            self._namespaces = None
        if self._daemon:
            self._daemon.wait()
            self._daemon = None

    def restart(self) -> None:
        """Stop dockerd and start it again."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End everything at once, and delete all that the engine has written."""
        self.cut_power()
        self._home.remove()

    def run(self, *command: str, **options: Unpack[RunOptions]) -> Result:
        """Run a command inside the namespaces of the engine."""
        return self.inside.run(command, **options)

    def docker(self, *arguments: str, **options: Unpack[RunOptions]) -> Result:
        """Run the docker client; the result, successful or not."""
        return self.run("docker", *arguments, **options)

    def must(self, *arguments: str, **options: Unpack[RunOptions]) -> str:
        """Run the docker client, which must succeed; its standard output."""
        return self.docker(*arguments, **options).check().stdout.strip()

    def inspect(self, kind: Kind, name: str) -> Any:
        """The object as `docker KIND inspect NAME` shows it, from the API."""
        return get_json(self.api_socket, _INSPECT[kind].format(quote(name)))

    def listing(self, target: str) -> list[dict[str, Any]]:
        """What the API lists at the target (`/containers/json?all=1`)."""
        answer: list[dict[str, Any]] = get_json(self.api_socket, target)
        return answer

    def delete(self, target: str) -> None:
        """Send DELETE for the target (`/networks/NAME`) to the API."""
        request(self.api_socket, "DELETE", target)

    @property
    def api_socket(self) -> Path:
        """The socket of the API, seen from outside."""
        return self.root / "run" / "docker.sock"

    def server_version(self) -> str:
        """The exact version of the running dockerd."""
        return str(get_json(self.api_socket, "/version")["Version"])

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until the condition holds. Raises CommandFailed with the end of dockerd's log."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise CommandFailed(f"{what}: not within {seconds:g} s\n{self._log_tail()}")
            time.sleep(0.05)

    def _dockerd(self, live_restore: bool) -> Sequence[str]:
        command = ["dockerd", "--host=unix:///run/docker.sock", f"--pidfile={self.pid_file}"]
        command += ["--data-root=/var/lib/docker", "--exec-root=/run/docker"]
        command += [f"--storage-driver={self._options.storage_driver}"]
        command += ["--exec-opt=native.cgroupdriver=cgroupfs"]
        command += [f"--cgroup-parent={self._home.cgroup}", *self._options.arguments]
        return [*command, "--live-restore"] if live_restore else command

    def _wait_until_up(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._daemon
            if self._daemon.poll() is not None or time.monotonic() > end:
                raise CommandFailed(f"engine {self.version} does not start:\n{self._log_tail()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            request(self.api_socket, "GET", "/_ping", timeout=5)
        except (OSError, HttpError):
            return False
        return True

    def _signal_daemon(self, number: signal.Signals) -> None:
        assert self._daemon
        self.inside.kill(int(self._pid_file.read_text()), number)
        self._daemon.wait(timeout=_START_SECONDS)

    def _log_tail(self) -> str:
        return "\n".join(self.log.splitlines()[-25:])
