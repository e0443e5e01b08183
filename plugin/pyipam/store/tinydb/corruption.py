"""The error for a stored state that cannot be read."""

from __future__ import annotations

from pathlib import Path

from pyipam.errors import StateCorrupted


def corrupted(path: Path, offset: int, what: str) -> StateCorrupted:
    """The error that names the file, the offset in bytes, and what to do about it."""
    return StateCorrupted(
        f"the state is corrupted: {path} at byte {offset}: {what}. No pools or addresses are given "
        "out until this is fixed. Restore the state folder from a backup, or move it away to start "
        "with an empty state (existing networks must then be created again); see docs/operations.md"
    )
