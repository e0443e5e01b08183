"""What is said when the stored state cannot be read."""

from __future__ import annotations

from pathlib import Path

from pyipam.errors import StateCorrupted


def corrupted(path: Path, offset: int, what: str) -> StateCorrupted:
    """The error that names the file, the byte, and the way out."""
    return StateCorrupted(
        f"the state is corrupted: {path} at byte {offset}: {what}. Nothing is given out from it. "
        "Restore the state folder from a backup, or move it away to begin anew (networks that "
        "exist must then be made again); see docs/operations.md"
    )
