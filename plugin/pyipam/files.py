"""Durable files: replaced completely or not at all, and synced together with their names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_WRITE_BYTES = 32 * 1024
# A large file is synced in steps of this many bytes, because a sync of another file that comes
# meanwhile has to wait for the step.
SYNC_STEP_BYTES = 256 * 1024


def replace_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace the content of a file with these pieces, or create it. After a crash the file has
    either its old or its new content.

    Raises OSError, and whatever the iteration over the pieces raises. The file then has its old
    content, and no temporary file is left. (Only if the last step failed, it has its new content,
    but may have the old one again after a crash.)
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        _write_file(beside, pieces)
        os.replace(beside, path)
    except Exception:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    sync_folder(path.parent)


def _write_file(path: Path, pieces: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        waiting = 0
        for piece in _gathered(pieces):
            write_all(descriptor, piece)
            waiting += len(piece)
            if waiting >= SYNC_STEP_BYTES:
                os.fdatasync(descriptor)
                waiting = 0
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, joined into larger ones: few system calls, and still little memory."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _WRITE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of the content to a descriptor. Raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make the creation, renaming and removal of files in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
