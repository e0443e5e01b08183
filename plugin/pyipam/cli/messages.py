"""What the command says to whoever runs it."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line to standard error."""
    print(f"pyipam: {text}", file=sys.stderr)
