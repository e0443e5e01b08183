"""Processes that are measured: the plugin's program, the floor, a peer."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.client import STATUS, Connection, request_bytes

ROOT = Path(__file__).parents[1]
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A process that listens on a socket."""

    process: subprocess.Popen[bytes]
    socket: Path

    def peak_memory(self) -> float:
        """The largest amount of memory, in bytes, that the process has held so far."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
        raise AssertionError("the kernel does not report VmHWM")


def environment(folder: Path, schema: Path) -> dict[str, str]:
    """The variables with which the program works on the state in the folder, with this schema."""
    return {
        "PYIPAM_STATE": str(folder / "state"),
        "PYIPAM_SCHEMA": str(schema),
        "PYIPAM_DEFAULT_SCHEMA": str(ROOT / "schema.json"),
        "PYIPAM_USER": "0",
        "DRIVER_ALIASES": "",
    }


@contextmanager
def pyipam(
    folder: Path, schema: Path, program: str = "pyipam.server", **settings_given: str
) -> Iterator[Server]:
    """The program as the plugin runs it, once it has loaded the state in the folder."""
    with _socket() as path:
        settings = {**environment(folder, schema), **settings_given, "PYIPAM_SOCKET": str(path)}
        with _running(["-m", program], path, settings) as server:
            with Connection(path) as connection:
                connection.call(request_bytes("IpamDriver.GetCapabilities"))
                connection.call(STATUS)
            yield server


@contextmanager
def floor(
    folder: Path, room: int = 0, program: str = "bench.floor", **settings_given: str
) -> Iterator[Server]:
    """The floor (see `bench.floor`), with `room` bytes of room for its lines."""
    with _socket() as path:
        command = ["-m", program, str(path), str(folder / f"lines-{room}"), str(room)]
        with _running(command, path, settings_given) as server:
            yield server


@contextmanager
def majority_write(url: str, call: str) -> Iterator[Server]:
    """The floor of a shared plan (see `bench.majority_write`), for calls of this name."""
    with _socket() as path:
        command = ["-m", "bench.majority_write", str(path), url, call]
        with _running(command, path, {}) as server:
            yield server


@contextmanager
def tinydb(folder: Path, storage: str, leases: int) -> Iterator[Server]:
    """Plain TinyDB (see `bench.peers`), which holds this many leases."""
    with _socket() as path:
        file = folder / f"{storage}.json"
        command = ["-m", "bench.peers", storage, str(leases), str(path), str(file)]
        with _running(command, path, {}) as server:
            yield server


@contextmanager
def _socket() -> Iterator[Path]:
    """A path that fits into the 108 bytes of a socket's address, wherever the project is."""
    with tempfile.TemporaryDirectory(prefix="pyipam-bench-") as folder:
        yield Path(folder) / "driver.sock"


@contextmanager
def _running(arguments: Sequence[str], path: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    # The log goes to a pipe with a reader, as dockerd's is; this one discards it.
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=reader.stdin,
    )
    reader.stdin.close()
    try:
        _wait_until_it_listens(process, path)
        yield Server(process, path)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], path: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with probe:
                probe.connect(str(path))
            return
        time.sleep(0.005)
    raise AssertionError(f"{process.args!r} does not listen on its socket")
