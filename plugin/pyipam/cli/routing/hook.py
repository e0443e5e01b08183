"""The command that is run with the routes on its standard input."""

from __future__ import annotations

import os
import signal
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
            code = self._run(announced.to_json() + "\n")
        except subprocess.TimeoutExpired:
            return f"{self.command!r} has not ended within {_TIMEOUT_SECONDS:g} seconds"
        except OSError as error:
            return f"{self.command!r} cannot be run: {error.strerror or error}"
        return f"{self.command!r} ended with exit code {code}" if code else ""

    def _run(self, text: str) -> int:
        """Run it with the text as its standard input; its exit code. Raises OSError and
        TimeoutExpired."""
        # In a session of its own, so that the programs that the shell has started end with it: the
        # next run must not meet them.
        process = subprocess.Popen(
            self.command, shell=True, stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        with process:
            try:
                process.communicate(text, _TIMEOUT_SECONDS)
            except BaseException:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode
