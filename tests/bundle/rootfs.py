"""The rootfs of a bundle, unpacked, and its own interpreter run in it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

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
