"""Commands that are run inside the namespaces of an engine, and their results."""

import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

# Nothing is taken from the caller's environment: a DOCKER_HOST would lead to another engine.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}


class CommandFailed(AssertionError):
    """A command that had to succeed has failed; the message contains what it printed."""


@dataclass(frozen=True)
class Result:
    """The output and the exit code of a finished command."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """The whole output, without surrounding whitespace."""
        return (self.stdout + self.stderr).strip()

    def check(self) -> "Result":
        """This result. Raises CommandFailed if the command has failed."""
        if self.code:
            raise CommandFailed(f"{shlex.join(self.command)} ended with {self.code}: {self.text}")
        return self


class RunOptions(TypedDict, total=False):
    """Options of running a command."""

    stdin: bytes
    timeout: float
    directory: str


def run_command(
    way_in: Sequence[str], command: Sequence[str], **options: Unpack[RunOptions]
) -> Result:
    """Run the command with the prefix that enters the namespaces."""
    timeout = options.get("timeout", 240.0)
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
