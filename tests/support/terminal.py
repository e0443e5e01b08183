"""What a demonstration shows at a terminal: headings, commands with their output, checks."""

import sys
import time
from collections.abc import Sequence

from tests.support.engine.command import Result
from tests.support.engine.private_engine import PrivateEngine


class Unexpected(Exception):
    """Something differs from what is expected; the message says what."""


class Terminal:
    """Prints the steps of a demonstration and checks their numbers."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._begun = time.monotonic()
        self.checks = 0

    @property
    def seconds(self) -> float:
        """How long the demonstration has been running."""
        return time.monotonic() - self._begun

    def heading(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self._write(f"\n[{self._step}/{self._steps}] {text}", bold=True)

    def note(self, text: str) -> None:
        """Explain what is being done without a command."""
        self._write(f"# {text}")

    def command(self, engine: PrivateEngine, line: str) -> Result:
        """Show a shell command, run it in the engine, and show its output. It must succeed."""
        self._write(f"$ {line}", bold=True)
        result = engine.run("sh", "-c", line)
        if result.text:
            self._write(result.text)
        if result.code:
            raise Unexpected(f"`{line}` ended with {result.code}")
        return result

    def expect(self, what: str, found: object, expected: object) -> None:
        """Check that what was found is what is expected, and show it."""
        if found != expected:
            raise Unexpected(f"{what}: expected {_plain(expected)}, found {_plain(found)}")
        self.checks += 1
        self._write(f"  ok: {what}: {_plain(found)}")

    def _write(self, text: str, *, bold: bool = False) -> None:
        if bold and sys.stdout.isatty():
            text = f"\033[1m{text}\033[0m"
        print(text, flush=True)


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(element) for element in value) or "nothing"
    return str(value)
