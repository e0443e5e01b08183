"""A private engine that a user runs without root, as `dockerd-rootless.sh` starts it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from tests.support.engine.chroots import Say
from tests.support.engine.command import Result, RunOptions
from tests.support.engine.namespaces import Namespaces
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import ROOTLESS

_UID = "1000"
_HOME = "/home/user"
_RUNTIME = f"/run/user/{_UID}"
_CONTRIB = "/usr/share/docker.io/contrib"
_AS_USER = (
    *("setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--init-groups", "env"),
    *(f"HOME={_HOME}", f"XDG_RUNTIME_DIR={_RUNTIME}", f"DOCKER_HOST=unix://{_RUNTIME}/docker.sock"),
    f"PATH={_CONTRIB}:/usr/sbin:/usr/bin:/sbin:/bin",
)
# The engine's network is one of user space, which needs the device of tunnels. On this machine
# only root may open it, so the user gets a node of its own.
_MACHINE = f"""
useradd --create-home --home-dir {_HOME} --uid {_UID} user
install --directory --owner={_UID} --group={_UID} --mode=700 {_RUNTIME}
mknod --mode=666 /run/tun c 10 200
mount --bind /run/tun /dev/net/tun
"""


class RootlessEngine(PrivateEngine):
    """The oldest engine, run by a user without root. Commands are run as that user, too."""

    pid_file = f"{_RUNTIME}/docker.pid"

    def __init__(self, say: Say) -> None:
        super().__init__(ROOTLESS.version, say, prepare=_make_user)

    def run(self, *command: str, **options: Unpack[RunOptions]) -> Result:
        """Run a command inside the namespaces of the engine, as its user."""
        return super().run(*_AS_USER, *command, **options)

    @property
    def api_socket(self) -> Path:
        """The socket of the API, seen from outside."""
        return self.root / _RUNTIME.lstrip("/") / "docker.sock"

    def _dockerd(self, live_restore: bool) -> Sequence[str]:
        command = [*_AS_USER, "dockerd-rootless.sh", "--storage-driver=vfs"]
        return [*command, "--live-restore"] if live_restore else command


def _make_user(inside: Namespaces) -> None:
    inside.run(["sh", "-e", "-c", _MACHINE]).check()
