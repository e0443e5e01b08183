"""Commands run inside an engine's namespaces, and what came of them."""

import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

# Nothing of the caller's environment gets in: a DOCKER_HOST would lead to another engine.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}


class CommandFailed(AssertionError):
    """A command that had to succeed did not; the text holds what it printed."""


@dataclass(frozen=True)
class Result:
    """What a finished command printed and how it ended."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """Everything printed, without blanks around it."""
        return (self.stdout + self.stderr).strip()

    def check(self) -> "Result":
        """This result, or CommandFailed if the command did not succeed."""
        if self.code:
            raise CommandFailed(f"{shlex.join(self.command)} ended with {self.code}: {self.text}")
        return self


class RunOptions(TypedDict, total=False):
    """How a command is run, where that differs from the ordinary."""

    stdin: bytes
    timeout: float
    directory: str


def run_command(
    way_in: Sequence[str], command: Sequence[str], **options: Unpack[RunOptions]
) -> Result:
    """Run the command, with its way into the namespaces before it."""
    timeout = options.get("timeout", 120.0)
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [*way_in, "env", f"--chdir={options.get('directory', '/')}", *command],
            input=options.get("stdin", b""),
            capture_output=True,
            timeout=timeout,
            env=ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        printed = (expired.stdout or b"") + (expired.stderr or b"")
        raise CommandFailed(
            f"{shlex.join(command)} did not end within {timeout:g} s: {printed.decode()}"
        ) from None
    return Result(
        tuple(command),
        done.returncode,
        done.stdout.decode(),
        done.stderr.decode(),
        time.monotonic() - begun,
    )
