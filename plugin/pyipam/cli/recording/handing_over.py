"""The names, handed to the plugin: a file in its state folder, replaced as a whole.

The folder belongs to the plugin's unprivileged user, and this program runs as root. So no link that
lies there is followed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from pyipam.cli.recording.notes import Note
from pyipam.files import write_all
from pyipam.history.names import NAMES_NAME, Name, to_names_file


def hand_over(state: Path, time: float, present: Iterable[Note]) -> None:
    """Let the plugin with this state folder know the names that there are. Raises OSError."""
    names = (Name(note.subnet, note.network, note.address, note.container) for note in present)
    # Those of networks come first: there are fewer, and they say more.
    ordered = sorted(names, key=lambda name: bool(name.address))
    content = to_names_file(time, ordered)
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _replace(folder, content)
    finally:
        os.close(folder)


def _replace(folder: int, content: bytes) -> None:
    beside = f"{NAMES_NAME}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=folder)
    descriptor = os.open(
        beside,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o644,
        dir_fd=folder,
    )
    try:
        os.fchmod(descriptor, 0o644)
        write_all(descriptor, content)
    finally:
        os.close(descriptor)
    os.rename(beside, NAMES_NAME, src_dir_fd=folder, dst_dir_fd=folder)
