"""The error for a stored state that cannot be read."""

from __future__ import annotations

from pathlib import Path

from pyipam.errors import StateCorrupted


def corrupted(path: Path, offset: int, what: str) -> StateCorrupted:
    """The error that names the file, the offset in bytes, and what to do about it."""
    return StateCorrupted(
        f"the state is corrupted: {path} at byte {offset}: {what}. No pools or addresses are given "
        "out until this is fixed. Disable the plugin, restore the state folder from a backup, and "
        "enable it. Without a backup, move the files of the folder away instead; then restart "
        "dockerd, which tells the plugin about its networks and addresses. See docs/operations.md"
    )
