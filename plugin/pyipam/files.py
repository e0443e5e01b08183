"""Files that are whole or not there: written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_WRITE_SIZE = 32 * 1024
# A sync of another file that comes meanwhile waits for no more than this.
SYNCED_AT_ONCE = 256 * 1024


def replace_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Put a new content at the path, piece after piece.

    After a crash either the old or the new one is there.

    Raises OSError, and whatever making the pieces raises; the old content is then still in place,
    and nothing is left beside it. (If only the last step fails, the new one is in place, but a
    crash may bring the old one back.)
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
        for some in _gathered(pieces):
            write_all(descriptor, some)
            waiting += len(some)
            if waiting >= SYNCED_AT_ONCE:
                os.fdatasync(descriptor)
                waiting = 0
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in fewer, larger ones: few system calls, and little memory."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _WRITE_SIZE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte, however many calls it takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable: created, renamed and removed ones."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
