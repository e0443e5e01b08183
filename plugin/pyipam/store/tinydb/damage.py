"""What is said when the stored state cannot be read."""

from __future__ import annotations

from pathlib import Path

from pyipam.errors import StateDamaged


def damaged(path: Path, offset: int, what: str) -> StateDamaged:
    """The error that names the file, the byte, and the way out."""
    return StateDamaged(
        f"the state is damaged: {path} at byte {offset}: {what}. Nothing is given out from it. "
        "Restore the state folder from a backup, or move it away to begin anew (networks that "
        "exist must then be made again); see docs/operations.md"
    )
