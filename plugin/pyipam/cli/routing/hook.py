"""The command that is run with the routes on its standard input."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from pyipam.cli.routing.announced import Announced

# A command that hangs must not keep the routes from being watched.
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Hook:
    """A command of the shell."""

    command: str

    def run(self, announced: Announced) -> str:
        """Run it, and wait for its end. Why it failed; empty if it did not."""
        try:
            done = subprocess.run(
                self.command,
                shell=True,
                input=announced.to_json() + "\n",
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{self.command!r} has not ended within {_TIMEOUT_SECONDS:g} seconds"
        except OSError as error:
            return f"{self.command!r} cannot be run: {error.strerror or error}"
        if done.returncode:
            return f"{self.command!r} ended with exit code {done.returncode}"
        return ""
