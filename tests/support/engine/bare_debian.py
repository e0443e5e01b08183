"""A bare Debian of another release: a chroot with make and Python, in namespaces of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engine.chroots import Say, ensure_chroot
from tests.support.engine.releases import Release

DEBIAN_13 = Release(
    "debian-13", "trixie", ("ca-certificates", "git", "make", "python3", "python3-venv")
)

# The lower layer is the chroot of the cache, which stays as it is.
_SCRIPT = """
set -eu
cd "$HOME_OF_TEST"
mount -t overlay overlay -o "lowerdir=$CHROOT,upperdir=upper,workdir=work" root
cd root
mount -t proc proc proc
mount --rbind /dev dev
for path in $SHARED; do
    mkdir -p ".$path"
    mount --bind "$path" ".$path"
done
exec chroot . /bin/sh -c "cd /src && $COMMAND"
"""


class BareDebian:
    """A copy of the repository in `/src` of a bare machine, which has the package index of this
    machine, and nothing else of it."""

    def __init__(self, home: Path, chroot: Path) -> None:
        self._home = home
        self._chroot = chroot
        self.source = home / "upper" / "src"

    def run(self, command: str, seconds: float) -> str:
        """Run a command in the repository as root; its output. Raises CalledProcessError."""
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "CHROOT": str(self._chroot),
            "HOME_OF_TEST": str(self._home),
            "SHARED": " ".join(_folders_of_pip()),
            "COMMAND": command,
        }
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        done = subprocess.run(
            [*namespaces, "--propagation", "private", "/bin/sh", "-c", _SCRIPT],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout[-8000:]}")
        return done.stdout


@contextmanager
def bare_debian(release: Release, repository: Path, home: Path, say: Say) -> Iterator[BareDebian]:
    """A bare machine of the release with a copy of what is committed in the repository, or
    changed in it. `home` is an empty folder."""
    chroot = ensure_chroot(release, say)
    for name in ("upper", "work", "root"):
        (home / name).mkdir(parents=True)
    machine = BareDebian(home, chroot)
    _copy(repository, machine.source)
    etc = home / "upper" / "etc"
    etc.mkdir()
    (etc / "pip.conf").write_text(_pip_configuration())
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc") / name, etc / name)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        (etc / "ssl" / "certs").mkdir(parents=True)
        shutil.copy(certificates, etc / "ssl" / "certs" / certificates.name)
    yield machine
    shutil.rmtree(home, ignore_errors=True)


def _copy(repository: Path, target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (repository / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, target / name)


def _settings_of_pip() -> dict[str, str]:
    """What pip is configured with here, in files and in the environment."""
    listed = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in ("global", "install", ":env:"):
            settings[key] = " ".join(shlex.split(value)) if value else ""
    return settings


def _pip_configuration() -> str:
    settings = _settings_of_pip()
    # The constraints are those of this machine's Python.
    lines = [f"{key} = {value}" for key, value in settings.items() if key != "constraint"]
    return "\n".join(["[global]", *lines, ""])


def _folders_of_pip() -> list[str]:
    """The folders of this machine from which pip takes packages."""
    words = [word for value in _settings_of_pip().values() for word in value.split()]
    paths = [word.removeprefix("file://") for word in words if word.startswith(("/", "file:///"))]
    # The pages of an index on this machine name files beside it.
    folders = {str(Path(path).parent) if path.endswith("/simple") else path for path in paths}
    return sorted(path for path in folders if os.path.isdir(path))
