"""A managed plugin in a private engine: its life cycle, its settings and its views."""

import contextlib
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.engine.command import CommandFailed
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.unix_http import HttpError, get_json, request
from tests.support.pages import whole

_SOCKET = "driver.sock"
_TASKS = "run/docker/containerd/daemon/io.containerd.runtime.v2.task/plugins.moby"


@dataclass(frozen=True)
class Plugin:
    """The plugin with this full name (`owner/pyipam:latest`) in an engine."""

    engine: PrivateEngine
    name: str

    @classmethod
    def create(cls, engine: PrivateEngine, name: str, bundle: Path) -> "Plugin":
        """Create a plugin from a plain tar of config.json and rootfs. It is not enabled.

        The engine refuses a bundle that it still has from a removed plugin, whose blobs it deletes
        in the background (moby/plugin/backend_linux.go, Remove)."""
        engine.wait_for("the plugin is created", lambda: _is_created(engine, name, bundle))
        return cls(engine, name)

    @property
    def id(self) -> str:
        """The id that the engine has given it."""
        return str(self.inspect()["Id"])

    @property
    def sockets(self) -> Path:
        """The folder of the sockets of the plugin, seen from outside."""
        return self.engine.root / "run" / "docker" / "plugins" / self.id

    @property
    def state(self) -> Path:
        """The state folder of the plugin, seen from outside."""
        plugins = self.engine.root / "var" / "lib" / "docker" / "plugins"
        return plugins / self.id / "propagated-mount"

    def inspect(self) -> dict[str, Any]:
        """What `docker plugin inspect` shows."""
        answer: dict[str, Any] = self.engine.inspect("plugin", self.name)
        return answer

    def set(self, **settings: str) -> None:
        """Change settings of the plugin, which must be disabled."""
        assignments = [f"{name}={value}" for name, value in settings.items()]
        self.engine.must("plugin", "set", self.name, *assignments)

    @property
    def log(self) -> list[str]:
        """The lines that the plugin has written, as they appear in the log of dockerd."""
        mark = f"plugin={self.id}"
        return [line for line in self.engine.log.splitlines() if mark in line]

    def wait_for_line(self, *parts: str) -> None:
        """Wait until a line of the plugin with all these parts is in the log of dockerd, which
        writes it there later than the plugin answers."""
        self.engine.wait_for(
            f"a line with {parts} in the log",
            lambda: any(all(part in line for part in parts) for line in self.log),
        )

    def enable(self) -> None:
        """Enable it. If that fails, the error contains the last lines of the plugin."""
        result = self.engine.docker("plugin", "enable", self.name)
        if result.code:
            raise CommandFailed("\n".join([result.text, *self.log[-25:]]))

    def disable(self, *, force: bool = False) -> None:
        """Disable it; if forced, even while networks use it."""
        options = ["--force"] if force else []
        self.engine.must("plugin", "disable", *options, self.name)

    def remove(self) -> None:
        """Remove it, whatever its state."""
        self.engine.must("plugin", "rm", "--force", self.name)

    def restart_with(self, **settings: str) -> None:
        """Disable it, change settings, enable it."""
        self.disable(force=True)
        self.set(**settings)
        self.enable()

    def start_anew(self) -> None:
        """Let it forget everything, as after its installation."""
        self.disable(force=True)
        for path in self.state.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.enable()

    def get(self, target: str) -> Any:
        """The content of a read-only view (`/v1/status`); of a list, all of it."""
        return whole(lambda page: get_json(self.sockets / _SOCKET, page), target)

    def status(self) -> dict[str, Any]:
        """The status of the plugin."""
        answer: dict[str, Any] = self.get("/v1/status")
        return answer

    def pools(self) -> list[dict[str, Any]]:
        """The pools that are held, sorted by their subnets as strings."""
        pools: list[dict[str, Any]] = self.get("/v1/pools")
        return sorted(pools, key=lambda pool: str(pool["subnet"]))

    def held(self) -> list[str]:
        """The subnets that networks hold, without those that only rest (reuse_delay)."""
        return [str(pool["subnet"]) for pool in self.pools() if pool["references"]]

    def leases(self) -> list[dict[str, Any]]:
        """The leases of all pools, without those that are only held back."""
        leases: list[dict[str, Any]] = []
        for pool in self.pools():
            leases += self.get(f"/v1/leases?pool={quote(pool['id'], safe='')}")
        return [lease for lease in leases if not lease["held_back"]]

    def process(self) -> int:
        """The pid of the plugin's process inside the engine; 0 if there is none."""
        task = self.engine.root / _TASKS / self.id / "init.pid"
        with contextlib.suppress(FileNotFoundError):
            return int(task.read_text() or "0")
        return 0

    def kill(self) -> None:
        """Kill the plugin's process alone; dockerd restarts it."""
        process = self.process()
        # A signal to 0 would reach whoever sends it.
        assert process, f"{self.name} has no process"
        self.engine.inside.kill(process, signal.SIGKILL)

    def kill_and_wait(self) -> None:
        """Kill the plugin's process, and wait until the next one serves."""
        former = self.process()
        self.kill()
        self.engine.wait_for("the plugin runs again", lambda: self.process() not in (0, former))
        self.engine.wait_for("the plugin answers", self._answers)
        # dockerd connects half a second after the start. On 26.1, a plugin that has died again
        # before that was seen to stay down for good.
        time.sleep(1)

    def _answers(self) -> bool:
        try:
            self.status()
        except OSError:
            return False
        return True

    def point_alias(self, alias: str) -> None:
        """Let `--ipam-driver ALIAS` reach the plugin, by a spec file that names its socket."""
        specs = self.engine.root / "etc" / "docker" / "plugins"
        specs.mkdir(parents=True, exist_ok=True)
        socket = f"unix:///run/docker/plugins/{self.id}/{alias}.sock"
        (specs / f"{alias}.spec").write_text(socket)


def _is_created(engine: PrivateEngine, name: str, bundle: Path) -> bool:
    target = f"/plugins/create?name={quote(name)}"
    try:
        with bundle.open("rb") as tar:
            request(engine.api_socket, "POST", target, tar, content_type="application/x-tar")
    except HttpError as error:
        if "content sha256" in str(error) and "already exists" in str(error):
            return False
        raise
    return True
