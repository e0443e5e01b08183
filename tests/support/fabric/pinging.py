"""Pings without a break, to see what is lost while something happens."""

from __future__ import annotations

import re
import subprocess
from typing import Self

from tests.support.engine.command import ENVIRONMENT
from tests.support.fabric.machines import Machine

# Ends the ping when standard input ends, and lets it tell what it has counted.
_SCRIPT = 'ping -n -i 0.1 "$1" & read -r _; kill -INT $!; wait $!'


class Pinging:
    """Ten pings a second from a machine to an address while the block runs. Afterwards, `lost` is
    the number of those that were not answered."""

    def __init__(self, machine: Machine, address: str) -> None:
        self._command = [*machine.way_in, "sh", "-c", _SCRIPT, "sh", address]
        self.sent = 0
        self.lost = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        printed, _ = self._process.communicate(timeout=30)
        counted = re.search(r"(\d+) packets transmitted, (\d+) received", printed)
        assert counted, printed
        self.sent = int(counted[1])
        self.lost = self.sent - int(counted[2])
        assert self.sent, printed
