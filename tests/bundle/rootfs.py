"""The rootfs of a bundle, unpacked, and its own interpreter run in it."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.engine import unix_http

PACKAGES = Path("usr/lib/python3/dist-packages")


@dataclass(frozen=True)
class Rootfs:
    """The directory that becomes / of the plugin."""

    path: Path

    def files(self) -> list[Path]:
        """Every regular file, relative to the root."""
        found = (path for path in self.path.rglob("*") if path.is_file() and not path.is_symlink())
        return sorted(path.relative_to(self.path) for path in found)

    @property
    def stdlib(self) -> Path:
        """The standard library, relative to the root."""
        (directory,) = self.path.glob("usr/lib/python3.*")
        return directory.relative_to(self.path)

    def enter(self) -> list[str]:
        """The command that makes the rootfs the root of the command that follows."""
        if os.geteuid() == 0:
            return ["chroot", str(self.path)]
        return ["unshare", "--map-root-user", f"--root={self.path}"]

    def python(self, code: str) -> str:
        """What that code prints when the plugin's interpreter runs it."""
        command = [*self.enter(), "/usr/bin/python3", "-I", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def post_when_it_listens(path: Path, call: str, **body: Any) -> dict[str, Any]:
    """The answer of a program that is perhaps only starting to a call of the driver."""
    end = time.monotonic() + 60
    while True:
        try:
            content = json.dumps(body).encode()
            answer = unix_http.request(path, "POST", f"/IpamDriver.{call}", content)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            reply: dict[str, Any] = json.loads(answer)
            return reply
