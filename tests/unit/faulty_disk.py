"""A disk that fails at a call of one's choice, or is the last thing that a process ever calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest


class Killed(BaseException):
    """The process ends here: nothing in it may notice."""


class FaultyDisk:
    """Counts the calls that change or sync files, and lets those fail that `fails` names."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: Callable[[int], BaseException | None] = lambda _number: None

    def call(self, name: str, real: Callable[..., Any], *arguments: Any, **names: Any) -> Any:
        """What stands for `real`: fails, or calls it."""
        failure = self.fails(len(self.calls))
        self.calls.append(name)
        if failure is None:
            return real(*arguments, **names)
        if name == "write":
            # Half of it, as a disk that fills up does.
            real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        raise failure

    def fill_up_at(self, number: int, calls: int = 1) -> None:
        """So many calls from this one on fail, as when there is no room."""
        self.fails = lambda n: _no_space() if number <= n < number + calls else None

    def kill_at(self, number: int) -> None:
        """The process ends in this call, having done nothing of it (or half of a write)."""
        self.fails = lambda n: Killed() if n == number else None

    def heal(self) -> None:
        """From now on everything works."""
        self.fails = lambda _number: None


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """Stands between the program and the file system, and makes nobody wait for real syncs."""
    disk = FaultyDisk()
    real_open = os.open

    def opened(path: Any, flags: int, *arguments: Any, **names: Any) -> int:
        if not flags & os.O_CREAT:
            return real_open(path, flags, *arguments, **names)
        descriptor: int = disk.call("open", real_open, path, flags, *arguments, **names)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opened)
        for name in ("write", "replace", "unlink", "ftruncate"):
            patch.setattr(os, name, partial(disk.call, name, getattr(os, name)))
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, partial(disk.call, name, lambda _descriptor: None))
        yield disk
