"""The command line of the program, run as an operator runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).parents[2] / "plugin"
_TIMEOUT_SECONDS = 60.0


def run_pyipam(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `python -m pyipam` with these arguments, whatever its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "pyipam", *map(str, arguments)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(_PROGRAM),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        input=stdin,
        capture_output=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


def must_pyipam(*arguments: object, stdin: bytes = b"") -> bytes:
    """Run the command, which must succeed; its standard output."""
    result = run_pyipam(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout
