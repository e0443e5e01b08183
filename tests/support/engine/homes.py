"""The directory and the cgroups of a private engine, and what is left of abandoned ones.

The directory of an engine is locked by the process that created it, so that a later run can tell
an abandoned one from one in use.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.engine.chroots import Say, cache_directory

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Home:
    """The directory that an engine writes to, and the name of the cgroup of its containers."""

    path: Path
    lock: IO[str]

    @property
    def cgroup(self) -> str:
        """The cgroup, from the root of the hierarchies."""
        return f"/pyipam-{self.path.name}"

    def remove(self) -> None:
        """Delete the directory and the cgroups. Every process of the engine must have ended."""
        _remove_cgroups([self.cgroup.strip("/"), *_plugins(self.path)])
        shutil.rmtree(self.path)
        self.lock.close()


def make(version: str) -> Home:
    """A new directory for an engine of that version."""
    with _one_at_a_time():
        path = Path(tempfile.mkdtemp(prefix=f"{version}-", dir=_directory()))
        lock = (path / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Home(path, lock)


def remove_abandoned(say: Say) -> None:
    """Delete what the engines of killed processes have left."""
    with _one_at_a_time():
        for path in _directory().iterdir():
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                lock = (path / "lock").open()
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                say(f"removing {path}, left behind by a run that was killed")
                Home(path, lock).remove()


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Inside, no other process makes a directory, or takes one without a lock for abandoned."""
    with (_directory().parent / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _directory() -> Path:
    directory = cache_directory() / "run"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _plugins(home: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [name for name in os.listdir(home / "data" / "plugins") if len(name) == 64]
    return []


def _remove_cgroups(names: list[str]) -> None:
    for directory, _, _ in os.walk(_CGROUPS, topdown=False):
        if any(part in names for part in Path(directory).relative_to(_CGROUPS).parts):
            os.rmdir(directory)
