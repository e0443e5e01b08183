"""A disk that fails at a call of the test's choice, or is the last thing that a process calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest


class Killed(BaseException):
    """The process ends here: no code in it may handle this."""


class FaultyDisk:
    """Counts the calls that change or sync files, and makes some of them fail.

    `fails` is asked before each call, with the call's number and name; what it returns is raised.
    `unsynced` says what a power cut could undo: how many bytes of each file were written since its
    last sync, and how many names were changed in each folder.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: Callable[[int, str], BaseException | None] = _never
        self.unsynced: dict[str, int] = {}
        self.most_unsynced = 0
        self._paths: dict[int, str] = {}

    def fill_up_at(self, number: int, calls: int = 1) -> None:
        """Let this call and the following ones, this many in all, fail as on a full disk."""
        self.fails = lambda n, _name: _no_space() if number <= n < number + calls else None

    def kill_at(self, number: int) -> None:
        """Let the process end in this call, which does nothing, or, if it writes, half."""
        self.fails = lambda n, _name: Killed() if n == number else None

    def heal(self) -> None:
        """Let every call succeed from now on."""
        self.fails = _never

    def call(self, name: str, real: Callable[..., Any], *arguments: Any, **names: Any) -> Any:
        """Stand in for the system call `real`."""
        failure = self.fails(len(self.calls), name)
        self.calls.append(name)
        if failure is None:
            result = real(*arguments, **names)
            self._note(name, arguments)
            return result
        if name == "write":
            # A disk that fills up writes a part.
            self._write_half(real, *arguments)
        raise failure

    def _write_half(
        self, write: Callable[[int, bytes], int], descriptor: int, content: Any
    ) -> None:
        half = bytes(content)[: len(content) // 2]
        write(descriptor, half)
        self._note("write", (descriptor, half))

    def opened(self, path: Any, descriptor: int) -> None:
        """Note which file a descriptor is of."""
        self._paths[descriptor] = os.fspath(path)

    def _note(self, name: str, arguments: tuple[Any, ...]) -> None:
        match name:
            case "write":
                self._changed(self._path_of(arguments[0]), len(arguments[1]))
            case "ftruncate":
                self._changed(self._path_of(arguments[0]))
            case "fsync" | "fdatasync":
                self.unsynced.pop(self._path_of(arguments[0]), None)
            case "replace":
                source, target = map(os.fspath, arguments)
                if source in self.unsynced:
                    self.unsynced[target] = self.unsynced.pop(source)
                else:
                    self.unsynced.pop(target, None)
                self._changed(os.path.dirname(target))
            case "open" | "unlink":
                self.unsynced.pop(os.fspath(arguments[0]), None)
                self._changed(os.path.dirname(arguments[0]))

    def _path_of(self, descriptor: int) -> str:
        # Empty for what the disk has not opened, such as a pipe.
        return self._paths.get(descriptor, "")

    def _changed(self, path: str, count: int = 1) -> None:
        if path:
            self.unsynced[path] = self.unsynced.get(path, 0) + count
            self.most_unsynced = max(self.most_unsynced, self.unsynced[path])


def _never(_number: int, _name: str) -> None:
    return None


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """Put a disk between the program and the file system; syncs then take no time."""
    disk = FaultyDisk()
    real_open = os.open

    def open_file(path: Any, flags: int, *arguments: Any, **names: Any) -> int:
        if flags & os.O_CREAT:
            descriptor: int = disk.call("open", real_open, path, flags, *arguments, **names)
        else:
            descriptor = real_open(path, flags, *arguments, **names)
        disk.opened(path, descriptor)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_file)
        for name in ("write", "replace", "unlink", "ftruncate"):
            patch.setattr(os, name, partial(disk.call, name, getattr(os, name)))
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, partial(disk.call, name, lambda _descriptor: None))
        yield disk
