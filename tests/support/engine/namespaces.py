"""Mount, network, pid, ipc and uts namespaces of a private engine, and how to run commands in them.

Whatever starts inside can neither see nor outlive them: the first process reads from a pipe that
this process holds, and ends, taking everything with it, as soon as the pipe is closed.
"""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from tests.support.engine.command import ENVIRONMENT, Result, RunOptions, run_command
from tests.support.engine.unavailable import Unavailable

_ENTRY = Path(__file__).with_name("private_root.sh")
_UNSHARE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]


class Namespaces:
    """Namespaces with their own root, which exist from construction until `end`."""

    def __init__(self, chroot: Path, home: Path) -> None:
        self._unshare = subprocess.Popen(
            [*_UNSHARE, "--propagation", "private", str(_ENTRY), str(chroot), str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A Ctrl-C at the terminal is for the test run alone, which then stops its engines.
            start_new_session=True,
        )
        assert self._unshare.stdout
        assert self._unshare.stderr
        if self._unshare.stdout.readline() != "ready\n":
            self._unshare.kill()
            raise Unavailable(
                "the namespaces of a private engine cannot be set up here: "
                f"{self._unshare.stderr.read().strip()}"
            )
        self._init = os.pidfd_open(self._first_process())

    @property
    def pid(self) -> int:
        """The pid, outside, of a process in their network namespace."""
        return self._unshare.pid

    @property
    def root(self) -> Path:
        """Their root directory, seen from outside."""
        return Path(f"/proc/{self._unshare.pid}/root")

    def run(self, command: Sequence[str], **options: Unpack[RunOptions]) -> Result:
        """Run a command inside and wait for it."""
        return run_command(self._enter(), command, **options)

    def spawn(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        """Start a long-running command inside; its output is appended to the log."""
        with log.open("ab") as output:
            return subprocess.Popen(
                [*self._enter(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
                start_new_session=True,
            )

    def kill(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process by its pid inside."""
        self.run(["bash", "-c", f"kill -{int(number)} {pid}"]).check()

    def end(self) -> None:
        """End every process inside at once, as a power cut does, and all mounts with them."""
        self._unshare.kill()
        # Not select, which accepts no descriptor above 1,023.
        ended = select.poll()
        ended.register(self._init, select.POLLIN)
        ended.poll()
        self._unshare.communicate()
        os.close(self._init)

    def _enter(self) -> list[str]:
        pid = self._unshare.pid
        namespaces = ["--mount", "--net", "--ipc", "--uts"]
        children = f"--pid=/proc/{pid}/ns/pid_for_children"
        return ["nsenter", "--target", str(pid), *namespaces, children, "--"]

    def _first_process(self) -> int:
        inside = os.stat(f"/proc/{self._unshare.pid}/ns/pid_for_children").st_ino
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.stat(f"/proc/{entry}/ns/pid").st_ino == inside:
                    return int(entry)
        raise Unavailable("the first process of a private engine vanished at once")
